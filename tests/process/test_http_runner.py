"""The program that sends a request: what it asks, what it says of the answer, what it keeps to itself."""

from __future__ import annotations

import bz2
import json
import os
import re
import socket
import subprocess
import sys
import zlib
from email.utils import formatdate
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
from tests.answers import Answer, Server, served

from jobctl.process import http_runner, runners
from jobctl.process.attempt import Failure, read_failure, read_outputs
from jobctl.process.http_runner import OUTPUT_LIMIT, Masked, Place, is_elsewhere, place_of, redirected


class Came(NamedTuple):
    code: int
    log: bytes
    outputs: dict[str, str]
    failure: Failure


def run(folder: Path, url: str, **order: Any) -> Came:
    told = {
        "method": "GET",
        "url": url,
        "headers": [],
        "body": None,
        "expect": ["2xx"],
        "output": "body",
        "secrets": [],
        "secret_in": [],
        "longest_wait": 10_000,
        "silence": 5_000,
        **order,
    }
    files = {"JOBCTL_OUTPUT": str(folder / "output"), "JOBCTL_FAILURE": str(folder / "failure")}
    done = subprocess.run(
        runners.argv("http_runner"),
        input=json.dumps(told).encode(),
        env={"PATH": os.defpath, **files},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return Came(
        done.returncode, done.stdout, read_outputs(files["JOBCTL_OUTPUT"]), read_failure(files["JOBCTL_FAILURE"])
    )


@pytest.fixture
def server() -> Any:
    with served() as found:
        yield found


def test_it_loads_nothing_of_ours_and_nothing_that_is_installed() -> None:
    code = (
        f"import runpy, sys; runpy.run_path({http_runner.__file__!r}); import http.client, ssl, email.utils\n"
        "files = {name: str(getattr(module, '__file__', '')) for name, module in sys.modules.items()}\n"
        "print(*(name for name, file in files.items() if 'site-packages' in file or name.startswith('jobctl')))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert "\nfrom jobctl" not in Path(http_runner.__file__).read_text()


def test_it_asks_and_hands_on_what_it_was_told(server: Server, tmp_path: Path) -> None:
    server.answers = [Answer(201, b'{"a":\n 1}\n', {"Content-Type": "application/json"})]
    came = run(tmp_path, server.url + "/a%2Fb?c=d", method="POST", headers=[["X", "ü"]], body="hällo")
    assert came.code == 0
    assert came.outputs == {"status": "201", "body": '{"a":\n 1}\n'}
    assert came.log == f"jobctl: POST {server.url}/a%2Fb?c=d: 201 Created\n".encode() + b'{"a":\n 1}\n'
    [asked] = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/a%2Fb?c=d", "hällo".encode())
    assert asked.headers["x"].encode("latin-1") == "ü".encode()
    assert asked.headers["content-length"] == "6"
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("status", "expect", "ends"),
    [
        (200, ["2xx"], "well"),
        (204, ["2xx"], "well"),
        (200, [404], "final"),
        (404, [200, 404], "well"),
        (404, ["4xx"], "well"),
        (503, [503], "well"),
        (304, ["2xx"], "final"),
        (400, ["2xx"], "final"),
        (401, ["2xx"], "final"),
        (404, ["2xx"], "final"),
        (408, ["2xx"], "final"),
        (429, ["2xx"], "again"),
        (500, ["2xx"], "again"),
        (502, ["2xx"], "again"),
        (599, ["2xx"], "again"),
    ],
)
def test_what_a_status_comes_to(server: Server, tmp_path: Path, status: int, expect: list[Any], ends: str) -> None:
    server.answers = [Answer(status, b"" if status in (204, 304) else b"why")]
    came = run(tmp_path, server.url, expect=expect)
    assert came.code == (0 if ends == "well" else 1)
    assert came.failure.non_retryable == (ends == "final")
    if ends != "well":
        assert (came.failure.message or "").startswith(f"status {status}")
        assert came.failure.type == f"http_{status}"
        assert b"why" in came.log or status == 304
        assert came.outputs == {}


@pytest.mark.parametrize(
    ("status", "said", "delay"),
    [
        (503, "7", 7_000),
        (429, " 0 ", 0),
        (503, "99999999999999999999", 10_000),
        (503, formatdate(1_000_003, usegmt=True), 3_000),
        (503, formatdate(2_000_000, usegmt=True), 10_000),
        (503, formatdate(1, usegmt=True), 0),
        (503, "soon", None),
        (503, "-1", None),
        (404, "7", None),
    ],
)
def test_a_server_says_how_long_to_wait(
    server: Server, tmp_path: Path, status: int, said: str, delay: int | None
) -> None:
    headers = {"Retry-After": said, "Date": formatdate(1_000_000, usegmt=True)}
    at = http_runner.delay(_Said(headers), 10_000)
    assert at == (delay if status != 404 else 7_000)
    server.answers = [Answer(status, b"", {"Retry-After": said})]
    came = run(tmp_path, server.url)
    if "GMT" not in said:  # the server's own clock is another one
        assert came.failure.next_retry_delay == delay


class _Said:
    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers


def test_what_keeps_an_answer_from_coming_may_pass(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    came = run(tmp_path, f"http://127.0.0.1:{port}/")
    assert (came.code, came.failure.type, came.failure.non_retryable) == (1, "connection", False)
    assert came.failure.message == f"127.0.0.1:{port}: the connection was refused"
    came = run(tmp_path, "http://no-such-host.invalid/")
    assert (came.code, came.failure.type, came.failure.non_retryable) == (1, "dns", False)


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (b"", "protocol"),
        (b"hello\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "connection"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", "protocol"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n", "protocol"),
    ],
    ids=["nothing", "nonsense", "half", "half a chunk", "many headers", "a long header"],
)
def test_an_answer_that_is_none_may_pass(tmp_path: Path, says: bytes, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(says)

        Thread(target=answer, daemon=True).start()
        came = run(tmp_path, f"http://127.0.0.1:{listening.getsockname()[1]}/")
    assert (came.code, came.failure.type, came.failure.non_retryable) == (1, kind, False)


def raw(folder: Path, *says: bytes, **order: Any) -> Came:
    """What comes of an answer that is sent byte by byte as it is written here."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(b"".join(says))

        Thread(target=answer, daemon=True).start()
        return run(folder, f"http://127.0.0.1:{listening.getsockname()[1]}/", **order)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (b"", "the server closed the connection before it had answered"),
        (b"hello\n", "what the server sent is no answer of HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
            "the server closed the connection in the middle of the answer",
        ),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n", "a line of the answer is too long"),
        (b"HTTP/1.1 103 x\r\n\r\n" * 500, "the answer does not keep to HTTP, or its head is too long"),
    ],
    ids=["nothing", "nonsense", "half a chunk", "a long header", "hints without end"],
)
def test_a_broken_answer_is_described_in_words(tmp_path: Path, says: bytes, words: str) -> None:
    message = raw(tmp_path, says).failure.message or ""
    assert message.partition(": ")[2] == words


def test_a_server_without_tls_is_described_in_words(server: Server, tmp_path: Path) -> None:
    came = run(tmp_path, f"https://127.0.0.1:{server.port}/")
    assert (came.failure.message or "").endswith("no safe connection: the server does not speak TLS on this port")


def test_the_words_of_a_status_are_no_commands_to_a_terminal(tmp_path: Path) -> None:
    came = raw(tmp_path, b"HTTP/1.1 404 a\x1b[31m\x07\x9bb\r\nContent-Length: 0\r\n\r\n")
    assert came.failure.message == "status 404 a?[31m??b"
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f\x9b]", came.log)


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_an_answer_that_announces_another_is_passed_over(tmp_path: Path, interim: bytes) -> None:
    hints = b"HTTP/1.1 " + interim + b"\r\nLink: </a>\r\n\r\n"
    came = raw(tmp_path, hints * 2, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    assert came.outputs == {"status": "200", "body": "hi"}
    came = raw(tmp_path, b"HTTP/1.1 101 Switching\r\n\r\n")
    assert came.failure.type == "http_101"


def test_a_name_that_cannot_be_looked_up_is_a_host_that_is_not_found(server: Server, tmp_path: Path) -> None:
    for host in ("a..b", "a" * 64 + ".example"):
        came = run(tmp_path, f"http://{host}/")
        assert (came.code, came.failure.type) == (1, "dns")
        assert (came.failure.message or "").startswith(f"{host}: the host is not found")
    server.answers = [Answer(302, b"", {"Location": "http://a..b/"})]
    came = run(tmp_path, server.url)
    assert (came.failure.type, (came.failure.message or "")[:5]) == ("dns", "a..b:")


@pytest.mark.parametrize("told", [b"", b"[]", b"{}", b'{"secrets": []}'])
def test_whatever_happens_there_is_a_sentence_and_no_traceback(tmp_path: Path, told: bytes) -> None:
    files = {"JOBCTL_OUTPUT": str(tmp_path / "output"), "JOBCTL_FAILURE": str(tmp_path / "failure")}
    done = subprocess.run(
        runners.argv("http_runner"), input=told, env={"PATH": os.defpath, **files}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"")
    failure = read_failure(files["JOBCTL_FAILURE"])
    assert (failure.message or "").startswith("the request could not be carried out to its end: ")
    assert failure.type == "request"
    (tmp_path / "failure").unlink()
    (tmp_path / "failure").mkdir()  # even that cannot be written
    done = subprocess.run(
        runners.argv("http_runner"), input=told, env={"PATH": os.defpath, **files}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_silent_server_and_one_that_is_not_safe_may_pass(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        came = run(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}/", silence=200)
    assert came.failure.type == "timeout"
    assert (came.failure.message or "").endswith(": the server said nothing for too long")
    with served() as plain:
        came = run(tmp_path, f"https://127.0.0.1:{plain.port}/")
    assert (came.code, came.failure.type, came.failure.non_retryable) == (1, "tls", False)


# -- redirects ---------------------------------------------------------------------------------------------------------

SECRETS = [["Authorization", "Bearer hunter2"], ["Cookie", "c=1"], ["X-Key", "hunter2"], ["Accept", "a/b"]]


@pytest.mark.parametrize(
    ("status", "method", "after"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "DELETE", "DELETE"),
    ],
)
def test_a_redirect_is_followed(server: Server, tmp_path: Path, status: int, method: str, after: str) -> None:
    server.answers = [Answer(status, b"", {"Location": "/b?c=d"}), Answer(200, b"there")]
    body = "x" if method in ("POST", "PUT") else None
    came = run(tmp_path, server.url + "/a", method=method, headers=SECRETS, body=body, secret_in=["x-key"])
    assert came.code == 0, came.log
    first, second = server.asked
    assert (second.method, second.path) == (after, "/b?c=d")
    assert second.body == (b"x" if body and after == method else b"")
    assert second.headers["authorization"] == first.headers["authorization"] == "Bearer hunter2"


@pytest.mark.parametrize("elsewhere", ["localhost", "port"])
def test_no_secret_goes_to_another_host(server: Server, tmp_path: Path, elsewhere: str) -> None:
    with served(Answer(200, b"there")) as other:
        host = "localhost" if elsewhere == "localhost" else "127.0.0.1"
        server.answers = [Answer(307, b"", {"Location": f"http://{host}:{other.port}/x"})]
        came = run(tmp_path, server.url, headers=SECRETS, secrets=["hunter2"], secret_in=["x-key", "url"])
        assert came.code == 0, came.log
        [asked] = other.asked
        assert asked.headers.keys() & {"authorization", "cookie", "x-key"} == set()
        assert asked.headers["accept"] == "a/b"
        # A body with a secret in it has no way there either, and the request is none without it.
        came = run(tmp_path, server.url, method="POST", body="hunter2", secrets=["hunter2"], secret_in=["body"])
        assert (came.code, came.failure.non_retryable, came.failure.type) == (1, True, "redirect")
        assert len(other.asked) == 1


def test_a_redirect_has_an_end(server: Server, tmp_path: Path) -> None:
    server.answers = [Answer(302, b"", {"Location": "/again"})]
    came = run(tmp_path, server.url)
    assert (came.code, came.failure.non_retryable) == (1, True)
    assert len(server.asked) == http_runner.REDIRECTS + 1


def test_a_redirect_that_is_expected_is_the_answer(server: Server, tmp_path: Path) -> None:
    server.answers = [Answer(302, b"moved", {"Location": "/b"})]
    came = run(tmp_path, server.url, expect=[302])
    assert (came.code, came.outputs["status"], len(server.asked)) == (0, "302", 1)


HTTPS = Place("https", "h", 443, "/a/b?c=d")


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("/x", "https://h/x"),
        ("x?y", "https://h/a/x?y"),
        ("?y", "https://h/a/b?y"),
        ("//other/x", "https://other/x"),
        ("https://other:444/ü ", "https://other:444/%C3%BC%20"),
        ("https://h", "https://h/"),
        ("http://h/x", None),
        ("ftp://h/x", None),
        ("file:///etc/passwd", None),
        ("javascript:x", None),
        ("https://u:p@other/", None),
        ("https://h\\@other/", None),
        ("https://h:99999/", None),
    ],
)
def test_where_a_redirect_may_lead(location: str, address: str | None) -> None:
    sent = location.encode().decode("latin-1")  # as a header comes in
    if address is None:
        with pytest.raises(http_runner.Failure) as caught:
            redirected(HTTPS, sent)
        assert caught.value.final
    else:
        assert redirected(HTTPS, sent).address == address


@pytest.mark.parametrize(
    ("before", "after", "elsewhere"),
    [
        ("http://h/a", "http://h/b", False),
        ("http://h/", "http://H/", False),
        ("http://h/", "https://h/", False),
        ("http://h:80/", "http://h/", False),
        ("http://h/", "http://h:81/", True),
        ("http://h:8080/", "https://h:8443/", True),
        ("https://h/", "https://h.evil/", True),
        ("https://h/", "https://sub.h/", True),
    ],
)
def test_what_is_another_host(before: str, after: str, elsewhere: bool) -> None:
    assert is_elsewhere(place_of(before), place_of(after)) == elsewhere


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b"", "", ""),
        (b"a\nb\n", "text/plain", "a\nb\n"),
        ("ü".encode(), "", "ü"),
        ("ü".encode("latin-1"), "text/html; charset=ISO-8859-1", "ü"),
        ("ü".encode("latin-1"), "text/html", None),
        (b"\x89PNG\0\xff", "image/png", None),
        (b"a\0b", "text/plain", None),
        (b"END\nx=y\nEND_\n", "text/plain", "END\nx=y\nEND_\n"),
        (b"x", "text/plain; charset=no-such", None),
        (b"6162", "text/plain; charset=hex", None),
        (b"YQ==", "text/plain; charset=base64", None),
        (b"abc", "text/plain; charset=rot13", None),
        (zlib.compress(b"x" * 10_000), "text/plain; charset=zlib", None),
        (bz2.compress(b"x"), "text/plain; charset=bz2", None),
        (b"abc-", "text/plain; charset=punycode", None),
        (b"a", 'text/plain; charset="\0"', None),
        (b"a", "text/plain; charset*=x'y'z%00", None),
        ("ü".encode("utf-16"), "text/plain; charset=UTF-16", "ü"),
    ],
)
def test_a_body_that_is_text_is_an_output(
    server: Server, tmp_path: Path, body: bytes, kind: str, text: str | None
) -> None:
    server.answers = [Answer(200, body, {"Content-Type": kind} if kind else {})]
    came = run(tmp_path, server.url, output="page")
    assert came.code == 0, came.log
    assert came.outputs == ({"status": "200"} if text is None else {"status": "200", "page": text})
    assert body in came.log


@pytest.mark.parametrize(
    "size", [OUTPUT_LIMIT - 100, OUTPUT_LIMIT - 1, OUTPUT_LIMIT, OUTPUT_LIMIT + 1, 3 * OUTPUT_LIMIT]
)
def test_of_a_long_body_the_first_part_is_an_output_and_all_of_it_is_in_the_log(
    server: Server, tmp_path: Path, size: int
) -> None:
    body = ("ü" * (size // 2)).encode()
    server.answers = [Answer(200, body)]
    came = run(tmp_path, server.url)
    assert came.code == 0
    assert body in came.log
    assert (tmp_path / "output").stat().st_size <= OUTPUT_LIMIT
    kept = came.outputs["body"]
    assert set(kept) == {"ü"}
    assert (len(kept) == size // 2) == (b"limit of outputs" not in came.log)
    assert len(kept.encode()) >= min(len(body), OUTPUT_LIMIT - 100)


def test_a_body_of_no_stated_length_and_one_in_chunks(tmp_path: Path) -> None:
    for says in (
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    ):
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def answer(listening: socket.socket = listening, says: bytes = says) -> None:
                peer, _ = listening.accept()
                with peer:
                    peer.recv(65_536)
                    peer.sendall(says)

            Thread(target=answer, daemon=True).start()
            came = run(tmp_path, f"http://127.0.0.1:{listening.getsockname()[1]}/")
        assert came.outputs["body"] == "hello"


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_what_is_secret_is_written_nowhere(server: Server, tmp_path: Path) -> None:
    secret = 's3"cret ü'
    echo = json.dumps({"you said": secret}).encode() + json.dumps([secret], ensure_ascii=False).encode()
    for answer in (Answer(200, echo), Answer(404, echo), Answer(503, echo)):
        server.answers = [answer]
        came = run(
            tmp_path,
            server.url + "/?k=s3%22cret%20%C3%BC",
            headers=[["X-Key", secret]],
            secrets=[secret, "s3%22cret%20%C3%BC"],
            secret_in=["x-key", "url"],
        )
        everything = came.log + b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"cret" not in everything
        assert came.log.count(b"***") == 3
    assert len(server.asked) == 3


@pytest.mark.parametrize("secret", ["body", "status=200", "END", "body<<END", "two\nlines", "a\nEND\nx=y"])
def test_a_secret_may_look_like_what_outputs_are_written_with(server: Server, tmp_path: Path, secret: str) -> None:
    server.answers = [Answer(200, f"<{secret}>\n".encode())]
    came = run(tmp_path, server.url, secrets=[secret], secret_in=["body"])
    assert came.code == 0, came.log
    assert came.outputs == {"status": "200", "body": f"<{'***' if len(secret) > 3 else secret}>\n"}


@pytest.mark.parametrize("size", [1, 7, 12, 27, 33, 38])  # 26 bytes are what the file is made of
def test_no_part_of_a_secret_is_left_where_the_output_ends(server: Server, tmp_path: Path, size: int) -> None:
    for before in (b"x" * (OUTPUT_LIMIT - size), b"hunter2hunter2" * 10_000 + b"x" * (OUTPUT_LIMIT - 140_000 - size)):
        server.answers = [Answer(200, before + b"hunter2hunter2" + b"x" * 100)]
        came = run(tmp_path, server.url, secrets=["hunter2hunter2"])
        assert set(came.outputs["body"]) <= {"x", "*"}
        assert b"limit of outputs" in came.log


@pytest.mark.parametrize(
    "echo",
    ["a/b c+ü", "a%2Fb%20c%2B%C3%BC", "a%2fb%20c%2b%c3%bc", "a/b%20c%2B%C3%BC", "a/b+c%2B%C3%BC", "a%2fb+c%2b%c3%bc",
     "a\\/b c+ü", "a/b c+\\u00fc"],
)  # fmt: skip
def test_a_secret_is_known_however_a_server_repeats_it(server: Server, tmp_path: Path, echo: str) -> None:
    server.answers = [Answer(200, f"<{echo}>".encode())]
    came = run(tmp_path, server.url, secrets=["a/b c+ü"])
    assert came.outputs["body"] == "<***>"
    assert came.log.endswith(b"\n<***>")


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
def test_a_secret_is_masked_wherever_it_is_cut(piece: int, tmp_path: Path) -> None:
    said = b"begin hunter2hunter2 hunt hunter\nhunter2x bcbcbcb h" * 3
    path = tmp_path / "log"
    with path.open("wb") as file:
        log = Masked(file.fileno(), ["hunter2", "hunter2x", "bcbcb", "ab"])
        for at in range(0, len(said), piece):
            log.write(said[at : at + piece])
        log.flush()
    assert path.read_bytes() == re.sub(b"hunter2x?|bcbcb", b"***", said)


def test_the_order_is_no_argument_and_no_variable() -> None:
    assert "http_runner.py" in runners.argv("http_runner")[-1]
    assert len(runners.argv("http_runner")) == 4
    assert not [name for name in runners.KEEPS if name == "HOME" or name.startswith("JOBCTL_PARAM")]

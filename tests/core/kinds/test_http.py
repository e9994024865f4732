"""What a request may be, and what of it the runner is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from jobctl.core.definition import jobs
from jobctl.core.definition.references import Reference
from jobctl.core.kinds import UnfitError
from jobctl.core.kinds.http import ROW
from jobctl.core.model import Http, RetryPolicy, Step, Timeouts, decode, encode

NO_METHOD = 'is not one of "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"'
URL = 'url = "https://h.example/a"'


def problems(request: str, more: str = "", job: str = "") -> list[str]:
    text = f'[jobs.a]\nparams = {{ p = "x" }}\n{job}\n[[jobs.a.steps]]\nname = "s"\nhttp = {{ {request} }}\n{more}'
    _, found = jobs.parse(text.encode(), file="jobs.toml", folder="/srv")
    for problem in found:
        assert problem.hint, f"no way out: {problem}"
    return [f"{problem.key}: {problem.message}" for problem in found]


@pytest.mark.parametrize(
    "request_",
    [
        URL,
        'url = "HTTP://h.example"',
        'url = "http://localhost:8080/?a=b"',
        'url = "http://[::1]:8080/a/{{ params.p }}/b?c={{ params.p }}"',
        'url = "https://h.example/ü"',
        URL + ', method = "HEAD", expect = [200, 404, "3xx"], output = "page"',
        URL + ', method = "POST", body = ""',
        URL + ', method = "PUT", body = { a = [1, "{{ params.p }}"] }, expect = 201',
        URL + ', method = "PATCH", body = 1, headers = { Idempotency-Key = "" }',
        URL + ', headers = { Authorization = "Bearer {{ env.T }}", X-Api-Key = "{{ env.T }}", Accept = "a/b" }',
        'url = "http://localhost/{{ env.T }}"',
        'url = "https://h.example./"',
        f'url = "https://{"a" * 63}.b/"',
    ],
)
def test_a_request_that_may_be_written(request_: str) -> None:
    assert problems(request_, job='env = { T = "1" }') == []


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ('method = "GET"', ["http: needs a `url`"]),
        ('url = "/a"', ["http.url: is no whole address"]),
        ('url = "h.example/a"', ["http.url: is no whole address"]),
        ('url = "ftp://h.example"', ["http.url: is neither http:// nor https://"]),
        ('url = "https:///a"', ["http.url: has no host that can be asked"]),
        ('url = "https://hü.example/"', ["http.url: has no host that can be asked"]),
        ('url = "https://u:p@h.example/"', ["http.url: has a user or a password in front of the host"]),
        ('url = "https://h.example@evil.example/"', ["http.url: has a user or a password in front of the host"]),
        ('url = "{{ params.p }}://h.example/"', ["http.url: has a reference in front of the path"]),
        ('url = "https://{{ params.p }}/"', ["http.url: has a reference in front of the path"]),
        ('url = "https://h.example{{ params.p }}"', ["http.url: has a reference in front of the path"]),
        ('url = "https://h.example:{{ params.p }}/"', ["http.url: has a reference in front of the path"]),
        ('url = "https://h.example:70000/"', ["http.url: has a port that no server can have"]),
        ('url = "https://h.example/a#b"', ["http.url: has a part behind #, which is never sent"]),
        ('url = "https://h.example/a/../b"', ["http.url: has . or .. in its path"]),
        ('url = "https://h.example/a/%2E%2e/b"', ["http.url: has . or .. in its path"]),
        ('url = "https://h.example/a b"', ["http.url: holds a blank, a backslash or a control character"]),
        ('url = "https://h.example/a\\nb"', ["http.url: holds a blank, a backslash or a control character"]),
        (
            'url = "https://h.example\\\\@evil.example/"',
            ["http.url: holds a blank, a backslash or a control character"],
        ),
        ('url = "https://h.example/{{ params.q }}"', ["http.url: {{ params.q }}: the job has no parameter 'q'"]),
        ('url = "https://h.example/{{ env.NO }}"', ["http.url: {{ env.NO }}: the job has no variable 'NO'"]),
        (
            'url = "http://h.example/", headers = { Authorization = "{{ env.HOME }}" }',
            ["http.url: sends a secret that anybody on the way can read"],
        ),
        (URL + ', method = "get"', [f"http.method: `get` {NO_METHOD}"]),
        (URL + ', method = "FETCH"', [f"http.method: `FETCH` {NO_METHOD}"]),
        (URL + ', body = "x"', ["http.body: a GET has no body"]),
        (URL + ', method = "HEAD", body = "x"', ["http.body: a HEAD has no body"]),
        (
            URL + ', headers = { A = "b\\r\\nC: d" }',
            ["http.headers.A: holds a line break or another control character"],
        ),
        (URL + ', headers = { Host = "x" }', ["http.headers.Host: is written by jobctl itself"]),
        (URL + ', headers = { "a b" = "x" }', ["http.headers.a b: `a b` is not a name"]),
        (URL + ', headers = { A = 1 }', ["http.headers.A: must be text, not an integer"]),
        (
            URL + ', headers = { Authorization = "Bearer abc" }',
            ["http.headers.Authorization: is likely a secret, and definitions are kept with runs"],
        ),
        (
            URL + ', headers = { X-Api-Key = "abc" }',
            ["http.headers.X-Api-Key: is likely a secret, and definitions are kept with runs"],
        ),
        (URL + ", expect = 199", ["http.expect: must be at least 200, not 199"]),
        (URL + ', expect = "6xx"', ['http.expect: `6xx` is not one of "2xx", "3xx", "4xx", "5xx"']),
        (URL + ', expect = "1xx"', ['http.expect: `1xx` is not one of "2xx", "3xx", "4xx", "5xx"']),
        ('url = "https://a..b/"', ["http.url: has no host that can be asked"]),
        ('url = "https://.b/"', ["http.url: has no host that can be asked"]),
        (f'url = "https://{"a" * 64}.b/"', ["http.url: has no host that can be asked"]),
        (f'url = "https://{"a.b." * 64}c/"', ["http.url: has no host that can be asked"]),
        ('url = "https://[::1::2]/"', ["http.url: has no host that can be asked"]),
        (URL + ', headers = { Accept = "a", accept = "b" }', ["http.headers.accept: is the same header as Accept"]),
        (
            URL + ', method = "PUT", body = { a = [{ "{{ params.p }}" = 1 }] }',
            ["http.body.a[0].{{ params.p }}: is a key, in which references are not replaced"],
        ),
        (URL + ', output = "status"', ["http.output: is the output that has the status"]),
        (URL + ', output = "a b"', ["http.output: `a b` is not a name"]),
        (URL + ", timeout = 3", ["http.timeout: there is no key `timeout` here"]),
    ],
)  # fmt: skip
def test_a_request_that_is_wrong_says_why(request_: str, expected: list[str]) -> None:
    assert problems(request_) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('command = "true"', ["http: `command` and `http` exclude each other"]),
        ('cwd = "/"', ["cwd: means nothing next to `http`"]),
        ('poll = { interval = "1s" }', ["poll: means nothing next to `http`"]),
        ('timeout = { heartbeat = "1s" }', ["timeout.heartbeat: a request sends no heartbeats"]),
        ('retry = 3\ntimeout = "1s"\nqueue = "q"\ncompensate = "x"\nforeach = ["a"]\nallow_failure = true', []),
    ],
)
def test_what_may_stand_beside_a_request(more: str, expected: list[str]) -> None:
    assert problems(URL, more + "\n[queues.q]") == expected


def test_variables_are_for_requests_alone() -> None:
    text = '[jobs.a]\nenv = { T = "1" }\ncommand = ["echo", "{{ env.T }}"]'
    _, [problem] = jobs.parse(text.encode(), file="jobs.toml", folder="/srv")
    assert problem.message == "{{ env.T }} is no reference"


def test_a_variable_of_a_file_is_known_when_it_runs() -> None:
    assert problems('url = "https://h.example/{{ env.T }}"', job='env_file = "e"') == []
    assert problems('url = "https://h.example/{{ env.T }}"', job="inherit_env = true") == []


def hint(request: str) -> str:
    text = f'[jobs.a]\nparams = {{ p = "x" }}\n[[jobs.a.steps]]\nname = "s"\nhttp = {{ {request} }}\n'
    _, [problem] = jobs.parse(text.encode(), file="jobs.toml", folder="/srv")
    return problem.hint


def test_the_way_out_is_one_for_requests() -> None:
    assert hint(URL + ', expect = "200"') == "without quotes: 200"
    assert hint(URL + ', expect = [201, "200"]') == "without quotes: 200"
    assert hint(URL + ', expect = "1xx"') == "it only announces an answer: name the one that comes behind it"
    for bad in ("{{ env.A.B }}", "{{ env }}", "{{ what.ever }}"):
        assert hint(f'url = "https://h.example/{bad}"').endswith("run.fire_date, env.NAME")
    for request in ('url = "https://h.example/{{ x | foo }}"', URL + ', method = "PUT", body = "{{ x | foo }}"'):
        assert "shell" not in hint(request)
        assert "write {{ params.brace }}{" in hint(request)


def test_braces_are_sent_as_the_way_out_says() -> None:
    body = "{{ params.brace }}{ x | foo }}"
    request = f'{URL}, method = "PUT", body = "{body}"'
    text = f'[jobs.a]\nparams = {{ brace = "{{" }}\n[[jobs.a.steps]]\nname = "s"\nhttp = {{ {request} }}\n'
    assert jobs.parse(text.encode(), file="jobs.toml", folder="/srv")[1] == []
    assert order(Http("https://h.example", "PUT", body=body), brace="{")["body"] == "{{ x | foo }}"


def test_where_references_stand_is_said_in_full() -> None:
    text = '[jobs.a]\ncommand = "true"\nshell = "{{ params.p }}"'
    _, [problem] = jobs.parse(text.encode(), file="jobs.toml", folder="/srv")
    assert problem.message == "references are not replaced here"
    assert problem.hint == "they stand in list commands, env, cwd, foreach, params, http, key"


@pytest.mark.parametrize(
    ("more", "key", "expected"),
    [
        ("", "status", []),
        ("", "body", []),
        ('output = "page"', "page", []),
        ('output = "page"', "body", ["status and page"]),
        ("", "nope", ["status and body"]),
    ],
)
def test_its_outputs_are_known(more: str, key: str, expected: list[str]) -> None:
    text = (
        f'[jobs.a]\n[[jobs.a.steps]]\nname = "q"\n[jobs.a.steps.http]\n{URL}\n{more}\n'
        f'[[jobs.a.steps]]\nname = "s"\ncommand = ["echo", "{{{{ steps.q.outputs.{key} }}}}"]'
    )
    _, found = jobs.parse(text.encode(), file="jobs.toml", folder="/srv")
    assert [problem.hint for problem in found] == [f"its outputs are {hint}" for hint in expected]
    for problem in found:
        assert problem.message == f"{{{{ steps.q.outputs.{key} }}}}: step q has no output {key!r}"


def test_no_message_repeats_what_may_be_secret() -> None:
    for request in (
        'url = "https://user:hunter2@h.example/"',
        'url = "https://h.example/#hunter2"',
        URL + ', headers = { Authorization = "hunter2" }',
    ):
        text = f'[jobs.a]\n[[jobs.a.steps]]\nname = "s"\nhttp = {{ {request} }}'
        _, found = jobs.parse(text.encode(), file="jobs.toml", folder="/srv")
        assert found
        for problem in found:
            assert "hunter2" not in f"{problem} {problem.hint} {problem.excerpt}"


def test_the_defaults_are_not_kept() -> None:
    defaults = 'step_timeout = { start_to_close = "1s", heartbeat = "1s" }'
    text = f'[jobs.a]\n{defaults}\n[[jobs.a.steps]]\nname = "s"\nhttp = {{ {URL} }}'
    found, _ = jobs.parse(text.encode(), file="", folder="/srv")
    assert found is not None
    job = found.jobs["a"]
    assert job.steps[0] == Step("s", http=Http("https://h.example/a"), timeouts=Timeouts(1_000))
    assert '"http":{"url":"https://h.example/a"}' in encode(job)
    assert decode(encode(job)) == job


# -- what is sent ------------------------------------------------------------------------------------------------------


class Values:
    idempotency_key = "run/s"

    def __init__(self, **values: Any) -> None:
        self._values = values

    def value(self, reference: Reference) -> Any:
        return self._values[reference.path[1]]


def order(http: Http, step: Mapping[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    assert ROW.runner is not None
    return ROW.runner.order(Step("s", http=http, **(step or {})), Values(**values))


@pytest.mark.parametrize(
    ("value", "path", "query"),
    [
        ("plain-1._~", "plain-1._~", "plain-1._~"),
        ("a b", "a%20b", "a%20b"),
        ("a/b", "a%2Fb", "a%2Fb"),
        ("ü", "%C3%BC", "%C3%BC"),
        ("a%2fb", "a%252fb", "a%252fb"),
        ("@evil.example", "%40evil.example", "%40evil.example"),
        ("a?b=c&d", "a%3Fb%3Dc%26d", "a%3Fb%3Dc%26d"),
        ("#x", "%23x", "%23x"),
        (":80", "%3A80", "%3A80"),
        ("+", "%2B", "%2B"),
        ("...", "...", "..."),
        (7, "7", "7"),
        ("..", None, ".."),
        (".", None, "."),
        ("../admin", None, "..%2Fadmin"),
        ("a/../../admin", None, "a%2F..%2F..%2Fadmin"),
        ("..\\admin", None, "..%5Cadmin"),
        ("%2e%2e", None, "%252e%252e"),
        ("%2e%2e%2fadmin", None, "%252e%252e%252fadmin"),
        ("//evil.example", "%2F%2Fevil.example", "%2F%2Fevil.example"),
        ("\\\\evil.example", "%5C%5Cevil.example", "%5C%5Cevil.example"),
        ("", None, ""),
        ("a\r\nb", None, None),
        ("a\x00b", None, None),
        ("\x7f", None, None),
        ("\ud800", None, None),
    ],
)
def test_a_value_in_a_url_stays_where_it_is(value: Any, path: str | None, query: str | None) -> None:
    for url, expected in (("/a/{{ params.p }}/b", path), ("/a?q={{ params.p }}&r=1", query)):
        http = Http("https://h.example:444" + url)
        if expected is None:
            with pytest.raises(UnfitError) as caught:
                order(http, p=value)
            assert not value or len(str(value)) < 4 or str(value) not in str(caught.value)
        else:
            assert order(http, p=value)["url"] == "https://h.example:444" + url.replace("{{ params.p }}", expected)


def test_what_a_value_makes_together_with_what_is_written_counts() -> None:
    with pytest.raises(UnfitError, match="another place"):
        order(Http("https://h.example/.{{ params.p }}/b"), p=".")
    with pytest.raises(UnfitError, match="another place"):
        order(Http("https://h.example/%2e{{ params.p }}"), p=".")
    assert order(Http("https://h.example/v{{ params.p }}"), p="..")["url"] == "https://h.example/v.."


@pytest.mark.parametrize("value", ["a\nB: c", "a\rb", "a\0b", "a\x1bb"])
def test_a_header_stays_one_line(value: str) -> None:
    with pytest.raises(UnfitError, match="header A"):
        order(Http("https://h.example", headers={"A": "x {{ params.p }}"}), p=value)


def test_a_body_that_is_a_table_is_sent_as_json_whatever_the_values_are() -> None:
    body = {"text": "say {{ params.quote }}", "number": "{{ params.n }}", "list": ["{{ params.l }}", 1.5, True]}
    told = order(Http("https://h.example", "POST", body=body), quote='"}', n=3, l=["a"])
    assert told["body"] == '{"text":"say \\"}","number":3,"list":[["a"],1.5,true]}'
    assert ["Content-Type", "application/json; charset=utf-8"] in told["headers"]


def test_a_body_that_is_a_text_is_sent_as_it_is() -> None:
    told = order(Http("https://h.example", "PUT", {"content-type": "a/b"}, body="<{{ params.p }}>"), p="x")
    assert told["body"] == "<x>"
    assert told["headers"] == [["content-type", "a/b"]]


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("POST", {}, [["Idempotency-Key", "run/s"]]),
        ("POST", {"idempotency-key": "mine"}, [["idempotency-key", "mine"]]),
        ("POST", {"Idempotency-Key": ""}, []),
        ("PUT", {}, []),
        ("GET", {}, []),
    ],
)
def test_a_post_carries_what_tells_one_step_from_another(
    method: str, headers: dict[str, str], expected: list[list[str]]
) -> None:
    assert order(Http("https://h.example", method, headers))["headers"] == expected


def test_a_variable_is_a_secret_and_its_place_is_remembered() -> None:
    http = Http(
        "https://h.example/?k={{ env.K }}", "POST", {"X-Key": "a {{ env.K }}", "B": "c"}, body={"k": "{{ env.K }}"}
    )
    told = order(http, K="s p")
    assert told["secrets"] == ["s p", "s%20p"]
    assert told["secret_in"] == ["body", "url", "x-key"]


def test_a_header_that_is_called_like_a_secret_goes_to_no_other_host_whatever_is_in_it() -> None:
    http = Http("https://h.example", "POST", {"X-Token": "{{ params.t }}", "B": "{{ params.t }}"})
    told = order(http, t="x")
    assert told["secret_in"] == ["x-token"]
    assert ["Idempotency-Key", "run/s"] in told["headers"]


@pytest.mark.parametrize(
    ("retry", "longest"),
    [(RetryPolicy(3), 100_000), (RetryPolicy(3, 2_000), 200_000), (RetryPolicy(3, 1_000, 2.0, 5_000), 5_000)],
)
def test_no_server_has_a_step_wait_longer_than_its_policy(retry: RetryPolicy, longest: int) -> None:
    assert order(Http("https://h.example"), {"retry": retry})["longest_wait"] == longest

"""A step that asks a server: as a user runs it, killed in the middle, and with a secret that must be nowhere."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from homes import Home
from tests.answers import Answer, Server, served

SECRET = "hunter2hunter2"


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as found:
        yield found


@pytest.fixture
def make(tmp_path: Path, server: Server) -> Iterator[Any]:
    """A home whose job has these steps; URL stands for the server."""
    homes: list[Home] = []

    def made(steps: str, job: str = "") -> Home:
        (tmp_path / "home").mkdir(exist_ok=True)
        (tmp_path / "home" / "secrets.env").write_text(f"API_TOKEN={SECRET}\n")
        homes.append(Home(tmp_path / "home", f"[jobs.x]\n{job}\n{steps}".replace("URL", server.url)))
        return homes[-1]

    yield made
    for home in homes:
        home.end_all()
        home.close()


def steps_of(home: Home) -> list[dict[str, Any]]:
    document = home.document()
    assert document is not None
    found: list[dict[str, Any]] = document["steps"]
    return found


def test_what_may_pass_is_tried_again_and_what_comes_of_it_is_handed_on(make: Any, server: Server) -> None:
    server.answers = [Answer(503, b"", {"Retry-After": "3600"}), Answer(429), Answer(200, b'["a", "b"]')]
    home = make(
        '[[jobs.x.steps]]\nname = "list"\nhttp = { url = "URL/list", output = "names" }\n'
        'retry = { maximum_attempts = 3, initial_interval = "1ms", maximum_interval = "1ms" }\n'
        '[[jobs.x.steps]]\nname = "each"\nforeach = "{{ steps.list.outputs.names }}"\n'
        'http = { url = "URL/{{ item }}", method = "POST", body = { n = "{{ run.id }}" } }\n'
        '[[jobs.x.steps]]\nname = "say"\n'
        'command = ["echo", "{{ steps.list.outputs.status }} {{ steps.list.stdout }}"]\n'
    )
    code, said = home.call("run", "x")
    assert code == 0, said
    assert '200 ["a", "b"]' in said
    listed, each, _ = steps_of(home)
    assert [attempt["status"] for attempt in listed["attempts"]] == ["failed", "failed", "succeeded"]
    assert [attempt["error"] for attempt in listed["attempts"]][:2] == [
        "status 503 Service Unavailable",
        "status 429 Too Many Requests",
    ]
    assert each["status"] == "succeeded"
    run = home.document()["id"]  # type: ignore[index]
    assert {(asked.path, asked.headers["idempotency-key"]) for asked in server.asked[3:]} == {
        ("/a", f"{run}/each[0]"),
        ("/b", f"{run}/each[1]"),
    }
    assert all(json.loads(asked.body) == {"n": run} for asked in server.asked[3:])


def test_what_the_server_refuses_is_not_asked_again_and_is_undone(make: Any, server: Server) -> None:
    server.answers = [Answer(200, b"made"), Answer(404, b"no such thing")]
    home = make(
        '[[jobs.x.steps]]\nname = "make"\nhttp = { url = "URL/", method = "POST", body = "" }\n'
        "compensate = 'echo undo $JOBCTL_OUTPUT_BODY >> marks'\n"
        '[[jobs.x.steps]]\nname = "use"\nhttp = { url = "URL/" }\nretry = 5\n'
        '[[jobs.x.steps]]\nname = "tell"\nwhen = "always"\nhttp = { url = "URL/told" }\nallow_failure = true\n'
    )
    code, said = home.call("run", "x")
    assert code == 1, said
    assert "status 404 Not Found" in said
    assert len(server.asked) == 3
    assert home.lines("marks") == ["undo made"]
    assert len(steps_of(home)[1]["attempts"]) == 1


def test_its_condition_is_asked_first_and_has_the_whole_environment(make: Any, server: Server) -> None:
    home = make(
        '[[jobs.x.steps]]\nname = "no"\nhttp = { url = "URL/" }\nonly_if = \'exit 1\'\n'
        '[[jobs.x.steps]]\nname = "yes"\nhttp = { url = "URL/" }\nonly_if = \'echo $WHO $API_TOKEN > asked; cat\'\n'
        'env = { WHO = "me" }\n',
        'env_file = "secrets.env"',
    )
    code, said = home.call("run", "x")
    assert code == 0, said
    assert [step["status"] for step in steps_of(home)] == ["skipped", "succeeded"]
    assert home.lines("asked") == [f"me {SECRET}"]
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [200, 404])
def test_a_secret_is_in_the_request_and_nowhere_else(make: Any, server: Server, status: int) -> None:
    held = Event()
    echo = f'{{"you": "{SECRET}"}}'.encode()
    server.answers = [Answer(status, echo, wait=held)]
    home = make(
        '[[jobs.x.steps]]\nname = "s"\n'
        'http = { url = "URL/?k={{ env.API_TOKEN }}", method = "POST", body = "{{ env.API_TOKEN }}", '
        'headers = { Authorization = "Bearer {{ env.API_TOKEN }}" } }\n',
        'env_file = "secrets.env"',
    )
    running = home.start("run", "x")
    home.until(lambda: server.asked)
    try:
        [asked] = server.asked
        assert asked.path.endswith(SECRET)
        assert asked.headers["authorization"].endswith(SECRET)
        assert asked.body == SECRET.encode()
        [pid] = home.processes()
        assert "http_runner.py" in Path(f"/proc/{pid}/cmdline").read_text()
        for name in ("cmdline", "environ"):
            assert SECRET not in Path(f"/proc/{pid}/{name}").read_text()
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"  # what it was told is gone
    finally:
        held.set()
    said, _ = running.communicate(timeout=60)
    assert "***" in said or status == 404
    documents = "".join(home.call(*args)[1] for args in (
        ("status", "x", "--json"), ("history", "x", "--json"), ("logs", "x"), ("why", "x"), ("show", "x"),
    ))  # fmt: skip
    written = [path for path in home.state.rglob("*") if path.is_file()]
    assert len(written) > 3
    for where in (said.encode(), documents.encode(), *(path.read_bytes() for path in written)):
        assert SECRET.encode() not in where


def test_a_request_without_its_secret_is_not_sent(make: Any, server: Server) -> None:
    home = make('[[jobs.x.steps]]\nname = "s"\nhttp = { url = "URL/{{ env.NOPE }}" }\nretry = 5\n',
                'env_file = "secrets.env"')  # fmt: skip
    code, said = home.call("run", "x")
    assert code == 1
    assert "{{ env.NOPE }} has no value" in said
    assert server.asked == []


def test_a_request_is_stopped_as_a_command_is(make: Any, server: Server) -> None:
    server.answers = [Answer(wait=Event())]
    home = make('kill_grace = "100ms"\n[[jobs.x.steps]]\nname = "s"\nhttp = { url = "URL/" }\ntimeout = "300ms"\n')
    code, said = home.call("run", "x")
    assert code == 1, said
    assert "start_to_close of 300ms passed" in said
    home.until(lambda: not home.processes())
    home = make('[[jobs.x.steps]]\nname = "s"\nhttp = { url = "URL/" }\n')
    running = home.start("run", "x")
    home.until(lambda: len(server.asked) == 2)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    home.until(lambda: not home.processes())


def test_a_request_outlives_who_asked_for_it(make: Any, server: Server) -> None:
    held = Event()
    server.answers = [Answer(200, b"late", wait=held)]
    home = make('[[jobs.x.steps]]\nname = "s"\nhttp = { url = "URL/", method = "POST", body = "once" }\nretry = 3\n')
    running = home.start("run", "x")
    home.until(lambda: server.asked)
    running.kill()
    running.communicate(timeout=60)
    taken = home.start("resume", "x")
    held.set()
    said, _ = taken.communicate(timeout=60)
    assert taken.returncode == 0, said
    [step] = steps_of(home)
    assert [attempt["status"] for attempt in step["attempts"]] == ["succeeded"]
    assert step["outputs"]["body"] == "late"
    assert len(server.asked) == 1


def test_a_long_body_is_sent_whole_and_a_log_has_its_limit(make: Any, server: Server) -> None:
    server.answers = [Answer(200, b"x" * 79 + b"\n" * 20_000)]
    long = "y" * 120_000
    request = f'{{ url = "URL/", method = "PUT", body = ["{long}", "{long}"] }}'
    home = make(f'[[jobs.x.steps]]\nname = "s"\nhttp = {request}\n', 'log_limit = "8KiB"')
    code, said = home.call("run", "x")
    assert code == 0, said
    assert json.loads(server.asked[0].body) == [long, long]
    [attempt] = steps_of(home)[0]["attempts"]
    assert attempt["log_bytes"] <= 8_192

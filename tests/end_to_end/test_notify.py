"""`notify` with the real program: in the foreground, killed, failing, with a daemon beside it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import Daemons, strace

TELL = 'echo "$JOBCTL_JOB $JOBCTL_STATUS $JOBCTL_TRIGGER $JOBCTL_REASON" >> told; echo "$JOBCTL_RUN" >> runs'


def jobs(command: str = "exit 3", notify: str = TELL) -> str:
    return (
        f"[jobs.x]\ncommand = '''{command}'''\nnotify = {{ on = ['failed', 'canceled'], command = '''{notify}''' }}\n"
    )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[..., Daemons]]:
    made: list[Daemons] = []

    def make(text: str, name: str = "home") -> Daemons:
        made.append(Daemons(tmp_path / name, text))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_run_that_fails_in_the_foreground_is_told_of_once(place: Callable[..., Daemons]) -> None:
    home = place(jobs())
    code, output = home.call("run", "x")
    assert code == 1
    [run] = home.rows("x")
    [told] = home.rows("x.notify")
    assert home.lines("told") == ["x failed manual step main: exit code 3"]
    assert home.lines("runs") == [run.name]
    assert f"notified: {run.name} failed ({told.name})" in output
    code, output = home.call("status", run.name)
    assert f"notified   {told.name} succeeded" in output
    code, output = home.call("status", told.name)
    assert (code, f"about      {run.name} failed" in output) == (0, True)
    assert f"to tell that {run.name} failed" in home.call("history", told.name)[1]
    assert f"notifies: {told.name}" in home.call("history", run.name)[1]
    assert home.call("logs", told.name)[0] == home.call("why", told.name)[0] == 0
    code, output = home.call("status")
    assert "nobody was told" not in output
    assert not any(line.startswith("x.notify ") for line in output.splitlines())


def test_the_last_line_of_json_is_the_run(place: Callable[..., Daemons]) -> None:
    home = place(jobs())
    process = home.start("run", "x", "--json", "--quiet")
    output, _ = process.communicate(timeout=30)
    documents = [json.loads(line) for line in output.splitlines()]
    [told] = home.rows("x.notify")
    assert documents[-1]["notifications"] == [{"run": told.name, "status": "succeeded"}]
    assert {document["run"] for document in documents[:-1]} == {documents[-1]["id"]}


def test_its_command_can_ask_about_the_run(place: Callable[..., Daemons]) -> None:
    home = place(jobs("echo the reason; exit 3", f'{sys.executable} -m jobctl logs "$JOBCTL_RUN" > told 2>&1'))
    home.call("run", "x")
    assert home.lines("told") == ["the reason"]


@pytest.mark.parametrize("then", ["daemon", "resume"])
def test_killed_at_any_commit_it_is_told_once(place: Callable[..., Daemons], then: str) -> None:
    """What is recorded of the end and of what tells of it is there as a whole or not at all."""
    tried = 0
    for instant in range(1, 100):  # a new store takes some thirty alone
        home = place(jobs(), str(instant))
        code, output = home.call("run", "x", before=strace("fdatasync", instant))
        if code == 1:
            break
        if not home.rows():
            continue
        tried += 1
        if then == "daemon":
            code, output = home.call("daemon", "--once")
            assert code == 0, output
        else:
            for row in home.rows():
                if row.finished_at is None:
                    home.call("resume", row.name)
        assert home.lines("told") == ["x failed manual step main: exit code 3"], instant
        assert [row.status for row in home.rows()] == ["failed", "succeeded"]
        assert home.processes() == []
    assert tried > 3


def test_one_that_fails_twice_is_sent(place: Callable[..., Daemons]) -> None:
    home = place(jobs(notify="echo try >> told; [ $JOBCTL_ATTEMPT -gt 1 ]"))
    code, output = home.call("run", "x")
    assert code == 1
    assert home.lines("told") == ["try", "try"]
    [run] = home.rows("x")
    assert f"the notification that {run.name} failed has failed: exit code 1; next attempt in 1" in output
    assert f"notified: {run.name} failed" in output


def test_one_that_waits_for_its_next_attempt_is_left_to_a_daemon(place: Callable[..., Daemons]) -> None:
    home = place(jobs(notify="echo try >> told; [ $JOBCTL_ATTEMPT -gt 1 ]"))
    home.daemon()
    code, output = home.call("run", "x")
    [told] = home.rows("x.notify")
    assert (code, f"not notified yet: {told.name}; a daemon goes on with it" in output) == (1, True)
    home.until(lambda: home.rows("x.notify")[0].status == "succeeded")
    assert home.lines("told") == ["try", "try"]


def test_one_that_is_never_sent_is_seen(place: Callable[..., Daemons]) -> None:
    home = place(jobs(notify="exit 9"))
    process = home.start("run", "x")
    home.until(lambda: home.rows("x.notify"))
    [told] = home.rows("x.notify")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    [run] = home.rows("x")
    assert f"NOT NOTIFIED: {run.name} failed: step notify: exit code 9; logs: jobctl logs {told.name}" in output
    assert f"nobody was told that {run.name} failed" in home.call("status")[1]
    _, output = home.call("status", "--json")
    [found] = json.loads(output)["failed_notifications"]
    assert (found["id"], found["about"]["run"]) == (told.name, run.name)
    assert f"notified   {told.name} failed; jobctl logs {told.name}" in home.call("status", run.name)[1]

    text = (home.folder / "jobs.toml").read_text().replace("exit 9", "echo mended >> told")
    (home.folder / "jobs.toml").write_text(text)
    assert home.call("resume", told.name, "--updated")[0] == 0
    assert home.lines("told") == ["mended"]
    assert "nobody was told" not in home.call("status")[1]


def test_ctrl_c_while_it_is_sent_leaves_it_as_it_is(place: Callable[..., Daemons]) -> None:
    home = place(jobs("sleep 60", "touch begun; until [ -e go ]; do sleep 0.01; done; echo $JOBCTL_STATUS >> told"))
    process = home.start("run", "x")
    home.until(lambda: home.processes())
    process.send_signal(signal.SIGINT)
    home.until(lambda: (home.folder / "begun").exists())
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    [told] = home.rows("x.notify")
    assert f"not notified yet: {told.name}; go on with it: jobctl resume {told.name}" in output
    home.go()
    assert home.call("resume", told.name)[0] == 0
    assert home.lines("told") == ["canceled"]

"""What commands have said stays in the history as it is; what is printed of it shows none of the run's secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobctl.cli.main import main

JOBS = """\
[jobs.x]
env_file = ".env"
env = { API_KEY = "hunter-1" }
params = { same = "hunter-1" }
[[jobs.x.steps]]
name = "one"
command = '''
echo "k=$API_KEY" >> "$JOBCTL_OUTPUT"
echo "at-$HOST" >> "$JOBCTL_HEARTBEAT"
echo "got $API_KEY"
'''
[[jobs.x.steps]]
name = "two"
command = ["sh", "-c", 'test $0 = hunter-1 && echo type=$HOST >> $JOBCTL_FAILURE; exit 3', "{{ steps.one.outputs.k }}"]
[[jobs.x.steps]]
name = "never"
command = ["echo", "{{ steps.one.stdout }}"]
"""


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The id of a run whose commands were not careful."""
    (folder / "jobs.toml").write_text(JOBS)
    (folder / ".env").write_text("HOST=hunter-2.internal\n")
    assert main(["run", "x"]) == 1
    assert "hunter" not in "".join(capsys.readouterr())
    assert main(["history", "--json"]) == 0
    return str(json.loads(capsys.readouterr().out)[0]["id"])


@pytest.mark.parametrize("json_or_not", [[], ["--json"]], ids=["people", "json"])
@pytest.mark.parametrize(
    ("command", "code"),
    [("status", 0), ("history", 0), ("wait", 1), ("logs", 0), ("logs -f", 0)],
)
def test_what_is_printed_of_a_run_shows_no_secret(
    run: str, capsys: pytest.CaptureFixture[str], command: str, code: int, json_or_not: list[str]
) -> None:
    assert main([*command.split(), run, *json_or_not]) == code
    printed = "".join(capsys.readouterr())
    assert run in printed or "got" in printed or "one" in printed
    assert "hunter" not in printed


def test_only_what_was_said_is_masked(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", run, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["params"] == {"same": "***"}
    assert document["steps"][0]["outputs"] == {"k": "***"}
    assert document["steps"][0]["cursor"] == "at-***"
    assert document["steps"][0]["attempts"][0]["log_bytes"] == len("got hunter-1\n")


@pytest.mark.usefixtures("run")
def test_events_as_they_are_recorded_show_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "x", "--json"]) == 1
    printed = "".join(capsys.readouterr())
    assert '"error_type":"***"' in printed
    assert "hunter" not in printed


def test_a_secret_that_is_nowhere_any_more_is_said(folder: Path, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".env").unlink()
    assert main(["status", run]) == 0
    assert "not all secrets are masked here: " in capsys.readouterr().err

"""Which schedules can be paused, and what is kept of it. What a paused one does is the daemon's."""

from __future__ import annotations

from pathlib import Path

import pytest
from daemons import waiting_daemon
from live_runs import Runs

from jobctl.cli.main import main
from jobctl.store import firings
from jobctl.store.store import Store

JOBS = """\
[jobs.backup]
schedule = "30 2 * * *"
command = "true"
[jobs.tick]
schedule = { every = "1h" }
command = "true"
[jobs.plain]
command = "true"
"""


@pytest.fixture(autouse=True)
def _jobs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "me")
    (folder / "jobs.toml").write_text(JOBS)


def _paused(folder: Path) -> dict[str, tuple[str | None, str | None]]:
    with Store(str(folder / "state")) as store:
        return {job: (pause.reason, pause.who) for job, pause in firings.paused(store).items()}


def test_pause(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also before any daemon has run here."""
    assert main(["schedule", "pause", "backup", "tick", "backup", "--reason", "moving"]) == 0
    assert capsys.readouterr().out == "backup: paused\ntick: paused\n"
    assert _paused(folder) == {"backup": ("moving", "me"), "tick": ("moving", "me")}


def test_what_was_paused_keeps_its_reason(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "pause", "tick", "--reason", "too loud"]) == 0
    assert main(["schedule", "pause", "tick", "--reason", "another"]) == 0
    assert capsys.readouterr().out.endswith("by me: too loud\n")
    assert _paused(folder) == {"tick": ("too loud", "me")}


def test_living_daemons_are_told(runs: Runs) -> None:
    with waiting_daemon(runs.store) as daemon:
        assert main(["schedule", "pause", "tick"]) == 0
        assert daemon.woken()
        assert main(["schedule", "resume", "tick"]) == 0
        assert daemon.woken()


@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize(
    ("jobs", "code", "error", "hint"),
    [
        (["tick", "tack"], 3, "there is no job 'tack'", "did you mean `tick`?"),
        (["tick", "plain"], 1, "job plain has no schedule", "jobctl run plain"),
    ],
)
def test_all_of_them_or_none(
    command: str, jobs: list[str], code: int, error: str, hint: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command == "resume":
        main(["schedule", "pause", "tick"])
    before = _paused(folder) if command == "resume" else {}
    assert main(["schedule", command, *jobs]) == code
    said = capsys.readouterr().err
    assert error in said
    assert hint in said
    assert _paused(folder) == before


def test_a_job_that_only_the_daemon_knows(runs: Runs, folder: Path) -> None:
    """The file is invalid for the moment, and the daemon goes on with what it has read before."""
    firings.sync(runs.store, [("old", "k", "f")], ["f"], 0)
    (folder / "jobs.toml").write_text("[jobs")
    assert main(["schedule", "pause", "old"]) == 0
    assert _paused(folder) == {"old": (None, "me")}
    firings.sync(runs.store, [], ["f"], 0)
    assert main(["schedule", "resume", "old"]) == 0
    assert _paused(folder) == {}
    assert main(["schedule", "pause", "old"]) == 3

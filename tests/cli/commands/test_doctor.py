"""What is wrong with an installation."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import tzdata  # type: ignore[import-untyped]

from jobctl.cli import croniter_check
from jobctl.cli.main import main
from jobctl.core.model import Job, Step, encode
from jobctl.core.run.history import Event, EventType, RunState
from jobctl.core.run.rows import NewRun
from jobctl.core.schedule import schedule
from jobctl.engines.local.executor import Executor
from jobctl.store.append import Batch
from jobctl.store.store import Store


def _doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is (code == 0)
    return code, {check["name"]: check for check in document["checks"]}


def _state(folder: Path) -> str:
    state = folder / "state"
    state.mkdir(mode=0o700)
    return str(state)


def _run(state: str, executor: str) -> None:
    """A run that this executor has."""
    events = [
        Event(EventType.RUN_CREATED, 1_000, data={"params": {}, "trigger": "manual"}),
        Event(EventType.RUN_TAKEN, 2_000, data={"executor": executor}),
    ]
    run = RunState()
    for event in events:
        run.apply(event)
    job = encode(Job("a", "/", (Step("main", command="true"),)))
    with Store(state) as store:
        store.append([Batch(0, 0, events, run, executor=executor, new=NewRun("a-000001", "a", job))])


def test_a_fresh_installation_is_fine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text('[jobs.a]\ncommand = "true"\n')
    code, checks = _doctor(capsys)
    assert code == 0
    assert {check["status"] for check in checks.values()} == {"ok"}
    assert set(checks) == {
        "versions",
        "shell",
        "commands",
        "processes",
        "time zones",
        "definitions",
        "state folder",
        "store",
    }
    assert not (folder / "state").exists()


def test_as_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text("[jobs")
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok    versions")
    at = next(i for i, line in enumerate(lines) if line.startswith("fail  definitions"))
    assert "jobs.toml:1" in lines[at]
    assert lines[at + 1].strip() == "write [jobs]"
    assert main(["doctor", "-q"]) == 1
    assert capsys.readouterr().out.startswith("fail  definitions")


def test_fire_times_have_a_second_opinion(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "jobs.toml").write_text(
        '[jobs.a]\nschedule = ["30 2 * * *", "*/7 * 13 * fri"]\ntimezone = "Europe/Berlin"\ncommand = "true"\n'
    )
    code, checks = _doctor(capsys)
    assert code == 0
    assert checks["schedules"]["status"] == "ok"
    assert "2 cron expressions" in checks["schedules"]["message"]
    # An hour too late, every time.
    monkeypatch.setattr(croniter_check, "fires", lambda *args: [at + 3_600_000 for at in schedule.fires(*args)])
    code, checks = _doctor(capsys)
    assert code == 0
    assert checks["schedules"]["status"] == "warn"
    assert '"30 2 * * *" (Europe/Berlin)' in checks["schedules"]["message"]


def test_the_time_zone_database(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zones = folder / "zones"
    (zones / "Etc").mkdir(parents=True)
    (zones / "Etc" / "UTC").touch()
    (zones / "tzdata.zi").write_text("# version 2026z\n# more\n")
    monkeypatch.setattr("zoneinfo.TZPATH", (str(folder / "none"), str(zones)))
    assert _doctor(capsys)[1]["time zones"]["message"].startswith(f"2026z in {zones}; this machine is in ")
    (zones / "tzdata.zi").unlink()
    assert "an unknown version" in _doctor(capsys)[1]["time zones"]["message"]
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    assert tzdata.IANA_VERSION in _doctor(capsys)[1]["time zones"]["message"]
    monkeypatch.setitem(sys.modules, "tzdata", None)
    code, checks = _doctor(capsys)
    assert code == 1
    assert checks["time zones"]["status"] == "fail"
    assert "install tzdata" in checks["time zones"]["hint"]


def test_no_definitions_are_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = _doctor(capsys)
    assert code == 0
    assert checks["definitions"]["status"] == "warn"
    assert "jobctl init" in checks["definitions"]["hint"]


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_state_folder_that_others_can_write_to(mode: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chmod(_state(folder), mode)
    code, checks = _doctor(capsys)
    assert code == 1
    assert checks["state folder"]["status"] == "fail"
    assert "chmod 700" in checks["state folder"]["hint"]


@pytest.mark.parametrize("content", [b"", b"this is no database " * 100])
def test_a_store_that_is_none(content: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(_state(folder)) / "jobctl.db").write_bytes(content)
    code, checks = _doctor(capsys)
    assert code == 1
    assert checks["store"]["status"] == "fail"
    assert checks["store"]["hint"]


def test_a_damaged_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = _state(folder)
    _run(state, "dead")
    file = Path(state) / "jobctl.db"
    content = bytearray(file.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    content[page * 2 :] = b"\xff" * (len(content) - page * 2)
    file.write_bytes(content)
    code, checks = _doctor(capsys)
    assert code == 1
    assert checks["store"]["status"] == "fail"


def test_an_interrupted_run_is_a_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(_state(folder), "dead")
    code, checks = _doctor(capsys)
    assert code == 0
    assert checks["store"]["status"] == "ok"
    assert checks["runs"]["status"] == "warn"
    assert checks["runs"]["hint"] == "take one up again with: jobctl resume a-000001"


def test_a_run_that_somebody_has_is_not_interrupted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = _state(folder)
    Store(state).close()
    executor = Executor(state, "foreground")
    try:
        _run(state, executor.id)
        _, checks = _doctor(capsys)
    finally:
        executor.close()
    assert checks["runs"]["status"] == "ok"


def test_a_run_that_is_asleep_is_not_interrupted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = _state(folder)
    _run(state, "dead")
    with Store(state) as store, store.transaction() as db:
        db.execute("UPDATE runs SET executor = NULL, wake_at = ?", (1 << 62,))
    _, checks = _doctor(capsys)
    assert checks["runs"]["status"] == "ok"

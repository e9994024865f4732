"""Where the files of a run are."""

from __future__ import annotations

from jobctl.core.run.history import Event, EventType, replay
from jobctl.engines.run_files import attempt_files, run_folder


def test_each_run_has_a_folder_of_one_name() -> None:
    assert run_folder("/s", "backup-0a1b2c") == "/s/runs/backup-0a1b2c"
    assert run_folder("/s", "../../etc") == "/s/runs/%2E.%2F..%2Fetc"


def test_the_files_of_all_attempts_in_the_order_of_their_starts() -> None:
    events = [
        Event(EventType.RUN_CREATED, 1, data={"params": {}}),
        Event(EventType.RUN_TAKEN, 2, data={"executor": "e", "boot": ""}),
        Event(EventType.ATTEMPT_STARTED, 3, "a", 1),
        Event(EventType.ATTEMPT_ENDED, 4, "a", 1, {"status": "failed", "retry_at": 5}),
        Event(EventType.ATTEMPT_STARTED, 5, "b", 1),
        Event(EventType.ATTEMPT_STARTED, 6, "a", 2),
    ]
    found = attempt_files("/s", "x:1", replay(events))
    assert [(key, number, files.log) for key, number, _, files in found] == [
        ("a", 1, "/s/runs/x%3A1/a.1.log"),
        ("b", 1, "/s/runs/x%3A1/b.1.log"),
        ("a", 2, "/s/runs/x%3A1/a.2.log"),
    ]

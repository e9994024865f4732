"""A new run: begun, queued or failed at once - and in which order that is recorded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from places import HELD, NOW, Place, job

from jobctl.core.errors import StoreUnavailableError
from jobctl.core.model import RunStatus

AT = '{ at = "2036-01-01T00:00:00Z" }'


def begin(place: Place, name: str = "x", **how: object) -> RunStatus:
    return place.starter.start(place.job(name), NOW, trigger="schedule", **how)  # type: ignore[arg-type]


def test_where_there_is_room_a_run_begins_else_it_is_queued(new_place: Callable[..., Place]) -> None:
    place = new_place(maximum=1)
    place.arm(job(AT, HELD))
    place.capacity.refresh()
    assert [begin(place), begin(place)] == [RunStatus.RUNNING, RunStatus.QUEUED]
    assert (place.starter.begun("x"), place.starter.held("x"), place.runs()) == (1, 1, [])
    place.starter.flush()
    assert (place.starter.begun("x"), place.starter.held("x")) == (0, 0)
    assert place.statuses() == ["running", "queued"]


def test_what_is_to_be_held_is_queued_although_there_is_room(place: Place) -> None:
    place.arm(job(AT))
    assert begin(place, hold=True) is RunStatus.QUEUED
    place.starter.flush()
    assert place.statuses() == ["queued"]


def test_parameters_see_the_fire_time(place: Place) -> None:
    text = job(AT, 'echo "$JOBCTL_PARAM_DAY"', params='{ day = { type = "date", default = "{{ run.fire_date }}" } }')
    place.arm(text)
    begin(place, fire_time=NOW)
    place.starter.flush()
    place.settle()
    assert place.log(place.runs()[0]).startswith("2027-01-15")


def test_the_env_file_is_read_anew_for_each_run(place: Place) -> None:
    (place.folder / ".env").write_text("WORD=one\n")
    place.arm(job(AT, 'echo "$WORD"', env_file='".env"'))
    begin(place)
    (place.folder / ".env").write_text("WORD=two\n")
    begin(place)
    place.starter.flush()
    place.settle()
    assert [place.log(run) for run in place.runs()] == ["one\n", "two\n"]


def test_a_run_that_cannot_begin_is_told_of_when_it_is_recorded(place: Place) -> None:
    place.arm(job(AT, env_file='"gone.env"'))
    assert begin(place) is RunStatus.FAILED
    assert place.failed == []
    place.starter.flush()
    ((run, of, trigger, reason),) = place.failed
    assert (run, of, trigger) == (place.runs()[0].name, "x", "schedule")
    assert "gone.env" in reason
    assert place.runs()[0].reason == reason


def test_a_fire_time_that_another_daemon_has_dealt_with_gives_no_run(new_place: Callable[..., Place]) -> None:
    first, second = new_place(), new_place()
    first.arm(job(AT) + job(AT, name="y", env_file='"gone.env"'))
    second.arm()
    (x, y) = (number for (number,) in first.store._rows("SELECT id FROM schedules ORDER BY job"))
    for place in (first, second):
        begin(place, fire_time=NOW, schedule=x)
        begin(place, fire_time=NOW + 1, schedule=x, hold=True)
        begin(place, "y", fire_time=NOW, schedule=y)
        place.starter.flush()
        place.settle()
    assert first.statuses() == ["succeeded", "queued"]
    assert first.statuses("y") == ["failed"]
    assert second.failed == []
    assert second.told == []


@pytest.mark.parametrize(("terminate", "status"), [(False, "canceled"), (True, "terminated")])
def test_end_reaches_what_runs_what_waits_and_what_was_made_just_now(
    place: Place, terminate: bool, status: str
) -> None:
    place.arm(job(AT, HELD) + job(AT, HELD, name="y"))
    begin(place)
    begin(place, hold=True)
    place.starter.flush()
    begin(place)
    begin(place, hold=True)
    begin(place, "y")
    place.starter.end("x", terminate=terminate)
    place.until(lambda: all(row.finished_at for row in place.runs()))
    assert place.statuses() == [status] * 4
    assert place.statuses("y") == ["running"]
    assert "later fire time" in (place.runs()[0].reason or "")


def test_what_was_made_together_is_recorded_together(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.arm(job(AT, HELD))
    (number,) = (row[0] for row in place.store._rows("SELECT id FROM schedules"))
    begin(place, fire_time=NOW, schedule=number)
    begin(place, fire_time=NOW + 1, schedule=number, hold=True)

    def full(*_: object) -> None:
        raise StoreUnavailableError("full")

    with monkeypatch.context() as once:
        once.setattr(place.store, "append", full)
        place.engine.flush()  # the engine keeps what it could not record
    with pytest.raises(StoreUnavailableError):
        place.starter.flush()
    assert place.runs() == []
    place.until(place.runs)
    assert place.fired() == [0, 1]
    assert place.statuses() == ["running", "queued"]

"""What a daemon tells of: fire times that were missed, runs that could not begin, runs that are ended as poison."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from places import DAY, HOUR, MINUTE, NOW, SECOND, Place, job

from jobctl.core.errors import StoreError, StoreUnavailableError
from jobctl.core.model import Keep
from jobctl.core.run.history import Event, EventType
from jobctl.core.schedule.rows import Dropped
from jobctl.engines.local.notifications import missed
from jobctl.engines.local.submit import enqueue
from jobctl.engines.local.worker import pruner, rescuer
from jobctl.engines.local.worker.take import fail
from jobctl.host import clock
from jobctl.host.host import Host
from jobctl.store import firings

HOURLY = "{ every = '1h' }"
TELL = "echo $JOBCTL_STATUS $JOBCTL_MISSED $JOBCTL_JOB $JOBCTL_FIRE_TIME >> told"
MISSED = {"catchup_window": "'1m'", "timezone": "'UTC'", "notify": f"{{ on = ['missed'], command = '{TELL}' }}"}


def told(place: Place) -> list[str]:
    path = place.folder / "told"
    return path.read_text().splitlines() if path.exists() else []


def tell(place: Place) -> None:
    """What a daemon does with what was queued."""
    assert place.dispatch() == []
    place.settle()


def test_missed_fire_times_are_told_once_for_each_record(place: Place) -> None:
    place.arm(job(HOURLY, **MISSED))
    assert place.scheduler.once(NOW + 3 * HOUR + 30 * MINUTE) is True
    assert place.dropped() == [("missed", HOUR, 3 * HOUR, 3)]
    assert [(row.status, row.fire_time) for row in place.runs("x.notify")] == [("queued", None)]
    tell(place)
    assert told(place) == ["missed 3 x 2027-01-15T11:00:00+00:00"]
    assert place.runs() == []
    assert place.scheduler.once(NOW + 3 * HOUR + 40 * MINUTE) is False
    assert len(place.runs("x.notify")) == 1


def test_of_two_daemons_one_tells(new_place: Callable[..., Place]) -> None:
    first, second = new_place(), new_place()
    first.arm(job(HOURLY, **MISSED))
    second.arm()
    for place in (first, second):
        place.scheduler.once(NOW + 3 * HOUR + 30 * MINUTE)
    assert len(first.runs("x.notify")) == 1


def test_a_record_that_somebody_else_has_made_brings_nothing(place: Place) -> None:
    place.arm(job(HOURLY, **MISSED))
    [(number,)] = place.store._rows("SELECT id FROM schedules")
    with place.store.transaction() as db:
        firings.drop(place.store, db, [Dropped(number, "missed", NOW + HOUR, NOW + HOUR, 1, "x")], NOW)
    gone = Dropped(number, "missed", NOW + HOUR, NOW + 2 * HOUR, 2, "y")
    with place.store.transaction() as db:
        firings.drop(place.store, db, [gone], NOW, {gone: missed(place.store, place.job(), gone, NOW)})
    assert place.runs("x.notify") == []


@pytest.mark.parametrize(
    ("keys", "now"),
    [
        ({**MISSED, "notify": "{ command = 'true' }"}, 3 * HOUR + 30 * MINUTE),  # not of missed ones
        ({**MISSED, "catchup_window": "'9d'", "overlap": "'terminate_other'"}, 3 * HOUR),  # skipped, not missed
    ],
)
def test_what_nobody_wants_to_know_is_not_told(place: Place, keys: dict[str, object], now: int) -> None:
    place.arm(job(HOURLY, **keys))
    assert place.scheduler.once(NOW + now) is False
    assert place.dropped()
    assert place.runs("x.notify") == []
    place.settle()


def test_a_run_that_cannot_begin_is_told_of(place: Place) -> None:
    keys = {"env_file": "'gone'", "notify": "{ command = 'echo $JOBCTL_REASON >> told' }"}
    place.arm(job(HOURLY, **keys))
    place.fire(NOW + HOUR)
    assert place.statuses() == ["failed"]
    [row] = place.runs("x.notify")
    assert place.store.events(place.runs()[0].id)[-1].data["notifications"] == [row.name]
    tell(place)
    [line] = told(place)
    assert "there is no file" in line


def test_a_queued_run_that_cannot_begin_is_told_of(place: Place) -> None:
    place.arm(job(HOURLY, env="{ API_TOKEN = 'topsecret' }", notify="{ command = 'echo $JOBCTL_REASON >> told' }"))
    enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
    place.path.write_text("[jobs.y]\ncommand = 'true'\n")
    assert place.dispatch() == []
    assert place.statuses() == ["failed"]
    tell(place)
    [line] = told(place)
    assert line.startswith("secrets are not kept with runs")
    assert place.runs("x.notify")[0].status == "succeeded"


def test_a_run_that_is_ended_as_poison_is_told_of(place: Place) -> None:
    place.arm(job(HOURLY, notify="{ command = 'echo $JOBCTL_REASON >> told' }"))
    enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
    [row] = place.runs()
    for n in range(10):
        taken = Event(EventType.RUN_TAKEN, NOW + n * SECOND, data={"executor": "dead"})
        place.store.request(row.id, lambda *_, event=taken: (event, None))
    place.store._db.execute("UPDATE runs SET executor = 'dead'")
    [(name, what)] = rescuer.once(place.store, place.engine, clock.now())
    assert (name, what.split(":")[0]) == (row.name, "ended")
    tell(place)
    assert told(place) == ["it was recovered 10 times without progress"]


@pytest.mark.parametrize(
    ("error", "ends"),
    [(StoreUnavailableError("locked"), False), (StoreError("damaged"), True)],
)
def test_no_run_ends_untold_because_the_store_is_busy(
    place: Place, error: StoreError, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.arm(job(HOURLY, notify="{ command = 'true' }"))
    enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
    [row] = place.runs()

    def refused(_: int) -> str:
        raise error

    monkeypatch.setattr(place.store, "definition", refused)
    if ends:
        assert fail(place.store, place.engine, row, "x")
    else:
        with pytest.raises(StoreUnavailableError):
            fail(place.store, place.engine, row, "x")
    assert place.statuses() == ["failed" if ends else "queued"]


def test_people_are_told_before_anything_else_that_waits(new_place: Callable[..., Place]) -> None:
    place = new_place(maximum=1)
    place.arm(job(HOURLY, priority=9, **MISSED))
    for _ in range(3):
        enqueue(place.store, place.job(), {}, trigger="manual", host=Host())
    place.scheduler.once(NOW + 3 * HOUR + 30 * MINUTE)
    assert place.dispatch() == []
    assert [row.status for row in place.runs("x.notify")] == ["running"]
    place.settle()


def test_what_is_kept_of_a_job_is_kept_of_its_notifications(place: Place) -> None:
    text = "[jobs.x]\ncommand = 'false'\nkeep = { runs = 2 }\nnotify = { command = 'true' }\n"
    place.path.write_text(text)
    for _ in range(4):
        place.starter.start(place.job(), NOW, trigger="manual")
        place.starter.flush()
        place.settle()
    while pruner.once(place.store, place.catalog().jobs, NOW + DAY):
        pass
    assert len(place.runs()) == len(place.runs("x.notify")) == 2
    assert pruner.with_notices({"x.notify": Keep()}).keys() == {"x.notify"}

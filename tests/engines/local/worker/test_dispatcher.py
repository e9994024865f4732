"""Whose turn it is: order, places, the buffer, and runs that cannot begin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from places import HELD, NOW, Place, job

from jobctl.core.errors import StoreUnavailableError
from jobctl.engines.local.submit import enqueue
from jobctl.engines.local.worker import dispatcher
from jobctl.host.host import Host

NEVER = '{ at = "2036-01-01T00:00:00Z" }'


def held(name: str, **keys: object) -> str:
    return job(NEVER, HELD, name=name, **keys)


def queue(place: Place, *names: str, trigger: str = "manual") -> None:
    for at, name in enumerate(names):
        enqueue(place.store, place.job(name), {}, trigger=trigger, fire_time=NOW + at, host=Host())


def begun(place: Place) -> list[str]:
    """Jobs of the runs that have begun, in that order."""
    rows = [row for row in place.store.history(limit=1_000) if row.started_at is not None]
    order = {event.data.get("executor"): 0 for event in place.told}
    assert set(order) <= {None, place.engine.executor.id}
    return [run.job.name for run in place.engine.runs.values() if run.id in {row.id for row in rows}]


@pytest.mark.parametrize(
    ("text", "queued", "expected"),
    [
        (held("a") + held("b"), "ba", "ba"),
        (held("a") + held("b", priority=5), "ab", "ba"),
        (held("a", priority=-1) + held("b") + held("c", priority=1), "abc", "cba"),
        # A queue's priority goes before that of its jobs.
        (
            "[queues.fast]\npriority = 10\n" + held("a", priority=9) + held("b", queue='"fast"') + held("c"),
            "cab",
            "bac",
        ),
    ],
)
def test_the_order(place: Place, text: str, queued: str, expected: str) -> None:
    place.arm(text)
    queue(place, *queued)
    place.dispatch()
    assert begun(place) == list(expected)


# What waits, in this order -> the order in which one place is had, one after the other.
ROUNDS = [
    ("aaaabbc", "abcabaa"),
    ("bbbbbbbbba", "babbbbbbbb"),
    ("abababab", "abababab"),
]


@pytest.mark.parametrize(("queued", "expected"), ROUNDS)
def test_places_go_round_the_jobs(new_place: Callable[..., Place], queued: str, expected: str) -> None:
    """A job with ten thousand runs does not keep the others waiting (attack F22)."""
    place = new_place(maximum=1)
    place.arm("".join(job(NEVER, "true", name=name) for name in "abc"))
    queue(place, *queued)
    assert "".join(one_after_the_other(place)) == expected


def test_a_priority_goes_before_the_round(new_place: Callable[..., Place]) -> None:
    place = new_place(maximum=1)
    place.arm(job(NEVER, "true", name="a") + job(NEVER, "true", name="b") + job(NEVER, "true", name="c", priority=1))
    queue(place, *"aaabbccc")
    assert "".join(one_after_the_other(place)) == "cccababa"


def test_what_begins_at_once_has_had_its_turn(new_place: Callable[..., Place]) -> None:
    place = new_place(maximum=1)
    place.arm(job(NEVER, "true", name="a") + job(NEVER, "true", name="b"))
    place.starter.start(place.job("a"), NOW, trigger="manual")
    place.starter.flush()
    queue(place, *"aab")
    place.settle()
    assert "".join(one_after_the_other(place)) == "baa"


def test_the_round_goes_by_those_whose_queue_is_full(new_place: Callable[..., Place]) -> None:
    place = new_place(maximum=2)
    place.arm("[queues.one]\nconcurrency = 1\n" + held("a", queue='"one"') + held("b"))
    queue(place, *"aaab")
    place.dispatch()
    assert begun(place) == ["a", "b"]


def one_after_the_other(place: Place) -> list[str]:
    """The jobs of all that waits, as they begin."""
    found: list[str] = []
    while True:
        place.dispatch()
        names = [run.job.name for run in place.engine.runs.values()]
        if not names:
            return found
        found += names
        place.settle()


def test_as_many_as_there_is_room_for(new_place: Callable[..., Place]) -> None:
    place = new_place(maximum=2)
    place.arm(held("a"))
    queue(place, *"aaa")
    place.dispatch()
    assert place.statuses("a") == ["running", "running", "queued"]
    place.dispatch()
    assert place.statuses("a") == ["running", "running", "queued"]
    place.let_go()
    place.settle()
    place.dispatch()
    place.settle()
    assert place.statuses("a") == ["succeeded"] * 3


def test_a_full_queue_holds_up_no_other(place: Place) -> None:
    place.arm("[queues.db]\nconcurrency = 1\n" + held("a", queue='"db"', priority=5) + held("b"))
    queue(place, *"a" * 300, "b")
    place.dispatch()
    assert begun(place) == ["a", "b"]


@pytest.mark.parametrize("trigger", ["manual", "schedule"])
def test_a_long_line_costs_no_more_than_a_short_one(new_place: Callable[..., Place], trigger: str) -> None:
    place = new_place(maximum=1)
    place.arm(job(NEVER, "true", name="a", overlap='"buffer_all"'))

    def work() -> int:
        """What SQLite has to do until the next in line has begun and ended, in tens of its instructions."""
        count = 0

        def tick() -> int:
            nonlocal count
            count += 1
            return 0

        place.store._db.set_progress_handler(tick, 10)
        place.dispatch()
        assert len(place.engine.runs) == 1
        place.settle()
        place.store._db.set_progress_handler(None, 0)
        return count

    queue(place, *"a" * 100, trigger=trigger)
    work()
    short = work()
    queue(place, *"a" * 800, trigger=trigger)
    assert work() < 1.5 * short


def test_the_places_of_a_queue_are_shared_by_daemons(new_place: Callable[..., Place]) -> None:
    first, second = new_place(), new_place()
    first.arm("[queues.db]\nconcurrency = 2\n" + held("a", queue='"db"'))
    second.arm()
    queue(first, *"aaaa")
    first.dispatch()
    second.dispatch()
    assert first.statuses("a") == ["running", "running", "queued", "queued"]


def test_what_a_schedule_has_buffered_waits_for_the_others_of_its_job(place: Place) -> None:
    place.arm(held("a", overlap='"buffer_all"') + held("b"))
    queue(place, *"a" * 250, trigger="schedule")
    queue(place, "b")
    place.dispatch()
    place.dispatch()
    assert begun(place) == ["a", "b"]
    place.let_go()
    place.settle()
    place.dispatch()
    assert begun(place) == ["a"]


def test_what_was_queued_by_hand_does_not_wait_for_others(place: Place) -> None:
    place.arm(held("a"))
    queue(place, "a", "a")
    place.dispatch()
    assert begun(place) == ["a", "a"]


def test_a_run_that_cannot_begin_is_failed_and_gives_its_place_back(new_place: Callable[..., Place]) -> None:
    place = new_place(maximum=1)
    (place.folder / "a.env").write_text("K=v\n")
    place.arm(held("a", env_file='"a.env"') + held("b"))
    queue(place, "a", trigger="schedule")
    queue(place, "b")
    (place.folder / "a.env").unlink()
    place.dispatch()
    assert place.statuses("a") == ["failed"]
    assert "a.env" in (place.runs("a")[0].reason or "")
    assert [(failed.job, failed.trigger) for failed in place.failed] == [("a", "schedule")]
    assert begun(place) == ["b"]


def test_a_run_that_cannot_be_read_holds_up_no_other(place: Place) -> None:
    place.arm(held("a") + held("b"))
    queue(place, *"ab")
    (damaged, _) = [*place.runs("a"), *place.runs("b")]
    place.store._db.execute("UPDATE definitions SET body = '{' WHERE id = ?", (damaged.definition,))
    ((name, why),) = place.dispatch()
    assert name == damaged.name
    assert "cannot be read" in why
    assert begun(place) == ["b"]
    assert place.statuses("a") == ["queued"]


def test_a_store_that_cannot_be_written_is_not_a_fault_of_the_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.arm(held("a"))
    queue(place, "a")

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailableError("full")

    monkeypatch.setattr(dispatcher, "take", full)
    with pytest.raises(StoreUnavailableError):
        place.dispatch()
    assert place.statuses("a") == ["queued"]


def test_a_step_stands_in_its_queue_once(place: Place) -> None:
    retry = 'retry = { maximum_attempts = 2, initial_interval = "50s" }'
    place.arm(
        "[queues.q]\nconcurrency = 1\n"
        f'[jobs.a]\n[[jobs.a.steps]]\nname = "s"\nqueue = "q"\ncommand = "{HELD}"\n'
        f'[jobs.b]\n[[jobs.b.steps]]\nname = "s"\nqueue = "q"\ncommand = "exit 1"\n{retry}\n'
    )
    place.engine.queues = place.catalog().queues
    queue(place, *"ab")
    place.dispatch()
    place.let_go()
    run = place.runs("b")[0].id
    place.until(lambda: place.engine.runs[run].step_state("s").retry_at is not None)
    place.until(lambda: not place.engine.lines.waiting)
    place.engine.turn(0)
    assert len(place.store.state(place.store.run(run)).steps["s"].attempts) == 1

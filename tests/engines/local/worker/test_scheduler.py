"""Fire times and what becomes of each: run, buffered, skipped, missed or passed over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from places import DAY, HELD, HOUR, MINUTE, NOW, SECOND, Place, job

from jobctl.core.errors import JobctlError
from jobctl.core.model import RunStatus, encode_schedule
from jobctl.core.schedule.overlap import BUFFER_LIMIT
from jobctl.core.schedule.zones import ZoneError
from jobctl.engines.local import unbegun
from jobctl.engines.local.client import LocalClient
from jobctl.engines.local.submit import enqueue
from jobctl.engines.local.worker import scheduler as module
from jobctl.host.host import Host
from jobctl.store import firings

EVERY_MINUTE = '{ every = "1m" }'
M = MINUTE


# -- when --------------------------------------------------------------------------------------------------------------


def test_a_new_schedule_fires_from_now_on_and_not_for_now(place: Place) -> None:
    place.arm(job(EVERY_MINUTE, overlap='"allow_all"'))
    place.fire(NOW)
    assert place.fired() == []
    assert place.scheduler.next_due() == NOW + M
    place.fire(NOW + M - 1)
    assert place.fired() == []
    place.fire(NOW + M)
    assert place.fired() == [M]
    assert place.scheduler.next_due() == NOW + 2 * M


def test_the_run_says_when_it_was_due(place: Place) -> None:
    place.arm(job(EVERY_MINUTE, 'echo "$JOBCTL_FIRE_TIME"'))
    place.fire(NOW + M + 7)
    place.settle()
    (run,) = place.runs()
    assert (run.trigger, run.status) == ("schedule", "succeeded")
    assert place.log(run) == "2027-01-15T08:01:00.000+00:00\n"


def test_each_schedule_of_a_job_fires(place: Place) -> None:
    place.arm(job('[{ every = "2m" }, { every = "3m" }, { every = "6m" }]', overlap='"allow_all"'))
    for minute in range(1, 7):
        place.fire(NOW + minute * M)
    assert sorted(place.fired()) == [2 * M, 3 * M, 4 * M, 6 * M, 6 * M, 6 * M]


def test_jobs_that_fire_together_for_one_place_in_a_queue_all_have_their_run(place: Place) -> None:
    steps = "".join(
        f"[jobs.{name}]\nschedule = {EVERY_MINUTE}\n"
        f'[[jobs.{name}.steps]]\nname = "s"\nqueue = "narrow"\ncommand = "true"\n'
        for name in "abc"
    )
    place.arm(f"[queues.narrow]\nconcurrency = 1\n{steps}")
    place.engine.queues = place.catalog().queues
    place.fire(NOW + M)
    place.settle()
    assert [(place.fired(name), place.statuses(name)) for name in "abc"] == [([M], ["succeeded"])] * 3


def test_schedules_of_a_job_at_the_same_instant_overlap_like_any_others(place: Place) -> None:
    place.arm(job('[{ every = "2m" }, { every = "3m" }]', HELD, overlap='"skip"'))
    place.fire(NOW + 6 * M - 1)
    place.engine.turn(0)
    place.let_go()
    place.settle()
    before = len(place.runs())
    place.fire(NOW + 6 * M)
    assert len(place.runs()) == before + 1
    assert place.dropped()[-1] == ("skipped", 6 * M, 6 * M, 1)


def test_once(place: Place) -> None:
    place.arm(job('{ at = "2027-01-15T08:05:00Z" }'))
    place.fire(NOW + 5 * M)
    place.fire(NOW + DAY)
    assert place.fired() == [5 * M]
    assert place.scheduler.next_due() is None


@pytest.mark.parametrize(
    ("schedule", "zone", "start", "looks", "expected"),
    [
        # The clocks go forward on 2027-03-28 at 01:00 UTC, back on 2027-10-31 at 01:00 UTC.
        ("30 2 * * *", "Europe/Berlin", 1_806_188_400_000, 30, [1_806_195_600_000]),
        ("30 2 * * *", "Europe/Berlin", 1_824_933_600_000, 30, [1_824_942_600_000]),
        ("*/30 * * * *", "Europe/Berlin", 1_824_942_600_000, 2, [1_824_942_600_000 + n * 30 * M for n in range(1, 5)]),
    ],
    ids=["skipped hour", "doubled hour, fixed", "doubled hour, wild"],
)
def test_days_on_which_the_clocks_change(
    place: Place, schedule: str, zone: str, start: int, looks: int, expected: list[int]
) -> None:
    text = job(f'{{ cron = "{schedule}", timezone = "{zone}" }}', overlap='"allow_all"')
    place.arm(text, now=start)
    for look in range(1, looks + 1):
        place.fire(start + look * HOUR)
    assert [at + NOW for at in place.fired()][: len(expected)] == expected
    assert len(place.fired()) == (len(expected) if looks < 24 else 2 if start + 30 * HOUR > expected[0] + DAY else 1)


def test_a_schedule_that_never_fires_is_asked_for_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.arm(job('{ every = "1m", exclude = ["* * * * *"] }', name="never") + job(EVERY_MINUTE))
    assert place.scheduler.next_due() == NOW + M
    asked: list[object] = []
    real = module.next_fire
    monkeypatch.setattr(module, "next_fire", lambda *args, **zone: asked.append(args) or real(*args, **zone))
    place.arm(now=NOW + SECOND)
    place.scheduler.resync(NOW + SECOND)
    assert asked == []
    place.fire(NOW + M)
    assert len(asked) == 1


def test_jitter_moves_the_start_and_not_the_fire_time(place: Place) -> None:
    place.arm(job('{ every = "1h", jitter = "30m" }'))
    due = place.scheduler.next_due()
    assert due is not None
    assert 0 < due - NOW - HOUR < 30 * M
    place.fire(due - 1)
    assert place.fired() == []
    place.fire(due)
    assert place.fired() == [HOUR]


def test_jitter_longer_than_the_interval_loses_no_fire_time(place: Place) -> None:
    place.arm(job('{ every = "1m", jitter = "10m" }', overlap='"allow_all"'))
    for second in range(0, 3600, 10):
        place.fire(NOW + second * SECOND)
    assert place.fired() == [n * M for n in range(1, len(place.fired()) + 1)]
    assert len(place.fired()) >= 50


def test_what_starts_late_by_its_jitter_has_not_been_missed(place: Place) -> None:
    place.arm(job('{ every = "1h", jitter = "50m" }', catchup_window='"1m"', overlap='"allow_all"'))
    for hour in range(4):
        due = place.scheduler.next_due()
        assert due is not None
        place.fire(due)
        assert len(place.fired()) == hour + 1
    assert place.dropped() == []


# -- catch-up ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "down", "fired", "dropped"),
    [
        ({"overlap": '"allow_all"'}, 3 * M, [M, 2 * M, 3 * M], []),
        ({"overlap": '"allow_all"', "catchup_window": '"90s"'}, 4 * M, [3 * M, 4 * M], [("missed", M, 2 * M, 2)]),
        # At the edge: less than the window is caught up, and the fire time of this moment is.
        ({"overlap": '"allow_all"', "catchup_window": '"1m"'}, 3 * M, [2 * M, 3 * M], [("missed", M, M, 1)]),
        ({"overlap": '"allow_all"', "catchup_window": '"1ms"'}, 2 * M + 500, [2 * M], [("missed", M, M, 1)]),
        ({"overlap": '"allow_all"', "catchup_window": '"10s"'}, 3 * M - 1, [], [("missed", M, 2 * M, 2)]),
        # So long may a run wait for whoever begins it: what comes too late for that is missed, too.
        ({"overlap": '"allow_all"', "start_within": '"90s"'}, 4 * M, [3 * M, 4 * M], [("missed", M, 2 * M, 2)]),
        ({"overlap": '"allow_all"', "start_within": '"1ms"'}, 2 * M + 500, [2 * M], [("missed", M, M, 1)]),
        (
            {"overlap": '"allow_all"', "start_within": '"90s"', "catchup_window": '"150s"'},
            5 * M,
            [4 * M, 5 * M],
            [("missed", M, 2 * M, 2), ("missed", 3 * M, 3 * M, 1)],
        ),
        ({"overlap": '"buffer_all"', "start_within": '"90s"'}, 3 * M, [2 * M, 3 * M], [("missed", M, M, 1)]),
        # Oldest first, then the overlap policy.
        ({"overlap": '"skip"'}, 4 * M, [M], [("skipped", 2 * M, 4 * M, 3)]),
        ({"overlap": '"buffer_one"'}, 4 * M, [M, 2 * M], [("skipped", 3 * M, 4 * M, 2)]),
        ({"overlap": '"buffer_all"'}, 3 * M, [M, 2 * M, 3 * M], []),
        ({"overlap": '"cancel_other"'}, 4 * M, [4 * M], [("skipped", M, 3 * M, 3)]),
        ({"overlap": '"terminate_other"'}, 4 * M, [4 * M], [("skipped", M, 3 * M, 3)]),
        (
            {"overlap": '"skip"', "catchup_window": '"150s"'},
            5 * M,
            [3 * M],
            [("missed", M, 2 * M, 2), ("skipped", 4 * M, 5 * M, 2)],
        ),
    ],
)
def test_after_downtime(
    place: Place, keys: dict[str, object], down: int, fired: list[int], dropped: list[tuple[str, int, int, int]]
) -> None:
    place.arm(job(EVERY_MINUTE, HELD, **keys))
    place.arm(now=NOW + down)  # the next daemon starts
    place.fire(NOW + down)
    assert place.fired() == fired
    assert place.dropped() == dropped
    # Whoever comes next has nothing left to do.
    place.arm(now=NOW + down)
    place.fire(NOW + down)
    assert place.fired() == fired


def test_thousands_of_missed_fire_times_are_counted_and_leave_room_for_others(place: Place) -> None:
    month = 30 * DAY
    place.arm(
        job('{ every = "1m" }', HELD, catchup_window='"1d"', catchup_limit=10_000)
        + job('{ every = "1h" }', name="other")
    )
    place.scheduler.once(NOW + month)
    assert place.fired("other")  # it has not waited for all of them
    place.fire(NOW + month)
    missed = month // M - DAY // M - 1
    assert sum(count for outcome, _, _, count in place.dropped() if outcome == "missed") == missed
    assert place.fired() == [month - DAY]
    assert sum(count for outcome, _, _, count in place.dropped() if outcome == "skipped") == DAY // M


def test_what_is_caught_up_in_portions_finds_the_runs_of_its_beginning(place: Place) -> None:
    month = 30 * DAY
    place.arm(job('{ every = "1m" }', catchup_limit=100_000))
    while (due := place.scheduler.next_due()) is not None and due <= NOW + month:
        place.scheduler.once(NOW + month)
        place.settle()  # the run is over long before the last portion comes
    assert place.fired() == [M]
    place.fire(NOW + month + M)
    assert place.fired() == [M, month + M]


def test_the_buffer_is_bounded_and_what_does_not_fit_is_recorded(place: Place) -> None:
    place.arm(job('{ every = "1s" }', HELD, overlap='"buffer_all"', catchup_limit=2_000))
    more = 25
    place.fire(NOW + (1 + BUFFER_LIMIT + more) * SECOND)
    assert place.statuses().count("queued") == BUFFER_LIMIT
    assert place.statuses().count("running") == 1
    assert sum(count for *_, count in place.dropped()) == more


def _drops(place: Place) -> list[tuple[str, int, str]]:
    """(outcome, how many, why)"""
    return place.store._rows("SELECT outcome, count, reason FROM firings WHERE run IS NULL ORDER BY fire_time")


@pytest.mark.parametrize("down", [50, 1_000, 1_001, 45_000])
@pytest.mark.parametrize("policy", ["skip", "allow_all", "cancel_other"])
def test_a_catch_up_is_bounded_and_the_newest_are_kept(place: Place, policy: str, down: int) -> None:
    """Attack F22: 31 days of `* * * * *` were 44,640 runs."""
    limit = 40
    place.arm(job("'* * * * *'", HELD, overlap=f'"{policy}"', catchup_limit=limit))
    place.fire(NOW + down * M)
    kept = range(down - limit + 1, down + 1)
    expected = {"skip": [kept[0]], "allow_all": list(kept), "cancel_other": [kept[-1]]}[policy]
    assert [at // M for at in place.fired()] == expected
    missed = [(count, reason) for outcome, count, reason in _drops(place) if outcome == "missed"]
    assert sum(count for count, _ in missed) == down - limit
    assert {reason for _, reason in missed} == {"more fire times had come due than catchup_limit = 40"}


def test_the_limit_is_a_thousand(place: Place) -> None:
    place.arm(job("'* * * * *'", HELD))
    place.fire(NOW + 1_500 * M)
    assert place.fired() == [501 * M]


@pytest.mark.parametrize("policy", ["skip", "buffer_one"])
def test_what_came_due_together_was_not_alive(place: Place, policy: str) -> None:
    """Schedulers F10.1, daily use F37: of the others was said that a run had been alive."""
    place.arm(job("'0 3 * * *'", HELD, overlap=f'"{policy}"', timezone='"Europe/Berlin"'))
    place.fire(NOW + 5 * DAY)
    kept = {"skip": 1, "buffer_one": 2}[policy]
    assert len(place.fired()) == kept
    [(outcome, count, reason)] = _drops(place)
    assert (outcome, count) == ("skipped", 5 - kept)
    which = "has the run" if policy == "skip" else "waits"
    assert reason == f"came due together with 2027-01-16T03:00:00+01:00, which {which} (overlap = {policy})"
    place.fire(NOW + 6 * DAY)
    assert "still alive" in _drops(place)[-1][2] or "waiting already" in _drops(place)[-1][2]


def test_two_schedules_that_came_due_together(place: Place) -> None:
    place.arm(job('[{ every = "2m" }, { every = "3m" }]', HELD))
    place.fire(NOW + 6 * M)
    assert len(place.runs()) == 1
    assert all("came due together" in reason for _, _, reason in _drops(place))


def test_what_wakes_up_together_starts_apart(place: Place) -> None:
    """systemd/systemd#43464: 30 jobs with jitter slept with their machine, and all started at once."""
    names = [f"j{n:02}" for n in range(30)]
    place.arm("".join(job('{ every = "1h", jitter = "10m" }', HELD, name=name) for name in names))
    wakes = NOW + 9 * HOUR + 17 * M
    place.fire(wakes)
    assert sum(len(place.runs(name)) for name in names) <= 3
    started = {}
    for second in range(0, 601, 10):
        place.fire(wakes + second * SECOND)
        for name in names:
            if place.runs(name):
                started.setdefault(name, second // 60)
    assert set(started) == set(names)
    assert len(set(started.values())) >= 7
    assert all(place.fired(name)[0] == HOUR for name in names)  # the oldest, and once
    assert {len(place.runs(name)) for name in names} == {1}


def test_what_is_put_off_by_its_jitter_is_not_missed_for_that(place: Place) -> None:
    place.arm(job('{ at = "2027-01-15T09:00:00Z", jitter = "10m" }', catchup_window='"61m"', start_within='"61m"'))
    wakes = NOW + 2 * HOUR
    for second in range(0, 601, 10):
        place.fire(wakes + second * SECOND)
    assert place.fired() == [HOUR]
    assert place.dropped() == []


def test_one_whose_turn_jitter_turned_round_is_not_too_late_for_that(place: Place) -> None:
    text = job('{ every = "1m", jitter = "1h" }', HELD, overlap='"cancel_other"', start_within='"61s"')
    place.arm(text)
    for minute in range(1, 121):  # some of them start together with one before them that starts late
        place.fire(NOW + minute * M)
    assert place.fired()
    firsts = [place.store.events(row.id)[0] for row in place.store.history(limit=200)]
    assert [first for first in firsts if first.data["start_by"] <= first.at] == []


def test_one_that_is_called_once_does_what_is_due(place: Place) -> None:
    place.arm(job('{ every = "1h", jitter = "10m" }'))
    place.scheduler.once(NOW + 9 * HOUR + 17 * M, spread=False)
    assert place.fired() == [HOUR]


# -- overlap -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "after_second", "after_third"),
    [
        ("skip", ["running"], ["running"]),
        ("buffer_one", ["running", "queued"], ["running", "queued"]),
        ("buffer_all", ["running", "queued"], ["running", "queued", "queued"]),
        ("allow_all", ["running", "running"], ["running", "running", "running"]),
        ("cancel_other", ["canceled", "queued"], ["canceled", "canceled", "queued"]),
        ("terminate_other", ["terminated", "queued"], ["terminated", "terminated", "queued"]),
    ],
)
def test_overlap_policies(place: Place, policy: str, after_second: list[str], after_third: list[str]) -> None:
    place.arm(job(EVERY_MINUTE, HELD, overlap=f'"{policy}"'))

    def fire(minute: int) -> list[str]:
        place.fire(NOW + minute * M)
        if policy.endswith("other") and minute > 1:
            place.until(lambda: len(place.runs()) == minute and place.statuses()[-2] not in ("running", "queued"))
        return place.statuses()

    assert fire(1) == ["running"]
    assert fire(2) == after_second
    assert fire(3) == after_third
    place.let_go()
    while place.engine.busy or "queued" in place.statuses():
        place.settle()
        place.dispatch()
    assert set(place.statuses()) <= {"succeeded", "canceled", "terminated"}
    assert place.statuses()[-1] == "succeeded"


@pytest.mark.parametrize("policy", ["cancel_other", "terminate_other"])
def test_the_new_run_starts_after_the_other_has_ended(place: Place, policy: str) -> None:
    stubborn = 'trap "sleep 0.2; echo end >> marks; exit" TERM; echo begin >> marks; while :; do sleep 0.02; done'
    place.arm(job(EVERY_MINUTE, stubborn, overlap=f'"{policy}"'))
    marks = place.folder / "marks"
    place.fire(NOW + M)
    place.until(marks.exists)
    place.fire(NOW + 2 * M)
    place.dispatch()
    assert place.statuses()[1] == "queued"  # the other is still there
    place.until(lambda: place.statuses()[0] != "running")
    place.dispatch()
    place.until(lambda: marks.read_text().count("begin") == 2)
    expected = ["begin", "end", "begin"] if policy == "cancel_other" else ["begin", "begin"]
    assert marks.read_text().split() == expected


@pytest.mark.parametrize("policy", ["cancel_other", "terminate_other"])
def test_schedules_that_replace_each_other_at_one_instant_leave_one_run(place: Place, policy: str) -> None:
    place.arm(job('[{ every = "2m" }, { every = "3m" }, { every = "6m" }]', HELD, overlap=f'"{policy}"'), now=NOW)
    place.arm(now=NOW)
    place.fire(NOW + 6 * M)
    place.until(lambda: place.statuses().count("running") == 0)
    assert place.statuses().count("queued") == 1
    assert place.statuses()[-1] == "queued"


def test_a_run_that_was_begun_by_hand_counts_too(place: Place) -> None:
    place.arm(job(EVERY_MINUTE, HELD))
    place.starter.start(place.job(), NOW, trigger="manual")
    place.starter.flush()
    place.fire(NOW + M)
    assert place.fired() == []
    assert place.dropped() == [("skipped", M, M, 1)]


def test_without_room_a_fire_is_queued(new_place: Callable[..., Place]) -> None:
    place = new_place(maximum=1)
    place.arm(job(EVERY_MINUTE, HELD, overlap='"allow_all"') + job(EVERY_MINUTE, HELD, name="y"))
    place.fire(NOW + 2 * M)
    statuses = [*place.statuses(), *place.statuses("y")]
    assert statuses.count("running") == 1
    assert statuses.count("queued") == 2
    place.dispatch()
    assert [*place.statuses(), *place.statuses("y")].count("running") == 1


# -- edited, removed, paused -------------------------------------------------------------------------------------------


def test_an_edited_schedule_starts_from_now(place: Place) -> None:
    place.arm(job(EVERY_MINUTE))
    place.arm(job('{ every = "20s" }'), now=NOW + 70 * SECOND)
    place.fire(NOW + 70 * SECOND)
    assert place.fired() == []
    place.fire(NOW + 80 * SECOND)
    assert place.fired() == [80 * SECOND]


def test_an_edit_of_something_else_loses_no_fire_time(place: Place) -> None:
    place.arm(job(EVERY_MINUTE))
    place.arm(job(EVERY_MINUTE, description='"new"'), now=NOW + M + 1)
    place.fire(NOW + M + 1)
    assert place.fired() == [M]


def test_a_removed_schedule_fires_no_more_and_comes_back_from_then(place: Place) -> None:
    place.arm(job(EVERY_MINUTE))
    place.arm("[jobs.x]\ncommand = 'true'\n", now=NOW + 30 * SECOND)
    place.fire(NOW + 5 * M)
    assert place.scheduler.next_due() is None
    place.arm(job(EVERY_MINUTE), now=NOW + 5 * M + 1)
    place.fire(NOW + 6 * M)
    assert place.fired() == [6 * M]


def test_what_another_daemon_has_read_to_be_removed_does_not_fire_here(new_place: Callable[..., Place]) -> None:
    old, new = new_place(), new_place()
    old.arm(job(EVERY_MINUTE))
    new.arm(job(EVERY_MINUTE, name="y"), now=NOW + SECOND)
    old.fire(NOW + M)
    assert old.fired() == []


def test_a_paused_schedule_is_passed_over_and_not_caught_up(place: Place) -> None:
    place.arm(job(EVERY_MINUTE, overlap='"allow_all"') + job(EVERY_MINUTE, name="y"))
    firings.pause(place.store, "x", at=NOW, reason=None, who="me")
    place.fire(NOW + 3 * M)
    firings.unpause(place.store, "x", now=NOW + 3 * M + 5)
    place.arm(now=NOW + 3 * M + 6)
    place.fire(NOW + 4 * M)
    assert place.fired() == [4 * M]
    assert place.dropped() == []
    assert place.fired("y")  # another job's schedules are not concerned


def test_a_job_that_was_paused_while_no_daemon_ran_starts_from_its_unpausing(place: Place) -> None:
    place.arm(job(EVERY_MINUTE, overlap='"allow_all"'))
    firings.pause(place.store, "x", at=NOW + SECOND, reason=None, who=None)
    firings.unpause(place.store, "x", now=NOW + 10 * M)
    place.arm(now=NOW + 11 * M)
    place.fire(NOW + 11 * M)
    assert place.fired() == [11 * M]


# -- clocks that are set -----------------------------------------------------------------------------------------------


# As Debian's cron does it. NOW is 08:00 in UTC; the clock was right until a minute before 10:30, and is set back then.
# What the schedule is -> by how much -> which times of the day have fired, in order.
SET_BACK = [
    ("'5 * * * *'", 90, ["08:05", "09:05", "10:05", "09:05", "10:05", "11:05"]),
    ("'*/30 9-11 * * *'", 90, ["09:00", "09:30", "10:00", "09:00", "09:30", "10:00", "10:30", "11:00"]),
    ('{ every = "30m" }', 60, ["08:30", "09:00", "09:30", "10:00", "09:30", "10:00", "10:30", "11:00"]),
    ("'15 8-10 * * *'", 90, ["08:15", "09:15", "10:15"]),
    ("'15 8-11 * * *'", 179, ["08:15", "09:15", "10:15", "11:15"]),
    ("'0 10 * * *'", 90, ["10:00"]),
    ("'0 9 * * *'", 5, ["09:00"]),
    ('{ at = "2027-01-15T10:00:00Z" }', 120, ["10:00"]),
    # By more than three hours: it had been wrong, and everything starts anew.
    ("'0 10 * * *'", 181, ["10:00", "10:00"]),
    ('{ at = "2027-01-15T10:00:00Z" }', 200, ["10:00", "10:00"]),
    ('{ every = "30m" }', 24 * 60, ["08:30", "09:00", "09:30", "10:00"]),
]


@pytest.mark.parametrize("restarted", [False, True], ids=["", "and another daemon starts"])
@pytest.mark.parametrize(("schedule", "minutes", "expected"), SET_BACK)
def test_a_clock_that_is_set_back(
    new_place: Callable[..., Place], schedule: str, minutes: int, expected: list[str], restarted: bool
) -> None:
    place = new_place()
    place.arm(job(schedule, overlap='"allow_all"'))
    right = NOW + 149 * M
    _minutes(place, NOW, right)
    if restarted:
        place.die()
        place = new_place()
        place.arm(now=right - minutes * M)
    else:
        place.scheduler.resync(right - minutes * M, -minutes * M)
    if restarted and 180 < minutes < 300:
        return  # it cannot know: what it finds lies ahead by less
    _minutes(place, right - minutes * M, max(NOW + 200 * M if minutes < 1000 else 0, right - minutes * M))
    found = [f"{8 + at // HOUR:02}:{at % HOUR // M:02}" for at in place.fired()]
    assert found == expected


def _minutes(place: Place, start: int, end: int) -> None:
    for now in range(start, end + 1, M):
        place.fire(now)
        assert _told(place, now) == place.scheduler.next_due()


def _told(place: Place, now: int) -> int | None:
    """When the job's schedule fires next, as people are told it - the first of several jobs."""
    found = []
    for one in place.catalog().jobs.values():
        for schedule in one.schedules:
            for at in LocalClient(place.store).coming(one, schedule, now, 1):
                found.append(at + module.jitter(one.name, encode_schedule(schedule, one), at, schedule.jitter))
    return min(found, default=None)


@pytest.mark.parametrize("jitter", ["20s", "10m", "30m"])
def test_people_are_told_of_what_waits_for_its_jitter(place: Place, jitter: str) -> None:
    place.arm(job(f'{{ cron = "*/7 * * * *", jitter = "{jitter}" }}', overlap='"allow_all"'))
    for now in range(NOW, NOW + 60 * M, 10 * SECOND):
        place.fire(now)
        assert _told(place, now) == place.scheduler.next_due()
    assert place.fired()


def test_what_was_first_seen_by_a_clock_that_was_ahead_fires(place: Place) -> None:
    """celery/celery#6742, quartznet/quartznet#1440: nothing had been dealt with, and nothing fired for an hour."""
    place.arm(job("'30 8 * * *'") + job('{ every = "5s" }', name="y"), now=NOW + HOUR)
    place.scheduler.resync(NOW + SECOND, -HOUR)
    place.fire(NOW + 5 * SECOND)
    assert place.fired("y") == [5 * SECOND]
    place.fire(NOW + 30 * M)
    assert place.fired() == [30 * M]


def test_what_a_wrong_clock_missed_is_still_to_come(place: Place) -> None:
    place.arm(job("'30 8 * * *'", catchup_window='"5m"'))
    place.scheduler.resync(NOW + 2 * HOUR, 2 * HOUR)
    place.fire(NOW + 2 * HOUR)
    assert place.dropped() == [("missed", 30 * M, 30 * M, 1)]
    place.scheduler.resync(NOW + M, -2 * HOUR)
    place.fire(NOW + 30 * M)
    assert (place.fired(), place.dropped()) == ([30 * M], [])


def test_a_clock_that_goes_two_hours_ahead_and_back_fires_nothing_twice_that_has_a_fixed_time(place: Place) -> None:
    place.arm(job("'0,30 8-12 * * *'", overlap='"allow_all"'))
    for now in (NOW + 30 * M, NOW + 2 * HOUR, NOW + 5 * M, NOW + 90 * M, NOW + 2 * HOUR, NOW + 150 * M):
        place.scheduler.resync(now)
        place.fire(now)
    assert place.fired() == [30 * M, 60 * M, 90 * M, 120 * M, 150 * M]


def test_a_clock_that_is_set_back_and_forth_again(place: Place) -> None:
    """What follows real time has missed nothing when the clock is right again."""
    place.arm(job('{ every = "1m" }', overlap='"allow_all"'))
    _minutes(place, NOW, NOW + 120 * M)
    place.scheduler.resync(NOW + 30 * M, -90 * M)
    _minutes(place, NOW + 30 * M, NOW + 33 * M)
    place.arm(
        job('{ every = "1m" }', overlap='"allow_all"') + job('{ every = "1h" }', name="y", overlap='"allow_all"'),
        now=NOW + 33 * M,
    )
    place.scheduler.resync(NOW - 30 * M, -63 * M)
    _minutes(place, NOW - 30 * M, NOW - 27 * M)
    before = len(place.fired())
    place.scheduler.resync(NOW + 123 * M, 150 * M)
    place.fire(NOW + 123 * M)
    assert place.fired()[before:] == [121 * M, 122 * M, 123 * M]
    assert place.fired("y") == [60 * M, 120 * M]  # it had stood at half past eight


def test_two_daemons_that_see_a_clock_set_back_fire_nothing_twice(new_place: Callable[..., Place]) -> None:
    one, two = new_place(), new_place()
    one.arm(job('{ every = "1m" }', overlap='"allow_all"'))
    two.arm()
    one.fire(NOW + 60 * M)
    fired = len(one.fired())
    one.scheduler.resync(NOW + 10 * M, -50 * M)
    one.fire(NOW + 11 * M)
    two.scheduler.resync(NOW + 11 * M, -50 * M)
    two.fire(NOW + 11 * M)
    assert one.fired()[fired:] == [11 * M]


def test_a_clock_that_was_years_ahead_does_not_silence_a_schedule(place: Place) -> None:
    place.arm(job('{ every = "1d" }', HELD))
    wrong = NOW + 400 * DAY
    place.scheduler.resync(wrong)
    place.fire(wrong)
    assert place.runs()
    place.let_go()
    place.settle()
    before = len(place.runs())
    place.scheduler.resync(NOW + HOUR)
    first = next(at for at in range(NOW + HOUR, NOW + 2 * DAY, HOUR) if at % DAY == 0)
    assert place.scheduler.next_due() == first
    place.fire(first)
    assert len(place.runs()) == before + 1


def test_a_daemon_that_starts_after_the_clock_was_put_right_is_not_silent_either(place: Place) -> None:
    place.arm(job(EVERY_MINUTE), now=NOW + 400 * DAY)
    place.fire(NOW + 400 * DAY + M)
    place.arm(now=NOW)
    assert place.scheduler.next_due() == NOW + M


# -- trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "reason"),
    [({"env_file": '"gone.env"'}, "gone.env"), ({"params": '{ day = { type = "date" } }'}, "day")],
)
def test_a_job_that_cannot_begin_is_recorded_as_failed_and_stops_no_other(
    place: Place, keys: dict[str, object], reason: str
) -> None:
    place.arm(job(EVERY_MINUTE, name="a", overlap='"allow_all"', **keys) + job(EVERY_MINUTE, name="b"))
    place.fire(NOW + 2 * M)
    assert place.statuses("a") == ["failed", "failed"]
    assert reason in (place.runs("a")[0].reason or "")
    assert place.fired("b")
    assert [(failed.job, failed.trigger) for failed in place.failed] == [("a", "schedule")] * 2


def test_what_could_not_be_recorded_is_fired_when_it_can(place: Place) -> None:
    place.arm(job(EVERY_MINUTE, HELD) + job(EVERY_MINUTE, name="y", overlap='"buffer_all"'))
    place.store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(JobctlError):
        place.scheduler.once(NOW + 2 * M)
    assert place.scheduler.next_due() == NOW + M
    place.store._db.execute("PRAGMA query_only = OFF")
    place.fire(NOW + 3 * M)
    assert place.fired() == [M]
    assert place.dropped() == [("skipped", 2 * M, 3 * M, 2)]
    assert place.fired("y") == [M, 2 * M, 3 * M]


def test_a_daemon_that_dies_between_its_commits_loses_no_fire_time(
    new_place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = new_place(), new_place()
    first.arm(job(EVERY_MINUTE, HELD, overlap='"buffer_one"'))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(first.engine, "flush", killed)
    with pytest.raises(KeyboardInterrupt):
        first.scheduler.once(NOW + 4 * M)
    second.arm(now=NOW + 4 * M)
    second.fire(NOW + 4 * M)
    assert second.fired() == [M, 2 * M]
    assert second.dropped() == [("skipped", 3 * M, 4 * M, 2)]


# -- several daemons ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["skip", "buffer_one", "allow_all", "cancel_other"])
def test_two_daemons_fire_each_time_once(new_place: Callable[..., Place], policy: str) -> None:
    first, second = new_place(), new_place()
    first.arm(job(EVERY_MINUTE, overlap=f'"{policy}"'))
    second.arm()
    for minute in range(1, 7):
        for one in (first, second) if minute % 2 else (second, first):
            one.fire(NOW + minute * M)
        first.settle()
        second.settle()
    assert first.fired() == [n * M for n in range(1, 7)]
    assert first.dropped() == []
    assert set(first.statuses()) == {"succeeded"}


RACER = """
import sys, time
from pathlib import Path
sys.path[:0] = [{tests!r}, {tests!r} + '/..']
from places import NOW, Place
place = Place(Path({folder!r}), maximum=200)
place.arm()
Path({folder!r}, "ready." + sys.argv[1]).touch()
while not Path({folder!r}, "start").exists():
    time.sleep(0.001)
for tick in range(1, {ticks} + 1):
    place.fire(NOW + tick * 1000)
place.settle()
place.die()
"""


def test_two_processes_that_race_fire_each_time_once_and_lose_none(place: Place) -> None:
    names, ticks = ("a", "b", "c"), 25
    place.arm("".join(job('{ every = "1s" }', name=name, overlap='"allow_all"') for name in names))
    code = RACER.format(tests=str(Path(__file__).parents[3] / "daemon"), folder=str(place.folder), ticks=ticks)
    racers = [subprocess.Popen([sys.executable, "-c", code, str(number)]) for number in range(2)]
    place.until(lambda: all((place.folder / f"ready.{number}").exists() for number in range(2)))
    (place.folder / "start").touch()
    assert [racer.wait(40) for racer in racers] == [0, 0]
    for name in names:
        assert sorted(place.fired(name)) == [tick * SECOND for tick in range(1, ticks + 1)]
        assert set(place.statuses(name)) == {str(RunStatus.SUCCEEDED)}


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["skip", "buffer_one", "cancel_other", "terminate_other", "allow_all"])
def test_a_fire_time_whose_key_has_a_run_ends_nothing_and_stands_in_nobodys_way(place: Place, policy: str) -> None:
    place.arm(job('{ every = "1m" }', HELD, overlap=f'"{policy}"', key='"day-{{ run.fire_date }}"'))
    for minute in (1, 2, 3):
        place.fire(NOW + minute * M)
    assert place.fired() == [M]
    assert {row.status for row in place.store.history()} == {"running"}
    assert [drop[0] for drop in place.dropped()] == ["skipped", "skipped"]


def test_after_a_key_that_has_a_run_the_others_get_theirs(place: Place) -> None:
    place.arm(job('{ every = "1m" }', HELD, overlap='"skip"', key='"{{ run.fire_time }}"'))
    enqueue(place.store, place.job(), {}, trigger="manual", fire_time=NOW + M, host=Host())  # by hand, and over by now
    row = place.store.history()[0]
    unbegun.end(place.store, row, "canceled", "by hand", NOW + M)
    place.fire(NOW + 3 * M)
    assert 2 * M in place.fired()


# -- one that cannot be followed ---------------------------------------------------------------------------------------


def test_a_schedule_that_cannot_be_followed_keeps_no_other_from_firing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.arm(job('{ every = "1m" }', HELD, name="a", overlap='"allow_all"') + job('{ every = "1m" }', HELD, name="b"))
    real, broken = module.fires, module.next_fire

    def gone() -> Any:
        raise ZoneError("there is no zone US/Pacific", "write another")

    number = next(n for n, armed in place.scheduler._armed.items() if armed.job.name == "a")
    of_a = place.scheduler._armed[number].schedule
    for name, original in (("fires", real), ("next_fire", broken)):
        monkeypatch.setattr(module, name, lambda s, *a, _o=original, **k: gone() if s is of_a else _o(s, *a, **k))
    place.fire(NOW + M)
    place.fire(NOW + 2 * M)
    assert (place.fired("a"), place.fired("b")) == ([], [M])
    assert "a schedule of the job a does not fire: " in place.scheduler.look_at_broken()
    monkeypatch.undo()
    assert place.scheduler.look_at_broken() == ""
    place.fire(NOW + 3 * M)
    assert place.fired("a") == [M, 2 * M, 3 * M]

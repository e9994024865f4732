"""The loop: whose turn it is, and that one duty's trouble is not another's."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loops import Loop
from places import HELD, job

from jobctl.core.believed import Believed
from jobctl.core.errors import StoreUnavailableError
from jobctl.engines.local.submit import enqueue
from jobctl.engines.local.worker import dispatcher, rescuer
from jobctl.engines.values import Moment
from jobctl.host import clock
from jobctl.host.host import Host
from jobctl.store import firings, times

NEVER = '{ at = "2036-01-01T00:00:00Z" }'
SOON = '{ every = "1s" }'


def test_fires_and_says_so(start: Callable[..., Loop]) -> None:
    loop = start(job(SOON, "exit 3"))
    loop.until(lambda: "failed" in loop.statuses())
    assert loop.messages()[0] == "ready: 1 job, 1 schedule"
    failed = next(line for line in loop.said() if line["message"] == "failed")
    assert failed["run"].startswith("x-")
    assert "exit code 3" in failed["reason"]


@pytest.mark.parametrize("env_file", ['"gone.env"', '"jobs.toml.env"'])
def test_a_failure_is_told_at_once_also_of_what_does_not_even_begin(
    start: Callable[..., Loop], tmp_path: Path, env_file: str
) -> None:
    (tmp_path / "jobs.toml.env").touch()
    loop = start(job(SOON, "exit 3", env_file=env_file, notify="{ command = 'echo $JOBCTL_RUN >> told' }"))
    loop.until(lambda: (tmp_path / "told").exists())
    loop.until(lambda: "succeeded" in loop.messages())
    told = next(line["run"] for line in loop.said() if line["message"] == "succeeded")
    assert told.startswith("x.notify-")
    assert (tmp_path / "told").read_text().splitlines()[0] in {row.name for row in loop.store.history(job="x")}


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("exit 1", {}),
        ("sleep 60", {"timeout": '"50ms"'}),
        ("true", {"env_file": '"gone.env"'}),  # it does not even begin
    ],
)
def test_pause_on_failure(start: Callable[..., Loop], command: str, keys: dict[str, object]) -> None:
    loop = start(job(SOON, command, pause_on_failure="true", **keys) + job(SOON, "exit 1", name="y"))
    loop.until(lambda: firings.paused(loop.store))
    assert set(firings.paused(loop.store)) == {"x"}
    fired = len(loop.statuses())
    since = len(loop.statuses("y"))
    loop.until(lambda: len(loop.statuses("y")) > since)
    assert len(loop.statuses()) == fired


def test_a_failure_that_nobody_scheduled_pauses_nothing(start: Callable[..., Loop]) -> None:
    loop = start(job(NEVER, "exit 1", pause_on_failure="true"))
    enqueue(loop.store, loop.daemon.reloader.catalog.jobs["x"], {}, trigger="manual", host=Host())
    loop.until(lambda: loop.statuses() == ["failed"])
    loop.daemon.turn(0)
    assert firings.paused(loop.store) == {}


def test_a_poke_starts_what_was_queued(start: Callable[..., Loop]) -> None:
    loop = start(job(NEVER))
    loop.until(lambda: not loop.daemon.work.dispatch)
    looks = loop.daemon.work.look.at
    enqueue(loop.store, loop.daemon.reloader.catalog.jobs["x"], {}, trigger="manual", host=Host())
    loop.until(lambda: loop.statuses() == ["succeeded"])
    assert loop.daemon.work.look.at == looks  # not because it looked by itself


@pytest.mark.parametrize("duty", [rescuer, dispatcher])
@pytest.mark.parametrize("error", [StoreUnavailableError("full"), OSError(24, "too many open files")])
def test_a_duty_that_fails_is_reported_once_and_does_not_stop_the_others(
    start: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch, duty: Any, error: Exception
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    loop = start(job(SOON))
    monkeypatch.setattr(duty, "once", broken)
    monkeypatch.setattr("jobctl.daemon.loop.RETRY_MS", 50)
    loop.until(lambda: loop.statuses().count("succeeded") >= 2)
    troubles = [line for line in loop.said() if line["level"] == "error"]
    assert troubles
    assert "trying again" in troubles[0]["message"]
    loop.daemon.work.rescue = loop.daemon.work.dispatch = True
    loop.daemon.duties()
    assert loop.daemon.wait_ms() > 0  # it does not spin meanwhile


def test_while_nothing_can_be_recorded_nothing_begins_and_the_loop_rests(start: Callable[..., Loop]) -> None:
    loop = start(job(SOON))
    loop.until(lambda: loop.statuses().count("succeeded") >= 1)
    before = len(loop.statuses())
    loop.daemon.work.engine.trouble = StoreUnavailableError("full")
    loop.daemon.duties()
    assert loop.daemon.wait_ms() > 500
    assert len(loop.statuses()) == before


def test_a_reload_that_could_not_be_armed_is_tried_again(
    start: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = start(job(NEVER))

    def full(*_: object) -> None:
        raise StoreUnavailableError("full")

    monkeypatch.setattr("jobctl.daemon.loop.RETRY_MS", 50)
    with monkeypatch.context() as broken:
        broken.setattr(firings, "sync", full)
        loop.path.write_text(job(SOON, name="y"))
        loop.daemon._came(signal.SIGHUP, None)
        loop.until(lambda: any("full" in message for message in loop.messages()))
    loop.until(lambda: loop.statuses("y"))


def test_a_clock_that_is_set_is_noticed_and_one_that_drifts_is_not(
    start: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = start(job(NEVER))
    real, ahead = clock.now, [0]
    monkeypatch.setattr(clock, "now", lambda: real() + ahead[0])
    for _ in range(40):
        ahead[0] += 200
        loop.daemon.turn(0)
    assert not any("clock" in message for message in loop.messages())
    ahead[0] += 3_600_000
    loop.daemon.turn(0)
    assert any("+3600" in message for message in loop.messages())


def test_a_clock_that_was_set_while_no_daemon_looked_is_noticed(start: Callable[..., Loop]) -> None:
    """By more than three hours: what it has dealt with ahead of the clock that is right counts no more."""
    first = start(job("'* * * * *'"))
    first.daemon.turn(0)
    boot = first.daemon.work.executor.boot
    four_hours = 4 * 3_600_000
    times.write(first.store, boot, Believed(clock.now() + four_hours, clock.boottime()))
    second = start(job("'* * * * *'"))
    assert second.daemon.work.follow_clock.step <= -four_hours + 5_000
    second.daemon.turn(0)
    assert second.daemon.work.follow_clock.step == 0
    assert not second.daemon.work.follow_clock.was_set


def test_the_watchdog_hears_of_us_as_often_as_it_wants(start: Callable[..., Loop]) -> None:
    loop = start(job(NEVER), WATCHDOG_USEC="200000")
    loop.until(lambda: not (loop.daemon.work.rescue or loop.daemon.work.dispatch))
    assert loop.daemon.wait_ms() <= 100


def test_an_idle_loop_waits_for_its_next_look(start: Callable[..., Loop]) -> None:
    loop = start(job(NEVER))
    loop.until(lambda: not (loop.daemon.work.rescue or loop.daemon.work.dispatch))
    assert loop.daemon.wait_ms() > 4_000


def test_another_daemon_that_starts_is_watched_from_then_on(start: Callable[..., Loop]) -> None:
    first = start(job(NEVER, HELD))
    first.until(lambda: not (first.daemon.work.rescue or first.daemon.work.dispatch))
    second = start(job(NEVER, HELD))
    first.daemon.turn(1_000)
    assert first.daemon.work.look.others == {second.daemon.work.executor.id}


def test_what_retention_frees_goes_back_to_the_disk(start: Callable[..., Loop]) -> None:
    loop = start(job(NEVER))
    with loop.store.transaction() as db:
        db.execute("CREATE TABLE freed (text TEXT)")
        db.executemany("INSERT INTO freed VALUES (?)", [("x" * 4000,)] * 200)
    with loop.store.transaction() as db:
        db.execute("DROP TABLE freed")
    unused = "PRAGMA freelist_count"
    assert loop.store._row(unused)[0] > 100
    loop.daemon.work.prune.once(Moment(clock.now(), clock.monotonic() + 86_400_000))
    assert loop.store._row(unused)[0] == 0

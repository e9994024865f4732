"""`@reboot`: once for each boot of the machine, however many daemons start in it and whatever the clock says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobctl.core.model import Job, OverlapPolicy, Schedule, Step
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.worker.capacity import Capacity
from jobctl.engines.local.worker.scheduler import Scheduler
from jobctl.engines.local.worker.starter import Starter
from jobctl.host import clock
from jobctl.host.boot import boot_id
from jobctl.host.host import Host
from jobctl.store import firings
from jobctl.store.store import Store

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z

OLD = ("old", NOW - 10 * DAY)  # the boot in which the schedule was made, a day after the machine's start
NEW = ("new", NOW - HOUR)  # the boot after it, an hour ago
BOOT = Schedule(boot=True)


class Machine:
    """Daemons of one store. Their runs are queued and never begun: there is room for none."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(str(folder))
        self._engine = LocalEngine(self.store, Executor(str(folder), "daemon"), host=Host())
        self._starter = Starter(self.store, self._engine, Capacity(self.store, "nobody", 0))

    def daemon(self, boot: tuple[str, int] | None, *, now: int = NOW, **fields: Any) -> Scheduler:
        """One that starts now, in that boot."""
        scheduler = Scheduler(self.store, self._starter, boot)
        step = Step("main", command="true")
        job = Job("at-boot", "/", (step,), schedules=(BOOT,), overlap=OverlapPolicy.ALLOW_ALL, **fields)
        scheduler.arm({job.name: job}, [""], now)
        return scheduler

    def fired(self) -> list[int | None]:
        """The fire times that got a run, oldest run first."""
        return [row.fire_time for row in reversed(self.store.history())]

    def close(self) -> None:
        self._engine.close()
        self.store.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """One on which the schedule was made nine days ago."""
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    one = Machine(folder)
    one.daemon(OLD, now=NOW - 9 * DAY).once(NOW - 9 * DAY)
    yield one
    one.close()


def test_a_new_schedule_does_not_fire_for_the_boot_it_is_made_in(machine: Machine) -> None:
    assert machine.fired() == []


def test_fires_at_the_first_look_after_a_boot_for_the_time_of_the_boot(machine: Machine) -> None:
    scheduler = machine.daemon(NEW)
    due = scheduler.next_due()
    assert due is not None
    assert due <= NOW
    scheduler.once(NOW)
    assert machine.fired() == [NEW[1]]
    assert scheduler.next_due() is None


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(NEW, id="restart"),
        pytest.param(("new", NEW[1] + 5 * HOUR), id="clock-set-forward"),
        pytest.param(("new", NEW[1] - 400 * DAY), id="clock-set-back"),
    ],
)
def test_the_next_daemon_of_the_same_boot_does_not_fire_again(machine: Machine, again: tuple[str, int]) -> None:
    machine.daemon(NEW).once(NOW)
    machine.daemon(again).once(NOW + 6 * HOUR)
    assert machine.fired() == [NEW[1]]


@pytest.mark.parametrize("now", [NOW - 400 * DAY, NOW, NOW + 400 * DAY])
def test_a_clock_that_is_set_does_not_make_it_fire_again(machine: Machine, now: int) -> None:
    scheduler = machine.daemon(NEW)
    scheduler.once(NOW)
    scheduler.resync(now)
    assert scheduler.next_due() is None


def test_two_daemons_fire_once(machine: Machine) -> None:
    first, second = machine.daemon(NEW), machine.daemon(NEW)
    first.once(NOW)
    second.once(NOW)
    assert machine.fired() == [NEW[1]]


def test_every_boot_fires(machine: Machine) -> None:
    machine.daemon(NEW).once(NOW)
    machine.daemon(("newer", NOW + DAY)).once(NOW + DAY + MINUTE)
    assert machine.fired() == [NEW[1], NOW + DAY]


def test_a_clock_that_has_lost_time_still_knows_a_new_boot(machine: Machine) -> None:
    machine.daemon(("stale", NOW - 300 * DAY)).once(NOW - 300 * DAY)
    assert len(machine.fired()) == 1


def test_no_catch_up_window_is_too_short_for_a_daemon_that_starts_late(machine: Machine) -> None:
    machine.daemon(NEW, catchup_window=MINUTE).once(NOW)
    assert machine.fired() == [NEW[1]]


def test_a_paused_schedule_passes_the_boot_over(machine: Machine) -> None:
    firings.pause(machine.store, "at-boot", at=NOW, reason=None, who=None)
    machine.daemon(NEW).once(NOW)
    firings.unpause(machine.store, "at-boot", now=NOW)
    machine.daemon(NEW).once(NOW)
    assert machine.fired() == []


def test_a_system_that_does_not_tell_its_boots_never_fires(machine: Machine) -> None:
    scheduler = machine.daemon(None)
    scheduler.once(NOW)
    assert scheduler.next_due() is None
    assert machine.fired() == []


def test_this_machine_tells_its_boot() -> None:
    boot = clock.boot()
    assert boot is not None
    name, began = boot
    assert name == boot_id()
    assert 0 < began < clock.now()

"""The processes that act: daemons, `jobctl run` in the foreground, and the calls of people. Each can die at any seam.

They do what cli/ and daemon/loop.py do, turn by turn, without ever waiting: when it is whose turn is simulation.py's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from jobctl.core.definition import parameters
from jobctl.core.errors import JobctlError, StoreUnavailableError
from jobctl.core.model import Job, Queue, encode
from jobctl.core.run.history import EventType
from jobctl.core.run.newrun import begin_by, created
from jobctl.core.run.rows import NewRun
from jobctl.daemon.log import Journal
from jobctl.daemon.loop import SLACK_MS, Daemon
from jobctl.daemon.systemd import Notifier
from jobctl.definitions.masking import redact
from jobctl.engines.local.client import LocalClient
from jobctl.engines.local.commands import run_values
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.submit import record
from jobctl.engines.local.unbegun import end_late
from jobctl.engines.local.worker.capacity import Capacity
from jobctl.engines.local.worker.duties import LOOK_MS
from jobctl.engines.local.worker.resident import hired
from jobctl.store.store import Store

from .standins import Watch
from .world import Crash, Process, Violation, World

_QUIET_LOOKS = 3  # an executor that has looked so often in vain is not asked again until something happens
_QUEUE_LOOK = 1_000  # how often a foreground run looks for its place
_NO_LIMIT = 1 << 30


class Body:
    """What every process of jobctl's has here: a pid, descriptors that the kernel closes when it dies."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        process = Process(world.new_pid())
        world.add(process)
        self.pid = process.pid
        self.dead = False
        self.over = False
        self.acting = False
        self.store: Store | None = None
        self.executor: Any = None
        self.watch: Watch | None = None
        self.wake_at: int | None = None  # monotonic; None: not by itself
        self._quiet = 0
        self._seen = -1

    def act(self, what: Callable[[], Any]) -> Any:
        """Do something as this process. None when it died of it."""
        before, self.world.actor = self.world.actor, self
        acted, self.acting = self.acting, True
        try:
            return what()
        except Crash:
            if not self.dead:
                raise
            return None
        finally:
            self.world.actor, self.acting = before, acted
            if self.dead:
                self._buried()

    def die(self) -> None:
        """At once, with everything in memory; the files stay as they are."""
        if self.dead or self.over:
            return
        self.world.note(f"{self.name} dies")
        self.dead = True
        self.world.disturbed += 1
        self.world.changes += 1
        if self.world.actor is not self:
            self._buried()

    def _buried(self) -> None:
        if self.over:
            return
        self.over = True
        if self.world.deciding is self:
            self.world.deciding = None
        if self.store is not None:
            self.store._db.close()
        if self.executor is not None and self.executor.wake_fd >= 0:
            os.close(self.executor.wake_fd)
            os.close(self.executor._lock)
        self._gone()

    def _gone(self) -> None:
        if self.watch is not None:
            self.watch.close()
        self.world.end(self.world.processes[self.pid], 0)

    def leave(self) -> None:
        """Its end, in order: everything was closed."""
        self.over = True
        self.world.changes += 1
        self._gone()

    def place_is_free(self) -> None:
        """Somewhere in a queue."""

    @property
    def ready(self) -> bool:
        due = self.wake_at is not None and self.wake_at <= self.world.mono
        return due or (self.watch is not None and (self.watch.ended or self.watch.poked))


class DaemonProcess(Body):
    """`jobctl daemon`."""

    def __init__(self, world: World, name: str, file: str, maximum: int) -> None:
        super().__init__(world, name)
        self._file = file
        self._maximum = maximum
        self.daemon: Daemon | None = None
        self._drain_until: int | None = None
        self._stops_commands = False
        self._give_up_at: int | None = None  # waiting for what was asked to end
        self._looked = -1

    def start(self) -> None:
        self.store = Store(self.world.state_dir)
        try:
            self.daemon = _Daemon(self)
            self.daemon.start()
        except StoreUnavailableError:
            # It ends with an error; its executor's lock goes with it.
            self.die()
            raise Crash from None
        self._sleep()

    def turn(self) -> None:
        assert self.daemon is not None
        if self._drain_until is not None:
            engine = self.daemon.work.engine
            if self._stops_commands and self.world.mono >= self._drain_until and self._stop_commands(engine):
                return
            if engine.attempts_running and self.world.mono < self._drain_until:
                engine.turn(0)
                self.wake_at = self._drain_until
                left = engine._wait_ms(1_000)
                self.wake_at = min(self._drain_until, self.world.mono + max(1, left or 0))
            else:
                self.world.disturbed += 1  # what began meanwhile may have nobody for long
                self.daemon.close()
                assert self.store is not None
                self.store.close()
                self.leave()
            return
        daemon = self.daemon
        daemon.turn(0)
        if (
            self.world.judge is not None
            and not daemon.work.follow_clock.was_set
            and self.world.mono >= daemon.work.not_before
        ):
            self.world.judge.followed(daemon.work.scheduler._armed.keys())
        self._sleep()

    def _stop_commands(self, engine: LocalEngine) -> bool:
        """As daemon/loop.py does where nothing outlives it. Whether there is still something to wait for."""
        if self._give_up_at is None:
            grace = max((run.job.kill_grace for run in engine.runs.values()), default=0)
            self._give_up_at = self.world.mono + grace + SLACK_MS
        if (not engine.stop_attempts() and engine.trouble is None) or self.world.mono >= self._give_up_at:
            return False
        engine.turn(0)
        self.wake_at = min(self._give_up_at, self.world.mono + max(1, engine._wait_ms(1_000) or 0))
        return True

    def stop(self, drain_ms: int, *, commands: bool = False) -> None:
        """SIGTERM. `commands`: what runs is stopped with it."""
        if self.daemon is not None:
            self._stops_commands = commands
            self.world.disturbed += 1
            self.daemon.work.engine.draining = True
            self._drain_until = self.world.mono + drain_ms
            self.wake_at = self.world.mono

    def place_is_free(self) -> None:
        """It would have looked within five seconds."""
        soon = self.world.mono + 1 + self.pid * 977 % LOOK_MS
        if self.world.version >= 2 and (self.wake_at is None or self.wake_at > soon):
            self.wake_at, self._quiet = soon, 0

    def _sleep(self) -> None:
        """Until when it waits. One that has looked in vain for some times looks no more until something happens:
        a day of looks in vain is 17,280 turns of nothing."""
        daemon, world = self.daemon, self.world
        assert daemon is not None
        if self._seen != world.changes:
            self._seen, self._quiet = world.changes, 0
        elif daemon.work.look.at != self._looked:
            self._quiet += 1
        self._looked = daemon.work.look.at
        engine_wait = daemon.work.engine._wait_ms(None)
        wait = daemon.wait_ms()
        if engine_wait is not None:
            wait = min(wait, engine_wait)
        if self._quiet >= _QUIET_LOOKS and wait:
            waits = _timers(daemon.work.engine, world.mono)
            due = (daemon.work.next_due(), daemon.work.store.next_wake())
            waits += [instant - world.now() for instant in due if instant is not None]
            too_late = daemon.work.store.next_too_late()
            if too_late is not None:
                waits.append(max(daemon.work.end_late.not_before - world.mono, too_late - world.now()))
            if daemon.work.prune.left is not None:
                waits.append(daemon.work.prune.at - world.mono)
            self.wake_at = world.mono + max(0, min(waits)) if waits else None
            if self.wake_at is not None:
                self.wake_at = max(self.wake_at, daemon.work.not_before)
        else:
            self.wake_at = world.mono + wait


class _Daemon(Daemon):
    """With a journal that is read here, and no signal handlers."""

    def __init__(self, process: DaemonProcess) -> None:
        assert process.store is not None
        super().__init__(
            hired(LocalClient(process.store, process.world.host), max_concurrent_runs=process._maximum, keeper=None),
            [process._file],
            journal=_Journal(process.world),
            notifier=Notifier({}),
            host=process.world.host,
        )

    def _catch_signals(self) -> None:
        pass


class _Journal(Journal):
    """What a daemon says: troubles that nothing here has caused are defects."""

    def __init__(self, world: World) -> None:
        super().__init__(host=world.host)
        self._world = world

    def say(self, message: str, *, level: str = "info", **about: object) -> None:
        self._world.note(f"says {message} {' '.join(map(str, about.values()))}")
        caused = ("the disk is full", "does not answer")  # by the world: a full disk, a keeper that is stopped
        if level == "error" and not any(words in message for words in caused):
            raise Violation("trouble", f"a daemon says: {message} {about}")


class Foreground(Body):
    """`jobctl run`, `jobctl resume`: one run, advanced to its end. `begin` is given the engine."""

    def __init__(
        self,
        world: World,
        name: str,
        begin: Callable[[LocalEngine], LiveRun | None],
        queues: Mapping[str, Queue],
        *,
        wait: Callable[[Store], bool] | None = None,
    ) -> None:
        super().__init__(world, name)
        self._begin = begin
        self._queues = queues
        self._wait = wait  # whether it may begin now; None: at once
        self.engine: LocalEngine | None = None
        self.run: LiveRun | None = None
        self.asked = 0
        self._looked = -1

    def start(self) -> None:
        self.store = Store(self.world.state_dir)
        self.turn()

    def turn(self) -> None:
        world, store = self.world, self.store
        assert store is not None
        if self._wait is not None:
            try:
                places = world.places
                if not self._wait(store):
                    # It looks five times a second; only what changes something is of interest.
                    self.wake_at = world.mono + _QUEUE_LOOK if world.places != places else None
                    return
            except JobctlError as error:
                if not isinstance(error, StoreUnavailableError):
                    store.close()
                    self.leave()  # a daemon has taken it, or it is over
                    return
                self.die()
                raise Crash from None
            self._wait = None
        if self.engine is None:
            self.engine = LocalEngine(store, world.executor_class(world.state_dir, "foreground"), host=world.host)
            self.engine.queues = self._queues
            try:
                self.run = self._begin(self.engine)
            except StoreUnavailableError:
                self.die()
                raise Crash from None
            if self.run is None:
                self._close()
                return
            self.wake_at = world.mono
            return
        run, engine = self.run, self.engine
        assert run is not None
        if engine.busy:
            engine.turn(0)
            if run.new is not None and engine.trouble is not None:
                self.die()  # nothing of it is recorded
                raise Crash
        if not engine.busy:
            self._close()
            return
        self._sleep()

    def _sleep(self) -> None:
        engine, world = self.engine, self.world
        assert engine is not None
        if self._seen != world.changes:
            self._seen, self._quiet = world.changes, 0
        elif engine._looked_at != self._looked:
            self._quiet += 1
        self._looked = engine._looked_at
        wait = engine._wait_ms(None)
        if self._quiet >= _QUIET_LOOKS and wait:
            waits = _timers(engine, world.mono)
            self.wake_at = world.mono + max(0, min(waits)) if waits else None
        else:
            self.wake_at = None if wait is None else world.mono + wait
            if wait and engine._looked_at + 5_000 >= world.mono:
                self.wake_at = min(world.mono + wait, engine._looked_at + 5_000)

    def place_is_free(self) -> None:
        if self._wait is not None and self.wake_at is None:
            self.wake_at = self.world.mono + _QUEUE_LOOK
        elif (
            self.engine is not None and self.engine._children is not None and self.engine._children._elsewhere
        ):  # its children wait for places
            soon = self.world.mono + _QUEUE_LOOK
            self.wake_at = soon if self.wake_at is None else min(self.wake_at, soon)

    def interrupt(self) -> None:
        """SIGINT: a second one kills."""
        if self.engine is not None and self.run is not None and not self.over:
            self.asked += 1
            kind = EventType.CANCEL_REQUESTED if self.asked == 1 else EventType.TERMINATE_REQUESTED
            self.engine.request(self.run, kind, reason="Ctrl-C", by="me")
            self.wake_at = self.world.mono

    def _close(self) -> None:
        assert self.engine is not None
        assert self.store is not None
        self.engine.close()
        self.store.close()
        self.leave()


class Person(Body):
    """Somebody who calls jobctl. The store stays open from call to call: opening it is not what is looked at here."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.store = Store(world.state_dir)


def _timers(engine: LocalEngine, mono: int) -> list[int]:
    """Milliseconds until each of an engine's timers, without those that only look: at logs, and for places."""
    if engine._facts:
        return [0]
    supervisor = engine.supervisor
    looks = (engine.lines.look, supervisor._ping, supervisor._locked, supervisor._adopt_orphans)
    children = engine._children
    errands = [] if children is None else [at - mono for at, act in children._errands if act != children._look]
    return errands + [at - mono for at, act, _ in engine._timers if act not in looks]


def submitted(store: Store, job: Job) -> tuple[NewRun, dict[str, Any]]:
    """A new run of a job as `jobctl run` makes it."""
    name = store.unused_name(job.name)
    values = parameters.values(job, {}, run_values(job, name, 0))
    return NewRun(name, job.name, encode(redact(job)), queue=job.queue, priority=job.priority), values


def in_turn(job: Job, new: NewRun, values: dict[str, Any], queues: Mapping[str, Queue], now: Callable[[], int]) -> Any:
    """What a foreground run of a job with a limited queue does before it begins: cli/queued.py."""
    made: list[int] = []

    def may_begin(store: Store) -> bool:
        if not made:
            timed = new._replace(start_by=begin_by(job, now()))
            record(store, timed, [created(timed, values, now())])
            made.append(store.find(new.name).id)
        end_late(store, now())
        if store.run(made[0]).status != "queued":
            raise JobctlError("somebody else has it")
        capacity = Capacity(store, "", _NO_LIMIT)
        capacity.set_queues(queues)
        capacity.refresh()
        return capacity.take_place(new.queue)

    return may_begin, made

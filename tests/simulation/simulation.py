"""One world from its beginning to its end: whose turn it is, what people do, what strikes - and then the quiet."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from jobctl.core.errors import JobctlError
from jobctl.core.model import Job, OverlapPolicy
from jobctl.core.run.rows import RunRow
from jobctl.core.schedule.schedule import fires
from jobctl.definitions.files import Catalog, read_files
from jobctl.engines.local import control
from jobctl.engines.local.daemons import poke_daemons
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.stored_job import job_of
from jobctl.engines.local.submit import enqueue, enqueue_each, trigger
from jobctl.engines.local.unbegun import end_late
from jobctl.store import firings
from jobctl.store.store import Store

from .actors import Body, DaemonProcess, Foreground, Person, in_turn, submitted
from .keeping import KeeperProcess
from .plan import SIGNALS, Deed, Plan, make
from .referee import Referee
from .standins import installed
from .world import DAY, HOUR, MINUTE, SECOND, Command, Fault, Violation, World

_AT_MOST_TURNS = 300_000
_AT_MOST_QUIET = 4_000 * DAY
_IDLE = {"idle": {"command": "true"}}


class Result(NamedTuple):
    """What became of a world. `rule` and `message`: what did not hold, None when all did. `milliseconds`: how long it
    was, without the quiet at its end."""

    seed: str
    rule: str | None
    message: str
    milliseconds: int
    runs: int
    events: int
    commits: int
    commands: int
    deaths: int
    digest: str
    items: list[str]


@cache
def _empty_store() -> bytes:
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        with Store(folder) as store, store.transaction() as db:
            db.execute("UPDATE store SET folder = NULL")  # every world has a copy of it, which is to be at home there
        with open(os.path.join(folder, "jobctl.db"), "rb") as file:
            return file.read()


def _memory() -> str | None:
    """A folder of memory, where there is one: an fsync costs nothing there."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def simulate(seed: str, dropped: Collection[int] = (), *, trace: Callable[[str], None] | None = None) -> Result:
    """Live through the world of a seed, without the items that are dropped. The same every time."""
    plan = make(seed, dropped)
    with tempfile.TemporaryDirectory(dir=_memory(), prefix="jobctl-sim-") as folder:
        world = World(plan.version, plan.chance, folder, trace=trace)
        rule, message = None, ""
        with installed(world):
            one = _Simulation(world, plan)
            try:
                one.live()
            except Violation as error:
                rule, message = error.rule, str(error)
            except Exception as error:
                rule, message = _place(error), f"{type(error).__name__}: {error}"
                if trace is not None:
                    raise
            finally:
                one.close()
        referee = one.referee
        return Result(
            seed, rule, message, min(world.mono - 1_000_000, plan.horizon), len(referee.cases), referee.events,
            referee.commits, referee.commands, one.deaths, world.digest.hexdigest(), plan.items,
        )  # fmt: skip


def _toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _place(error: BaseException) -> str:
    """Where an exception was raised: what tells two crashes of the product from each other."""
    found = error.__traceback__
    while found is not None and found.tb_next is not None:
        found = found.tb_next
    code = found.tb_frame.f_code if found is not None else None
    return f"{type(error).__name__} in {code.co_qualname if code is not None else '?'}"


class _Simulation:
    def __init__(self, world: World, plan: Plan) -> None:
        self.world = world
        self.plan = plan
        self.deaths = 0
        world.temper, world.scale = plan.temper, plan.scale
        os.mkdir(world.state_dir, 0o700)
        with open(os.path.join(world.state_dir, "jobctl.db"), "wb") as file:
            file.write(_empty_store())
        self.file = os.path.join(world.folder, "jobs.toml")
        self._edition = 0
        self.write(plan.definitions)
        self.catalog: Catalog = read_files([self.file])
        self.referee = Referee(world)
        self.referee.limits = {n: q.concurrency for n, q in self.catalog.queues.items() if q.concurrency is not None}
        self.referee.maximum = plan.maximum
        self.referee.prunable = {name for name, job in self.catalog.jobs.items() if job.keep.runs is not None}
        self.referee.notifying = self.catalog.jobs
        world.judge = self.referee
        self.actors: list[Body] = []
        self.people = 0
        self.person = self._new_person()
        self._count = 0
        self._turns = 0

    def close(self) -> None:
        for body in [*self.actors, self.person]:
            body.dead = True
            body._buried()
        self.referee.close()

    def write(self, document: dict[str, Any]) -> None:
        """The definitions file as it is from now on; its time is that of this world."""
        self._edition += 1
        with open(self.file, "w") as file:
            file.writelines(f"{key} = {_toml(value)}\n" for key, value in document.items())
        os.utime(self.file, ns=((self.world.now() + self._edition) * 1_000_000,) * 2)
        self.world.changes += 1

    # -- time ------------------------------------------------------------------------------------------------------

    def live(self) -> None:
        world, plan = self.world, self.plan
        for _ in range(plan.daemons):
            self._start_daemon()
        self.referee.saw_schedules()
        begin = world.mono
        for deed in plan.deeds:
            self._until(begin + deed.at)
            self._do(deed)
        self._until(begin + plan.horizon)
        self._settle()
        self.referee.at_the_end()

    def _until(self, moment: int) -> None:
        """Let time go on to that moment, from one thing that happens to the next."""
        while self._step(moment):
            pass
        self.world.mono = max(self.world.mono, moment)

    def _step(self, moment: int) -> bool:
        world = self.world
        times = [moment]
        event = world.next_event()
        if event is not None:
            times.append(event)
        for actor in self.actors:
            if actor.watch is not None and (actor.watch.ended or actor.watch.poked):
                times.append(world.mono)
            elif actor.wake_at is not None:
                times.append(actor.wake_at)
        if world.changes != self._looked_for:
            self._looked_for = world.changes
            for actor in self.actors:  # they would have looked meanwhile, and see it within five seconds
                soon = world.mono + 1 + (actor.pid * 977 + world.mono) % (5 * SECOND)
                if actor.wake_at is None or actor.wake_at > soon:
                    actor.wake_at = soon
                times.append(actor.wake_at)
        if world.places != self._places:
            self._places = world.places
            for actor in self.actors:
                actor.place_is_free()
                times += [] if actor.wake_at is None else [actor.wake_at]
        next_time = max(min(times), world.mono)
        if next_time >= moment and not any(time < moment for time in times):
            return False
        world.mono = next_time
        world.happen()
        for actor in list(self.actors):
            if not actor.over and actor.ready:
                self._turn(actor)
        self.actors = [actor for actor in self.actors if not actor.over]
        return True

    _looked_for = 0
    _places = 0

    def _turn(self, actor: Body) -> None:
        self._turns += 1
        if self._turns > _AT_MOST_TURNS:
            raise Violation("the world comes to rest", f"{self._turns} turns, and {actor.name} goes on")
        assert isinstance(actor, (DaemonProcess, Foreground))
        actor.act(actor.turn)

    def _settle(self) -> None:
        """No faults any more, nothing new fires, commands end and end well: then all must come to rest."""
        world = self.world
        world.armed.clear()
        world.outage_until = 0
        world.note("-- the end begins")
        self.write({"queues": self.plan.definitions["queues"], "jobs": _IDLE})
        world.settle()
        if not any(isinstance(actor, DaemonProcess) for actor in self.actors):
            self._start_daemon()
        limit = world.mono + _AT_MOST_QUIET
        self._until_quiet(limit)
        while any(isinstance(actor, DaemonProcess) and actor._drain_until is not None for actor in self.actors):
            self._until_quiet(limit)
        if not any(isinstance(actor, DaemonProcess) for actor in self.actors):  # the last one was being stopped
            self._start_daemon()
            self._until_quiet(limit)

    def _until_quiet(self, limit: int) -> None:
        while self._step(limit):
            pass
        if self.world.mono >= limit:
            raise Violation("the world comes to rest", "it does not")

    # -- actors ----------------------------------------------------------------------------------------------------

    def _add(self, actor: DaemonProcess | Foreground) -> None:
        self.actors.append(actor)
        actor.act(actor.start)

    def _start_daemon(self) -> None:
        self._count += 1
        self._add(DaemonProcess(self.world, f"d{self._count}", self.file, self.plan.maximum))

    def _foreground(self, begin: Callable[[LocalEngine], LiveRun | None], **how: Any) -> None:
        self._count += 1
        self._add(Foreground(self.world, f"f{self._count}", begin, self.catalog.queues, **how))

    def _new_person(self) -> Person:
        self.people += 1
        return Person(self.world, f"p{self.people}")

    def _ask(self, what: Callable[[Store], Any]) -> Any:
        """A call of somebody's. What is refused in a sentence is no defect."""
        if self.person.over:
            self.person = self._new_person()
        store = self.person.store
        assert store is not None

        def call() -> Any:
            try:
                return what(store)
            except JobctlError as error:
                self.world.note(f"refused: {error.message}")
                return None

        self.world.changes += 1
        return self.person.act(call)

    # -- deeds -----------------------------------------------------------------------------------------------------

    def _do(self, deed: Deed) -> None:
        world = self.world
        world.note(f"-- {deed.what} ({deed.item}){' meanwhile' if deed.meanwhile else ''}")
        act = getattr(self, deed.what)
        if deed.what == "outage":
            act(deed)
        elif deed.meanwhile:
            seams = {"any": _ANY, "keeping": _KEEPERS}.get(deed.meanwhile, (deed.meanwhile,))
            world.armed.append(Fault(seams, deed.skip, lambda: act(deed)))
        else:
            act(deed)

    def _pick(self, deed: Deed, rows: list[Any]) -> Any:
        return rows[int(deed.chance * len(rows))] if rows else None

    def _job(self, deed: Deed) -> Job:
        job: Job = self._pick(deed, list(self.catalog.jobs.values()))
        return job

    def _alive(self, store: Store, deed: Deed) -> RunRow | None:
        row: RunRow | None = self._pick(deed, store.alive())
        return row

    def _promise(self, name: str | None) -> None:
        if name is not None:
            self.referee.promised.add(name)

    def run(self, deed: Deed) -> None:
        job = self._job(deed)

        def make_run(store: Store) -> Any:
            return submitted(store, job)

        made = self._ask(make_run)
        if made is None:
            return
        new, values = made
        if job.queue is not None:
            wait, recorded = in_turn(job, new, values, self.catalog.queues, self.world.now)
            self._foreground(lambda engine: engine.take(recorded[0], job, env_file={}), wait=wait)
        else:
            self._foreground(lambda engine: engine.submit(new, job, values, env_file={}))

    def detach(self, deed: Deed) -> None:
        job = self._job(deed)
        self._promise(self._ask(lambda store: enqueue(store, job, {}, host=self.world.host, trigger="manual").name))

    def trigger(self, deed: Deed) -> None:
        job = self._job(deed)
        now = self.world.now()
        key = (job.name, now - now % 1000)
        self.referee.triggered[key] = self.referee.triggered.get(key, 0) + 1
        self._promise(self._ask(lambda store: trigger(store, job, {}, host=self.world.host, by="me")))

    def backfill(self, deed: Deed) -> None:
        job = self._job(deed)
        now = self.world.now()
        times: set[int] = set()
        for schedule in job.schedules:
            times.update(fires(schedule, now - self.plan.horizon // 3, now, job.timezone or "UTC", 6))
        chosen = replace(job, overlap=(OverlapPolicy.ALLOW_ALL, OverlapPolicy.BUFFER_ALL)[deed.amount % 2])
        first, host = sorted(times)[:8], self.world.host
        names = self._ask(lambda store: enqueue_each(store, chosen, {}, first, host=host, trigger="backfill"))
        for name in names or ():
            self._promise(name)

    def _stop(self, deed: Deed, ask: Callable[..., RunRow]) -> None:
        """cancel, terminate: whoever asks carries it out where nobody else will."""

        def call(store: Store) -> RunRow | None:
            row = self._alive(store, deed)
            if row is None:
                return None
            now = ask(store, row, reason="asked", by="me", host=self.world.host)
            return None if control.is_held(store, now) else now

        row = self._ask(call)
        if row is not None:
            self._take(row)

    def _take(self, row: RunRow) -> None:
        def begin(engine: LocalEngine) -> LiveRun | None:
            kept = job_of(engine.store, row, strict=False)
            return engine.take(row.id, kept.job, env_file=kept.env_file)

        self._foreground(begin)

    def cancel(self, deed: Deed) -> None:
        self._stop(deed, control.cancel)

    def terminate(self, deed: Deed) -> None:
        self._stop(deed, control.terminate)

    def pause(self, deed: Deed) -> None:
        def call(store: Store) -> None:
            row = self._alive(store, deed)
            if row is not None:
                control.pause(store, row, reason=None, by="me", host=self.world.host)

        self._ask(call)

    def resume(self, deed: Deed, from_step: bool = False) -> None:
        """`jobctl resume` as cli/commands/resume.py does it; every other time with --detach."""
        detach = bool(deed.amount % 2)

        def call(store: Store) -> RunRow | None:
            rows = [row for row in store.history(limit=30) if row.status != "succeeded" or from_step]
            row: RunRow | None = self._pick(deed, rows)
            if row is None:
                return None
            if row.status == "queued" and end_late(store, self.world.now()):
                row = store.run(row.id)
            held = control.is_held(store, row)
            if held and row.status != "paused":
                return None
            job = job_of(store, row, strict=True).job
            if row.finished_at is not None:
                name = job.steps[deed.amount // 2 % len(job.steps)].name if from_step else None
                control.reopen(
                    store, row, job, definition=None, from_step=name, by="me", host=self.world.host, queued=detach
                )
            elif row.status == "paused":
                control.unpause(store, row, by="me", host=self.world.host)
                if held:
                    return None
            if detach:
                poke_daemons(store)
                return None
            return row

        row = self._ask(call)
        if row is not None:
            self._take(row)

    def resume_from(self, deed: Deed) -> None:
        self.resume(deed, from_step=True)

    def signal(self, deed: Deed) -> None:
        def call(store: Store) -> None:
            row = self._alive(store, deed)
            if row is not None:
                payload = ({"k": 1}, None, "text")[deed.amount % 3]
                control.send_signal(
                    store, row, SIGNALS[deed.amount // 3 % len(SIGNALS)], payload, by="me", host=self.world.host
                )

        self._ask(call)

    def answer(self, deed: Deed) -> None:
        def call(store: Store) -> None:
            waiting = []
            for row in store.alive():
                steps = store.state(row).steps.values()
                waiting += [(row, s.name) for s in steps if s.waiting is not None and s.waiting["kind"] == "approval"]
            found = self._pick(deed, waiting)
            if found is not None:
                control.answer(
                    store,
                    found[0],
                    found[1],
                    approved=bool(deed.amount % 4),
                    comment=None,
                    by="me",
                    host=self.world.host,
                )

        self._ask(call)

    def wake(self, deed: Deed) -> None:
        """`jobctl retry-now`: of a run of which anything waits for a time, all of that."""

        def call(store: Store) -> None:
            rows = [row for row in store.alive() if any(s.waits_for_a_time for s in store.state(row).steps.values())]
            row = self._pick(deed, rows)
            if row is not None:
                control.wake(store, row, None, reason=None, by="me", host=self.world.host)

        self._ask(call)

    def interrupt(self, deed: Deed) -> None:
        found: Foreground | None = self._pick(deed, [a for a in self.actors if isinstance(a, Foreground)])
        if found is not None:
            found.interrupt()

    def pause_schedule(self, deed: Deed) -> None:
        name = self._job(deed).name
        self.referee.loose.add(name)
        self._ask(lambda store: firings.pause(store, name, at=self.world.now(), reason=None, who="me"))

    def resume_schedule(self, _: Deed) -> None:
        def call(store: Store) -> None:
            for name in firings.paused(store):
                firings.unpause(store, name, now=self.world.now())
            poke_daemons(store)

        self._ask(call)

    def edit(self, deed: Deed) -> None:
        """The file loses a job, or has all of them again."""
        document = dict(self.plan.definitions)
        if deed.amount % 3:
            gone = self._job(deed).name
            jobs = {n: j for n, j in document["jobs"].items() if n != gone}
            while without := [
                n for n, j in jobs.items() if any(s.get("job", n) not in jobs for s in j.get("steps", ()))
            ]:
                jobs = {n: j for n, j in jobs.items() if n not in without}
            document["jobs"] = jobs or _IDLE
        self.referee.loose |= self.catalog.jobs.keys() ^ document["jobs"].keys()
        self.write(document)

    def start_daemon(self, _: Deed) -> None:
        if sum(isinstance(actor, DaemonProcess) for actor in self.actors) < 3:
            self._start_daemon()

    def stop_daemon(self, deed: Deed) -> None:
        found: DaemonProcess | None = self._pick(deed, [a for a in self.actors if isinstance(a, DaemonProcess)])
        if found is not None:
            commands = self.world.version >= 8 and deed.amount // 3 % 2 == 1
            found.stop((0, 2 * SECOND, 5 * MINUTE)[deed.amount % 3], commands=commands)

    def absence(self, deed: Deed) -> None:
        """No daemon runs for a good part of the world: there will be much to catch up with."""
        for actor in self.actors:
            if isinstance(actor, DaemonProcess):
                actor.stop(0)
        self.world.disturbed += 1
        self.world.at(self.world.mono + int(self.plan.horizon * (0.05 + 0.3 * deed.chance)), self._again)

    def crash(self, deed: Deed) -> None:
        """kill -9 of whoever acts just now, and with a good chance somebody starts a daemon again."""
        del deed
        actor = self.world.actor
        assert isinstance(actor, Body)
        self.deaths += 1
        actor.die()
        if isinstance(actor, DaemonProcess):
            self.world.at(self.world.mono + 1 + actor.pid * 7919 % HOUR, self._again)

    def _again(self) -> None:
        if not any(isinstance(actor, DaemonProcess) and not actor.over for actor in self.actors):
            self._start_daemon()

    def turn(self, deed: Deed) -> None:
        """Another executor's whole turn, in the middle of somebody's."""
        if self.world.deciding is None:
            others = [a for a in self.actors if not a.acting and not a.over and a.wake_at is not None]
            found: Body | None = self._pick(deed, others)
            if found is not None and not self._nested:
                self._nested = True
                try:
                    self._turn(found)
                finally:
                    self._nested = False

    _nested = False

    def reboot(self, _: Deed) -> None:
        """The machine goes down and comes up again."""
        for actor in self.actors:
            self.deaths += not actor.over
            actor.die()
        self.actors = [actor for actor in self.actors if not actor.over]
        self.world.reboot()
        self.world.mono += 30 * SECOND
        self._again()

    def kill_command(self, deed: Deed) -> None:
        """The system kills a command."""
        found = [p for p in self.world.processes.values() if isinstance(p, Command) and p.alive]
        command: Command | None = self._pick(deed, found)
        if command is not None:
            self.world.signal(command, 9)

    def _keepers(self) -> list[KeeperProcess]:
        return [p for p in self.world.processes.values() if isinstance(p, KeeperProcess) and p.alive]

    def kill_keeper(self, deed: Deed) -> None:
        """The system kills a keeper, its commands go on without it; in its own turn, or in anybody's."""
        actor = self.world.actor
        keeper = actor if isinstance(actor, KeeperProcess) else self._pick(deed, self._keepers())
        if keeper is not None:
            self.deaths += 1
            keeper.die()

    def stop_keeper(self, deed: Deed) -> None:
        """It is stopped, and goes on after a while: slow is not dead."""
        keeper: KeeperProcess | None = self._pick(deed, self._keepers())
        if keeper is not None:
            keeper.stopped_until = self.world.mono + (2 * SECOND, 20 * SECOND, 10 * MINUTE)[deed.amount % 3]
            self.world.disturbed += 1

            def goes_on() -> None:
                self.world.disturbed += 1
                keeper.wake(0)

            self.world.at(keeper.stopped_until, goes_on)

    def step_clock(self, deed: Deed) -> None:
        steps = (-2 * HOUR, 2 * HOUR, -3 * SECOND, 40 * SECOND, 3 * DAY, -3 * DAY, -DAY // 2)
        most = 3 * self.plan.horizon  # or a world of minutes would have thousands of fire times to catch up with
        step = max(-most, min(steps[deed.amount % len(steps)], most))
        self.world.offset += step
        self.world.steps.append((self.world.mono, step))
        self.world.disturbed += 1
        self.world.clock_steps += 1
        self.world.changes += 1

    def outage(self, deed: Deed) -> None:
        """The disk is full, for a while."""
        self.world.outage_until = self.world.mono + (500, 20 * SECOND, 10 * MINUTE)[deed.amount % 3]
        self.world.disturbed += 1

        def over() -> None:
            self.world.changes += 1

        self.world.at(self.world.outage_until, over)


_ANY = ("begin", "commit", "committed", "launch", "launched", "signal", "unlink")
_KEEPERS = ("claim", "journal", "spawn", "spawned", "keeper", "reap")

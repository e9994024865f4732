"""The seam between who asks and who carries out: what a client can be asked and what a worker does, a sentence for each
call. The values that come out are values.py's. How any of it is done is the engines': engines/local/ is one.

Types alone: no command loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Self

    from jobctl.core.errors import JobctlError
    from jobctl.core.model import Job, Keep, Queue, Schedule, Step
    from jobctl.core.run.decide import Decider
    from jobctl.core.run.history import Event, RunState, StepState
    from jobctl.core.run.why import Reason
    from jobctl.definitions.files import Catalog
    from jobctl.engines.values import (
        Adopted,
        Armed,
        Can,
        Daemon,
        Dropped,
        Fire,
        Kept,
        Lack,
        Left,
        Line,
        Log,
        Moment,
        Paused,
        Pruned,
        Reused,
        Run,
        Runs,
        Started,
        Trouble,
    )


# -- who asks ----------------------------------------------------------------------------------------------------------


class Reader(Protocol):
    """An attempt's output as it grows."""

    at_end: bool  # the last `read` found nothing more

    def read(self) -> bytes:
        """What is new; nothing when there is nothing yet."""


class Client(Protocol):
    """Who asks an engine. Every call raises JobctlError with a way out where it cannot be done; NotFoundError for what
    there is not. Nothing is carried out here: what is asked is recorded, and whoever works is woken."""

    lacks: Mapping[Can, Lack]
    where: str  # people's name for what is asked: a state folder, a cluster

    @property
    def copy_of(self) -> str | None:
        """The state folder that this one is a copy of: nothing goes on here until it is adopted."""

    @property
    def copy_sentence(self) -> str:
        """What people are told of that; "" where it is none."""

    # -- to begin --

    def start(
        self,
        job: Job,
        params: Mapping[str, Any],
        *,
        key: str | None = None,
        trigger: str = "manual",
        fire_time: int | None = None,
        like: Reused | None = None,
        start_within: int | None = None,
        here: bool = False,
    ) -> Started:
        """A new run, left to whoever works; where the job has one for the key, that one. KeyConflictError when that was
        started with other parameters. `here`: the caller means to advance it, and nobody is woken."""

    def trigger(self, job: Job, params: Mapping[str, Any], *, by: str, start_within: int | None = None) -> Run:
        """A run as if a schedule of the job fired now, its overlap policy applied."""

    def backfill(self, job: Job, params: Mapping[str, Any], fire_times: Iterable[int]) -> list[str]:
        """A run for each fire time; the ids, without those whose key has a run."""

    def reusable(self, job: Job, run: Run, from_step: str) -> Reused:
        """What a new run of `job` can take over of an old one when it begins at a step."""

    # -- to look --

    def find(self, target: str) -> Run:
        """The run of that id, or of the only one that begins so; of a job its last one."""

    def run(self, run: Run) -> Run:
        """The same run as it is now."""

    def latest(self, job: str) -> Run | None:
        """The job's last run that no other run started, if it has one."""

    def runs(
        self,
        *,
        job: str | None = None,
        statuses: Sequence[str] = (),
        since: int | None = None,
        until: int | None = None,
        tag: str | None = None,
        limit: int = 20,
    ) -> Runs:
        """Runs, newest first, created in [since, until)."""

    def alive(self, *, queued: int | None = None, asleep: int | None = None) -> Runs:
        """Runs that are not over, oldest first; at most so many that wait for a place, and that only wait."""

    def jobs(self) -> list[str]:
        """The names of the jobs that have run."""

    def names(self, limit: int) -> list[str]:
        """The ids of the newest runs."""

    def definition(self, run: Run) -> str:
        """The definition that the run goes on with, as it is kept: canonical JSON, no secrets."""

    def kept(self, run: Run, *, strict: bool) -> Kept:
        """The same as a job, with its secrets. `strict`: an error when one is nowhere to be had any more."""

    def state(self, run: Run) -> RunState:
        """What its events add up to."""

    def events(self, run: Run, *, after: int = 0) -> list[Event]:
        """Its events in order, those with a number in (after, run.seq]."""

    def reasons(self, run: Run, now: int) -> list[Reason]:
        """Why it is where it is, what matters most first."""

    def line(self, run: Run) -> Line:
        """What a run that nobody has begun waits for."""

    def children(self, run: Run) -> Mapping[str, str]:
        """The statuses of its child runs, by name."""

    def status(self, name: str) -> str | None:
        """The status of the run of that very id; None when it is gone."""

    # -- what attempts write --

    def log_at(self, run: Run, key: str, number: int) -> Log:
        """Where an attempt's output is, and how long."""

    def cursor(self, run: Run, key: str, number: int) -> str | None:
        """How far an attempt that runs says it has come; None when it has said nothing."""

    def log(self, run: Run, key: str, number: int, *, tail: int | None = None) -> Iterable[bytes]:
        """An attempt's output, piece by piece; of its last lines, where `tail` says how many."""

    def follow(self, run: Run, key: str, number: int, *, tail: int | None = None) -> Reader:
        """The same as it grows."""

    def folder(self, run: Run) -> str:
        """Where its files are."""

    # -- to ask of a run --

    def cancel(self, run: Run, *, reason: str | None = None, by: str) -> Run:
        """A graceful end: what runs is stopped, then undone, then tidied up. JobctlError when it is over."""

    def terminate(self, run: Run, *, reason: str | None = None, by: str) -> Run:
        """An end at once, with nothing after it. JobctlError when it is over."""

    def pause(self, run: Run, *, reason: str | None = None, by: str) -> Run:
        """That no new attempt starts. JobctlError when it is over."""

    def unpause(self, run: Run, *, by: str) -> Run:
        """That a paused run goes on. JobctlError when it is not paused."""

    def signal(self, run: Run, name: str, payload: Any = None, *, by: str) -> bool:
        """Send it a named message, which is kept until a step waits for it. Whether one does."""

    def answer(self, run: Run, step: str | None, *, approved: bool, comment: str | None = None, by: str) -> Run:
        """Answer the approval that it waits for; `step` where several wait."""

    def wake(self, run: Run, step: str | None = None, *, reason: str | None = None, by: str) -> list[str]:
        """Have what only waits for a time go on now; the keys of what does."""

    def reopen(
        self,
        run: Run,
        job: Job,
        *,
        updated: bool = False,
        from_step: str | None = None,
        by: str,
        queued: bool = False,
    ) -> Run:
        """A new try of a run that is over. `updated`: with `job` in place of the definition that it had; `queued`: it
        is for whoever works, not for the caller."""

    def acknowledge(self, run: Run, *, reason: str | None = None, by: str) -> bool:
        """Record that somebody knows that it failed. Whether nobody knew; JobctlError when it has not."""

    def held(self, run: Run) -> bool:
        """Whether somebody follows what is asked of it: a worker that has it, or one that takes it up."""

    # -- to wait --

    def changes(self) -> int:
        """Another number after something has happened. Cheap enough to ask ten times a second."""

    def end_late(self) -> None:
        """Record as over what nobody has begun in time, as whoever works would."""

    # -- who works, and on what --

    def has_daemon(self) -> bool:
        """Whether a worker that stays is there."""

    def daemons(self) -> list[Daemon]:
        """The workers that stay, oldest first."""

    def wake_workers(self) -> None:
        """Have them look now."""

    def troubles(self) -> list[str]:
        """What the engine's own storage suffers from, in sentences."""

    def damage(self) -> list[str]:
        """What it has recorded and cannot be right, a line each, as far as it was read through this client."""

    def wrong(
        self, since: int, *, jobs: Collection[str] = (), tags: Collection[str] = (), tagged: Collection[str] = ()
    ) -> list[Trouble]:
        """All that is wrong, the same as often as it is asked; fire times that were missed before `since` are no news.
        `jobs`, `tags`: only of these jobs; `tagged`: the jobs that the definitions give one of the tags."""

    # -- schedules --

    def armed(self) -> list[Armed]:
        """The schedules that fire."""

    def paused(self) -> Mapping[str, Paused]:
        """The jobs whose schedules are paused."""

    def pause_schedules(self, job: str, *, at: int, reason: str | None, by: str) -> None:
        """Have the job's schedules start nothing. The first reason stays."""

    def resume_schedules(self, job: str, *, now: int) -> bool:
        """Have them fire again, from now on; whether they were paused."""

    def scheduled_jobs(self) -> Collection[str]:
        """The jobs whose schedules are known, to whichever worker."""

    def coming(self, job: Job, schedule: Schedule, now: int, limit: int) -> list[int]:
        """The nominal fire times that are still to start."""

    def jobs_ahead(self, now: int) -> Collection[str]:
        """The jobs whose schedules were dealt with beyond what the clock shows."""

    def fires(self) -> Mapping[tuple[str, str], Fire]:
        """(job, schedule's key) -> what became of its last fire time."""

    def dropped(self, since: int) -> list[Dropped]:
        """What schedules fired without a run since then: by job and outcome, newest first."""

    def dropped_by_schedule(self, since: int) -> Mapping[tuple[str, str], Mapping[str, int]]:
        """(job, schedule's key) -> outcome -> how many fire times."""

    # -- upkeep --

    def prune(self, keeps: Mapping[str, Keep], now: int, *, dry_run: bool = False) -> Pruned:
        """Remove what these jobs do not keep, and what crashes left behind. Where it can: `Can.PRUNE`."""

    def expected_now(self, now: int) -> int:
        """What time it is by what is recorded and the clock that does not step."""

    def must_be_home(self, what: str) -> None:
        """CopyError, that `what` cannot be done, where this is a copy of another state folder."""

    def adopt(self, *, as_copy: bool, by: str) -> Adopted:
        """Say what a copied state folder is to be: a store of its own, or the one in the original's place. Where
        it can: `Can.ADOPT`."""

    # -- to work in this process --

    def foreground(
        self,
        observer: Observer,
        *,
        queues: Mapping[str, Queue],
        keeper: Any = None,
        remark: Callable[[str], None] = lambda _: None,
    ) -> Foreground:
        """A worker for a run of this process. `keeper`: what was forked for it before anything was opened; `remark` is
        told what people are to know. Where it can: `Can.FOREGROUND`."""

    def resident(
        self, *, max_concurrent_runs: int | None = None, keeper: Any = None
    ) -> Callable[[Surroundings], Resident]:
        """What makes a worker that stays, once its surroundings are there."""

    def is_copy_still(self) -> bool:
        """Whether nobody has adopted it yet, looked at anew."""

    def at_home(self) -> None:
        """Record where it is found now, before anybody works here."""

    def place(self, run: Run, queues: Mapping[str, Queue]) -> Place:
        """The run's turn to begin here, waited for. Where it can: `Can.FOREGROUND`."""

    def give_up_when(self, told: Callable[[], bool] | None) -> None:
        """A wait to record something ends when this says so."""

    def close(self) -> None:
        """Nothing more is asked."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


# -- who carries out ---------------------------------------------------------------------------------------------------


class Watched(Protocol):
    """A run as whoever advances it in this process shows it: what is recorded, and what of it is under way now. It
    changes with the run; the same object stands for the same run."""

    @property
    def name(self) -> str: ...

    @property
    def job(self) -> Job: ...

    @property
    def recorded(self) -> bool:
        """Whether anything of it is recorded yet."""

    @property
    def seq(self) -> int:
        """The number of its last event."""

    @property
    def state(self) -> RunState: ...

    @property
    def decider(self) -> Decider: ...

    @property
    def trail(self) -> tuple[str, ...]:
        """The steps that lead to it from the run that this process is about; none for that one."""

    @property
    def children(self) -> Mapping[str, Watched]:
        """Its child runs that are advanced here too, by the step that waits for them."""

    @property
    def running(self) -> Mapping[str, int]:
        """The attempts that run, by step or STEP!undo."""

    def step(self, key: str) -> Step:
        """The definition of what a key names."""

    def step_state(self, key: str) -> StepState:
        """How that stands."""

    def log_file(self, key: str, number: int) -> str:
        """Where an attempt's output is."""

    def mask(self, text: str) -> str:
        """The text without the run's secrets."""


class Observer(Protocol):
    """Told what is recorded of the runs that are advanced here."""

    def recorded(self, run: Watched, events: list[Event]) -> None:
        """Events were appended to the run's history; `run.state` has them already."""


class Worker(Protocol):
    """Takes runs and advances them until told to stop."""

    def turn(self, timeout_ms: int | None = None) -> bool:
        """Wait for something to happen, at most so long, and do all that follows from it. Whether we were poked."""

    def close(self) -> None:
        """Stop advancing. What runs goes on, for whoever takes the runs next."""


class Foreground(Worker, Protocol):
    """A worker for one run, and what belongs to it: `jobctl run`."""

    wake_fd: int  # makes `turn` return when it becomes readable

    def begin(
        self,
        job: Job,
        params: Mapping[str, Any],
        env_file: dict[str, str],
        *,
        fire_time: int | None = None,
        like: Reused | None = None,
    ) -> Watched:
        """A new run, recorded with the first turn."""

    def take(self, run: Run, job: Job, env_file: dict[str, str]) -> Watched | None:
        """Go on with a run. None when another worker has it, or it is over."""

    @property
    def busy(self) -> bool:
        """Whether a run is under way here, or something about one is still to be recorded."""

    @property
    def trouble(self) -> JobctlError | None:
        """Why nothing can be recorded just now."""

    def ask(self, *, terminate: bool, reason: str, by: str) -> None:
        """Have the run end: recorded and followed at the next turn."""

    def left(self) -> Left | None:
        """What is still here though the run is over; None while it is not, or nothing is."""

    def untold(self) -> list[str]:
        """The notifications that are not over yet."""


class Place(Protocol):
    """Waiting for a place in a queue, for a run that is to go on here."""

    def look(self) -> bool | None:
        """Whether there is one now; None when the run needs none any more: somebody else has it, or it is over."""

    def wait(self, ms: int, pause: Callable[[int], None]) -> list[str]:
        """Pass so much time, with `pause` where there is nothing to do. What is to be told."""

    def close(self) -> None:
        """What was taken up to free a place is left as it was found."""


# -- a worker that stays -----------------------------------------------------------------------------------------------


class Journal(Protocol):
    """What a worker says of itself."""

    @property
    def untold(self) -> bool: ...

    def say(self, message: str, *, level: str = "info", **about: object) -> None: ...

    def say_once(self, key: str, message: str, **about: object) -> None:
        """Say it when it is another thing than the last time; "" when it is over."""

    def know(self, key: str, message: str) -> None:
        """Have it among the troubles, without saying it."""


class Surroundings(Protocol):
    """What a worker that stays is given: the definitions as they are in use, and whom it tells."""

    arm_again: bool  # the definitions are to be handed over once more, even if they are the same

    @property
    def journal(self) -> Journal: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def files(self) -> Sequence[str]: ...

    @property
    def unsettled(self) -> bool:
        """A change was seen that is not in use yet."""

    def changed(self) -> bool:
        """Whether the files are others now than those that were read last."""

    def reload(self) -> None:
        """Look at the files; the worker is given new definitions, whole or not at all."""

    def tell_definitions(self) -> None:
        """Leave word of which files are used, and why what they say now is not."""


class Duty(Protocol):
    """One thing that a worker does in its turn."""

    @property
    def begins(self) -> bool:
        """Whether it begins something new, for which there must be room."""

    def due(self, now: Moment) -> bool:
        """Whether its turn has come."""

    def once(self, now: Moment) -> None:
        """Do it. What it raises keeps no other duty from its turn."""


class Resident(Worker, Protocol):
    """A worker that stays: the daemon's."""

    wake_fd: int  # makes `turn` return when it becomes readable
    draining: bool  # nothing begins any more: what runs ends, and somebody else goes on
    fires_until: int | None  # the last fire time that is dealt with; None: all that come
    not_before: int  # monotonic: the duties rest until then

    @property
    def duties(self) -> Sequence[Duty]:
        """In the order in which they have their turn."""

    def start(self) -> None:
        """Arm the schedules and take over what is there."""

    def new_definitions(self) -> None:
        """The surroundings have others now."""

    def wait_until(self) -> int:
        """When the first duty is due, on the clock that does not step."""

    def look_at_once(self) -> None:
        """Have the next round look at what nobody pokes for."""

    def rest(self, until: int) -> None:
        """Something could not be done: the duties rest until then, and look again."""

    def begin_anew(self, until: int) -> None:
        """What is in memory may be half done: let go of it, and take it up again from what is recorded, later."""

    def say_aside(self) -> None:
        """Runs that went wrong while they were advanced here: said once, and tried again after a pause."""

    @property
    def trouble(self) -> JobctlError | None:
        """Why nothing can be recorded just now."""

    @property
    def spent(self) -> str:
        """Why nothing new begins just now; "" where something may."""

    def failed(self, error: BaseException) -> None:
        """A duty could not be done for that: make what room there is, if that is what it lacked."""

    @property
    def keepers_trouble(self) -> str:
        """What is the matter with those that hold the commands; "" for nothing."""

    @property
    def at_work(self) -> bool:
        """Whether something is under way that goes on by itself, or is due."""

    @property
    def left(self) -> int:
        """How many runs are here."""

    @property
    def running(self) -> int:
        """How many commands run."""

    @property
    def grace_ms(self) -> int:
        """How long they may take to end when they are asked to."""

    def stop_attempts(self) -> int:
        """Ask whatever runs to end, because this process is about to; how many run."""

    def complain(self, troubles: Sequence[tuple[str, int]]) -> None:
        """Leave word of what this process suffers from, for `status`."""

    def tell(self, **what: object) -> None:
        """Leave word of anything else."""

    def give_up_when(self, told: Callable[[], bool]) -> None:
        """A wait to record something ends when this says so."""

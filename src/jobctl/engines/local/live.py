"""A run as this executor has it, and what its parts have in common. What is done with it is the other files'."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from jobctl.core.record import NamedTuple
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.payloads import carried, carries
from jobctl.core.run.turn import Effects, Fact, Rules

if TYPE_CHECKING:
    from jobctl.core.model import Job
    from jobctl.core.run.decide import Decider
    from jobctl.core.run.history import RunState
    from jobctl.core.run.rows import NewRun
    from jobctl.engines.local.child_runs import Begun, Family
    from jobctl.engines.local.commands import RunContext
    from jobctl.engines.local.executor import Executor
    from jobctl.engines.local.notifications import Notice
    from jobctl.process.held import Attempt, Command
    from jobctl.store.append import Batch, Beside

LOOK_EVERY_MS = 5_000  # for what a lost poke would have told
RETRY_STORE_MS = 1_000  # between two tries to write what could not be written
QUEUE_CHECK_MS = 200  # while attempts wait for a place that another process may give back


class Observer(Protocol):
    """Who is told what was recorded. Called after the commit, in the order of the history."""

    def recorded(self, run: LiveRun, events: list[Event]) -> None: ...


class Aside(NamedTuple):
    """A run that an executor has put aside: what went wrong in it is nobody else's affair."""

    run: int
    name: str
    why: str


class Company(NamedTuple):
    """What is recorded in one commit with the runs that were submitted: other new runs, and whatever `beside` writes.
    `done` is told the names of those of these runs whose fire time was dealt with already."""

    batches: Sequence[Batch]
    beside: Beside
    done: Callable[[set[str]], None]


Work = tuple["LiveRun", list[Fact], list[Event]]  # a run, new facts, and events that others have already recorded


class LiveRun(Rules):
    """A run that this executor advances: its rules, its running attempts, and where it stands in the store."""

    __slots__ = (
        "context",
        "family",
        "has_folder",
        "id",
        "new",
        "parent",
        "parent_step",
        "seq",
        "take",
        "takers",
        "trail",
    )

    attempts: dict[str, Attempt[LiveRun]]
    children: dict[str, LiveRun]

    def __init__(self, run_id: int, name: str, job: Job, seq: int, state: RunState, decider: Decider) -> None:
        super().__init__(name, job, state, decider)
        self.id = run_id
        self.seq = seq
        self.take = 0  # the number of the event by which it was taken: the claim under which keepers hold its attempts
        self.takers: list[str] = []  # executors that have had it and may have begun attempts of it, the first one first
        self.new: NewRun | None = None  # until its first commit
        self.has_folder = False
        self.context: RunContext
        self.parent: int | None = None  # the run that started it as its child, and the key of the step there
        self.parent_step = ""
        self.trail: tuple[str, ...] = ()  # the steps that lead to it from the family's root here
        self.family: Family | None = None  # once it has a child, or is one


class Planned:
    """What the facts of one turn come to, as it is to be written: the answers that a run had are part of that."""

    __slots__ = ("children", "commands", "effects", "is_last", "limits", "notices", "places")

    def __init__(self, *, is_last: bool = False) -> None:
        self.is_last = is_last  # that the run could not even begin
        self.effects = Effects()
        self.places: dict[str, int] = {}  # places of queues that attempts are about to take
        self.limits: dict[str, int] = {}  # of these queues
        self.commands: dict[tuple[str, int], Command] = {}  # by key and number of the attempt
        self.children: list[Begun] = []  # child runs that are recorded with this one
        self.notices: list[Notice] = []  # runs that tell of this one's end, and are recorded with it


class Record(Protocol):
    """The one way back into a run, from attempts, timers and recovery: recorded, and followed, at the next turn."""

    def __call__(self, run: LiveRun, fact: Fact, /) -> None: ...


def taken(executor: Executor, now: int) -> Event:
    data = carries(EventType.RUN_TAKEN, {"executor": executor.id, "boot": executor.boot})
    return Event(EventType.RUN_TAKEN, now, data=data)


def takers(events: Iterable[Event]) -> list[str]:
    """Executors that have taken a run, in order, each once where it came last."""
    found = [
        data["executor"]
        for event in events
        if event.type is EventType.RUN_TAKEN and "executor" in (data := carried(event.type, event))
    ]
    return list(dict.fromkeys(found))

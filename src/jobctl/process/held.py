"""An attempt as its executor has it: what is wanted of it, how it stands, what can be reported of it. What is done with
it is supervisor.py's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from jobctl.core.clocks import Mono
from jobctl.core.model import Poll, Timeouts
from jobctl.core.record import NamedTuple
from jobctl.core.run.attempts import Outcome
from jobctl.host.host import Host
from jobctl.process.attempt import AttemptFiles
from jobctl.process.end import End
from jobctl.process.keepers import Link

Owner = TypeVar("Owner")


class Command(NamedTuple):
    """What an attempt runs."""

    argv: list[str]
    environment: dict[str, str]
    cwd: str
    only_if: str = ""
    shell: str = "/bin/sh"
    given: str | None = None  # what it reads from its standard input; None: nothing
    keeps: tuple[str, ...] | None = None  # of the environment, which its condition has all of; None: it does too


class NotStartableError(Exception):
    """There is nothing that could be run. `outcome` is what the attempt has come to."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome


class Ended(NamedTuple):
    """An attempt is over. `extra`: cursor, outputs, stdout, unchecked, strays - what there is of them."""

    outcome: Outcome
    extra: dict[str, Any]


class Suspended(NamedTuple):
    """An attempt has ended itself, to go on as another one when what it waits for has come."""

    wait: dict[str, Any]
    extra: dict[str, Any]


Report = Ended | Suspended


class Attempt(Generic[Owner]):
    """What is wanted of an attempt, and how it stands here."""

    __slots__ = (
        "beat",
        "between_probes",
        "checked",
        "close_at",
        "command",
        "deadline_at",
        "disk_limit",
        "end",
        "ended_at",
        "executors",
        "files",
        "goes_on",
        "grace",
        "has_condition",
        "held_by",
        "id",
        "key",
        "kill_at",
        "kind_of_stop",
        "left",
        "link",
        "log_limit",
        "looks",
        "mark",
        "may_start",
        "may_suspend",
        "number",
        "over",
        "owner",
        "pending_stop",
        "pid",
        "pidfd",
        "poll",
        "probe_id",
        "probes",
        "refusals",
        "report",
        "run",
        "run_limit",
        "started_at",
        "step_started_at",
        "strays",
        "take",
        "timeouts",
        "token",
        "wants_stdout",
        "what",
    )

    def __init__(
        self,
        owner: Owner,
        key: str,
        number: int,
        *,
        run: str,
        take: int,
        files: AttemptFiles,
        token: str,
        timeouts: Timeouts,
        host: Host,
        started_at: int,
        step_started_at: int,
        command: Callable[[bool], Command],
        poll: Poll | None = None,
        goes_on: Callable[[], bool] = lambda: True,
        may_suspend: bool = False,
        has_condition: bool = False,
        wants_stdout: bool = False,
        grace: int = 10_000,
        log_limit: int = 0,
        disk_limit: int = 0,
        run_limit: int | None = None,
    ) -> None:
        """`run`, `take`: under which name, and by which claim of it, keepers hold the attempt. `command(checked)` makes
        what is to be run, without the condition when that has said yes. `run_limit`: the instant at which the owner
        will stop it, for when the owner is not there. Instants of the wall clock, in ms.
        """
        self.owner, self.key, self.number = owner, key, number
        self.run, self.take = run, take
        self.id = f"{run}/{key}.{number}"
        self.files, self.token = files, token
        self.timeouts, self.poll = timeouts, poll
        self.started_at, self.step_started_at = started_at, step_started_at
        self.command = command
        self.goes_on = goes_on
        self.may_suspend, self.has_condition, self.wants_stdout = may_suspend, has_condition, wants_stdout
        self.grace, self.run_limit = grace, run_limit
        self.log_limit, self.disk_limit = log_limit, disk_limit
        # When schedule_to_close has passed, on the clock that does not step.
        closes = timeouts.schedule_to_close
        left = None if closes is None else step_started_at + closes - host.now()
        self.close_at = None if left is None else host.monotonic() + left
        self.over = self.between_probes = False
        self.checked = False  # its condition (only_if) has said yes
        self.mark = self.looks = self.refusals = self.strays = 0
        self.probes = 0  # of a poll
        # Who has its process: keeper | pid | shell | lock; "" while there is none.
        self.held_by = ""
        self.link: Link | None = None
        self.pid: int | None = None  # of its first process, or of its shell keeper
        self.pidfd = -1
        self.probe_id = self.id
        # drain (a poll's) | cancel | kill | daemon (it ends) | run | start_to_close | schedule_to_close | heartbeat |
        # deadline (a poll's)
        self.kind_of_stop: str | None = None
        self.pending_stop: str | None = None  # wanted while nobody knew where it is
        self.kill_at: int | None = None  # monotonic
        self.deadline_at: int | None = None  # the instant that a timer is set for
        # The heartbeat file as it was last seen, and since when (monotonic) it is so; None: nobody looks.
        self.beat: tuple[tuple[int, int] | None, int] | None = None
        self.end: End | None = None
        self.ended_at = Mono(0)  # on the clock that does not step, as its keeper saw it
        self.what: str | None = None  # the letters of the files that there are; None: not known
        self.left: list[str] = []  # keepers that are still to be asked for it
        self.may_start = True
        self.executors: list[str] = []  # that may have begun it
        self.report: Report | None = None  # waits until what it left is killed

    @property
    def running(self) -> bool:
        """Whether there is, or may be, a process of it."""
        return bool(self.held_by)


def probe_id(attempt: Attempt[Any]) -> str:
    return f"{attempt.id}~{attempt.probes}" if attempt.probes else attempt.id


def is_probe_of(id: str, attempt: str) -> bool:
    return id == attempt or id.startswith(attempt + "~")

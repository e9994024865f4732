"""What can go wrong, as a sentence and a way out. Nothing is printed here: cli/exit.py does that, in one place."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.definition.excerpt import Excerpt


class JobctlError(Exception):
    """A request that was understood and could not be done. `code` is API: it stands in --json errors."""

    code = "failed"
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(JobctlError):
    code = "usage"
    exit_code = 2


class KeyConflictError(JobctlError):
    """The job has a run of that key, and it is another one than is asked for."""

    code = "key_conflict"


class Problem:
    """One thing wrong in one definitions file. `excerpt`: its line, as it may be shown."""

    __slots__ = ("column", "excerpt", "file", "hint", "job", "key", "line", "message", "step", "warning")

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        file: str = "",
        line: int = 0,
        job: str = "",
        step: str = "",
        key: str = "",
        warning: bool = False,
        column: int = 0,
        excerpt: Excerpt | None = None,
    ) -> None:
        self.message = message
        self.hint = hint
        self.file = file
        self.line = line
        self.job = job
        self.step = step
        self.key = key
        self.warning = warning
        self.column = column  # counted from 1; 0 where it is not known
        self.excerpt = excerpt

    def place(self) -> str:
        """`jobs.toml:12: job backup, step dump, retry.maximum_attempts`, as much of it as is known."""
        where = self.file + (f":{self.line}" if self.line else "")
        what = ", ".join(
            part
            for part in (f"job {self.job}" if self.job else "", f"step {self.step}" if self.step else "", self.key)
            if part
        )
        return ": ".join(part for part in (where, what) if part)

    def __str__(self) -> str:
        place = self.place()
        return f"{place}: {self.message}" if place else self.message


class DefinitionError(JobctlError):
    """A definitions file that cannot be used; `problems` holds everything that is wrong with it."""

    code = "definition"
    exit_code = 2

    def __init__(self, problems: list[Problem]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more: jobctl validate)" if len(problems) > 1 else ""
        super().__init__(f"{first}{more}", hint=first.hint)
        self.problems = problems


class NotFoundError(JobctlError):
    code = "not_found"
    exit_code = 3


class StoreError(JobctlError):
    code = "store"
    exit_code = 4


# What code meets that reads what stands in rows and files, when that is not what jobctl has written.
UNREADABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


def unreadable(run: str, error: Exception) -> StoreError:
    """What is recorded of a run cannot be read: an error of that run, and of no other."""
    return StoreError(
        f"what is recorded of run {run} cannot be read: {type(error).__name__}: {error}",
        hint="the other runs are not concerned; see: jobctl doctor --deep",
    )


class StoreLostError(StoreError):
    """The store is not any more what this process has opened: upgraded, replaced, damaged. That does not pass by
    itself: whoever supervises this process starts it again."""


class UnwritableError(StoreError):
    """What was to be written cannot be, in this store or another: the fault is in it, and concerns nobody else."""


class StoreUnavailableError(StoreError):
    """The store cannot be written just now: full, locked, a disk error. An engine keeps what it has and tries again."""


class StoreGoneError(StoreUnavailableError):
    """There is no store any more where it was. It may come back: a folder that was moved, a volume without a mount."""


class CopyError(StoreError):
    """The state folder is a copy of another one, and nobody has said which of the two goes on."""

    code = "copy"

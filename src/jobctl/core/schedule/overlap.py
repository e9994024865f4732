"""What a fire does while a run of its job is alive. Temporal's six policies, exactly; nothing is started here."""

from __future__ import annotations

from enum import StrEnum

from jobctl.core.model import OverlapPolicy
from jobctl.core.record import NamedTuple

# `buffer_all` without a bound fills the disk when a job is slower than its schedule.
BUFFER_LIMIT = 1_000


class Fire(StrEnum):
    START = "start"
    BUFFER = "buffer"  # a queued run that starts when the others of its job are over
    SKIP = "skip"
    CANCEL_OTHER = "cancel_other"  # ask those that run to end, and buffer
    TERMINATE_OTHER = "terminate_other"  # kill those that run, and buffer


class Decision(NamedTuple):
    fire: Fire
    reason: str | None = None  # why nothing starts


def decide(policy: OverlapPolicy, *, running: int, buffered: int) -> Decision:
    """What becomes of a fire time when so many runs of the job are alive: begun, and buffered behind them."""
    if policy is OverlapPolicy.ALLOW_ALL or not (running or buffered):
        return Decision(Fire.START)
    if policy is OverlapPolicy.SKIP:
        return Decision(Fire.SKIP, "a run was still alive (overlap = skip)")
    if policy is OverlapPolicy.BUFFER_ONE:
        if buffered:
            return Decision(Fire.SKIP, "one run was waiting already (overlap = buffer_one)")
        return Decision(Fire.BUFFER)
    if policy is OverlapPolicy.BUFFER_ALL:
        if buffered >= BUFFER_LIMIT:
            return Decision(Fire.SKIP, f"{BUFFER_LIMIT} runs were waiting already (overlap = buffer_all)")
        return Decision(Fire.BUFFER)
    # The newest fire replaces one that still waits for the others to end.
    fire = Fire.CANCEL_OTHER if policy is OverlapPolicy.CANCEL_OTHER else Fire.TERMINATE_OTHER
    return Decision(fire)


def came_together(policy: OverlapPolicy, with_which: str) -> str:
    """Why a fire time gets no run that was dealt with in one look with others: no run was alive when it came."""
    has = "waits" if policy is OverlapPolicy.BUFFER_ONE else "has the run"
    return f"came due together with {with_which}, which {has} (overlap = {policy})"


def may_leave_buffer(policy: OverlapPolicy, *, running: int) -> bool:
    """Whether a run that a schedule has queued may start, with so many others of its job begun and not over."""
    return policy is OverlapPolicy.ALLOW_ALL or running == 0

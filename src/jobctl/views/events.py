"""Events in words, for people. How they look as JSON is documents.py's."""

from __future__ import annotations

from collections.abc import Mapping

from jobctl.core.keys import ITEMS, item_index
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.payloads import carried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMED = 5  # of what an event names


def describe(event: Event) -> str:
    """An event in words, for people: `step dump, attempt 2 failed: exit code 1; next attempt in 2s`."""
    try:
        return _described(event)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return f"{event.type}: what else is recorded of it cannot be read"  # one damaged row is one line


def _described(event: Event) -> str:
    about = f"step {event.step}" if event.step else "run"
    attempt = f"{about}, attempt {event.number}"
    kind = event.type
    if kind is EventType.ATTEMPT_STARTED:
        return f"{attempt} started"
    if kind is EventType.UNDO_STARTED:
        return f"compensation of {attempt} started"
    if kind is EventType.ATTEMPT_ENDED or kind is EventType.UNDO_ENDED:
        of = attempt if event.number else about  # ended between two attempts, or before the first
        return f"{'compensation of ' if kind is EventType.UNDO_ENDED else ''}{of} {_how_it_ended(event)}"
    if kind is EventType.STEP_ENDED:
        ended = carried(kind, event)
        text = f"{about} {_words(ended['status'])}" + _after(": ", ended.get("error"))
        if "retry_at" not in ended:
            return text + _after("; no retry: ", ended.get("why"))
        return f"{text}; another child run in {_span(ended['retry_at'] - event.at)}"
    if kind is EventType.CHILD_ENDED:
        child = carried(kind, event)
        return f"{about}: child run {child['run']} {_words(child['status'])}" + _after(": ", child.get("reason"))
    if kind is EventType.RUN_CREATED:
        new = carried(kind, event)
        parent = new.get("parent")
        if "about" in new:
            from jobctl.core.run.notices import sentence

            return f"run created, to tell that {sentence(new['about'])}"
        return "run created" + (f", a child of {parent['run']}, step {parent['step']}" if parent else _reusing(new))
    if kind is EventType.RUN_ENDED:
        end = carried(kind, event)
        names = ", ".join(end.get("notifications", ()))
        return f"run {_words(end['status'])}" + _after(": ", end.get("reason")) + _after("; notifies: ", names)
    if kind is EventType.RUN_REOPENED:
        again = carried(kind, event)
        redo = (f"what is left of {n.removesuffix(ITEMS)}" if n.endswith(ITEMS) else n for n in again["redo"])
        return "run taken up again" + _after(", doing again: ", ", ".join(redo)) + _by(again)
    if (waited := _of_a_wait(event, about)) is not None:
        return waited
    words = {
        EventType.RUN_TAKEN: f"taken by executor {carried(EventType.RUN_TAKEN, event).get('executor', '')}",
        EventType.RUN_PAUSED: "run paused",
        EventType.RUN_UNPAUSED: "run goes on",
        EventType.CANCEL_REQUESTED: "cancel requested",
        EventType.TERMINATE_REQUESTED: "terminate requested",
        EventType.RUN_TIMED_OUT: "the run's timeout passed",
        EventType.RUN_ACKNOWLEDGED: "acknowledged",
    }
    asked = carried(EventType.CANCEL_REQUESTED, event)
    reason = asked.get("reason") if kind is not EventType.RUN_TIMED_OUT else None
    return words[kind] + _after(": ", reason) + _by(asked)


def _of_a_wait(event: Event, about: str) -> str | None:
    """What is waited for, and what comes of it."""
    kind = event.type
    if kind is EventType.WAIT_STARTED:
        wait = carried(kind, event)
        name, until = wait.get("name"), _until(wait.get("until"), event)
        if wait["kind"] == "sleep":
            return f"{about} sleeps{until}"
        if wait["kind"] == "child":
            return f"{about} waits for child run {name}{until}"
        return f"{about} waits for {'the signal' if wait['kind'] == 'signal' else 'an answer to:'} {name}{until}"
    if kind is EventType.APPROVAL_ANSWERED:
        answer = carried(kind, event)
        return f"{about} {'approved' if answer['approved'] else 'rejected'}{_by(answer)}" + _after(
            ": ", answer.get("comment")
        )
    if kind is EventType.ITEMS_LISTED:
        items = carried(kind, event)
        count = f"{items['count']:,} item{'' if items['count'] == 1 else 's'}"
        return f"{about} has {count}" if "items" in items else f"{about} goes on with its {count}"
    if kind is EventType.TIMER_FIRED:
        return f"{about}: the time it waits for has come"
    if kind is EventType.WAIT_ENDED:
        came = carried(kind, event)
        return f"{about}: the signal {came['name']} has come"
    if kind is EventType.SIGNAL_RECEIVED:
        signal = carried(kind, event)
        return f"signal {signal['name']} sent{_by(signal)}"
    if kind is EventType.WAKE_REQUESTED:
        wake = carried(kind, event)
        names = ", ".join(wake["steps"][:_NAMED]) + (" …" if len(wake["steps"]) > _NAMED else "")
        return f"to go on now: {names}" + _after(": ", wake.get("reason")) + _by(wake)
    return None


def _how_it_ended(event: Event) -> str:
    data = carried(EventType.ATTEMPT_ENDED, event)
    wait = data.get("wait")
    if wait is not None:
        what = f"suspended, waits for the signal {wait['name']}" if wait["kind"] == "signal" else "suspended"
        return what + _until(wait.get("until"), event)
    words = _words(data.get("status", "succeeded")) + _after(": ", data.get("error"))
    if data.get("status") == "stopped" and "retry_at" in data:
        return f"{words}; another attempt follows"
    if "retry_at" in data:
        return f"{words}; next attempt in {_span(data['retry_at'] - event.at)}"
    return words + _after("; no retry: ", data.get("why"))


def _until(at: int | None, event: Event) -> str:
    """On the clock on the wall, and how long from the event on."""
    if at is None:
        return ""
    from jobctl.core.text import in_, local_time

    return f" until {local_time(at)} ({in_(at, event.at)})"


def _reusing(data: Mapping[str, Any]) -> str:
    if "like" not in data:
        return ""
    steps = [key for key in data["reused"] if item_index(key) is None]
    return f" like {data['like']}, reusing {', '.join(steps) or 'none of its steps'}"


def _span(ms: int) -> str:
    from jobctl.core.text import duration

    return duration(ms)


def _words(status: str) -> str:
    return status.replace("_", " ")


def _after(before: str, text: str | None) -> str:
    return f"{before}{text}" if text else ""


def _by(data: Mapping[str, Any]) -> str:
    return _after(" by ", data.get("by"))

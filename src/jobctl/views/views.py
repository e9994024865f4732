"""The questions people ask of the store, answered as plain values. cli and web read these; nothing is printed here.

Reads what `jobctl status` needs and no definitions file: imports stay few, for this is what people call most.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from jobctl.core.errors import StoreError
from jobctl.core.keys import ITEMS, UNDO, item_index, item_key
from jobctl.core.run.history import AttemptState, Event, EventType, RunState, StepState
from jobctl.core.run.rows import RunRow
from jobctl.core.text import rfc3339
from jobctl.engines.local import executor
from jobctl.engines.run_files import run_folder
from jobctl.host import clock
from jobctl.process.attempt import AttemptFiles, heartbeat_mark, read_cursor, read_poll, signal_name
from jobctl.store.store import Store

if TYPE_CHECKING:
    from jobctl.core.run.why import Reason, Signs

Document = dict[str, Any]
Executors = Mapping[str, tuple[int, str, int]]  # id -> (pid, kind, started_at)

_NAMED = 5  # of what an event names
_NOTIFICATIONS = 20  # of a job, among which those that failed are looked for


class Seen(NamedTuple):
    """A run and who has it, looked at once: all that is said of it is said of this."""

    row: RunRow
    holder: Document | None  # the living executor that has it

    @property
    def name(self) -> str:
        return self.row.name


_Rest = ParamSpec("_Rest")
_Answer = TypeVar("_Answer")
_Read = Callable[Concatenate[Store, Any, _Rest], _Answer]
UNREADABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


def _of_one_run(read: _Read[_Rest, _Answer]) -> _Read[_Rest, _Answer]:
    """Whatever stands in the rows of a run: what cannot be read is an error of that run, and of no other."""

    @wraps(read)
    def guarded(store: Store, row: RunRow | Seen, *args: _Rest.args, **named: _Rest.kwargs) -> _Answer:
        try:
            return read(store, row, *args, **named)
        except UNREADABLE as error:
            raise StoreError(
                f"what is recorded of run {row.name} cannot be read: {type(error).__name__}: {error}",
                hint="the other runs are not concerned; see: jobctl doctor",
            ) from error

    return guarded  # type: ignore[return-value]


@_of_one_run
def look(store: Store, row: RunRow | Seen, known: Executors | None = None) -> Seen:
    """Who has a run. One that nobody has and that should be going on is read again: it may have ended in order, or have
    been taken by another, after the row was read. `known`: executors, where they were asked for already."""
    if isinstance(row, Seen):
        return row
    while True:
        lives = row.executor is not None and executor.alive(store.state_dir, row.executor)
        if row.executor is not None and lives:
            # It may have come after those that are known; or it is on its way out, and has ended the run.
            found = (known or {}).get(row.executor) or store.executors().get(row.executor)
            if found is not None:
                return Seen(row, {"id": row.executor, "pid": found[0], "kind": found[1]})
        if row.finished_at is not None or row.status == "queued":
            return Seen(row, None)
        again = store.run(row.id)
        if (again.seq, again.executor) == (row.seq, row.executor):
            # It is not known any more, and its lock is still held: it lives for another instant.
            return Seen(again, {"id": row.executor, "pid": None, "kind": "foreground"} if lives else None)
        row = again


@_of_one_run
def run_document(store: Store, row: RunRow | Seen, executors: Executors | None = None) -> Document:
    """One run as cli.md promises it: names and types of the fields are API; fields may be added.

    StoreError when its history cannot be read.
    """
    row, holder = look(store, row, executors)
    state = _as_due(store.state(row))
    definition = json.loads(store.definition(row.definition))
    steps = definition["steps"]
    folder = run_folder(store.state_dir, row.name)
    documents = [_step(step, state, folder) for step in steps]
    if any("job" in step for step in steps):
        children = store.statuses_of_children(row.id)
        for document, step in zip(documents, steps, strict=True):
            if "job" in step:
                document["child"] = _child(children, state.steps.get(step["name"]))
                for item in document.get("items", ()):
                    item["child"] = _child(children, state.steps.get(item["name"]))
    return {
        "id": row.name,
        "job": row.job,
        "status": row.status,
        "interrupted": is_interrupted(row, holder),
        "trigger": state.trigger,
        "fire_time": _time(row.fire_time),
        "key": state.key,
        "created_at": rfc3339(row.created_at),
        "started_at": _time(row.started_at),
        "finished_at": _time(row.finished_at),
        "worked_ms": _worked(state, row),
        "params": state.params,
        "parent": _parent(store, row),
        "rolled_back": _rolled_back(state),
        "definition_changed": row.finished_at is not None and row.status != "succeeded" and has_changed(store, row),
        "reason": row.reason,
        "waiting_for": _queued_for(store, row, definition)
        if row.status == "queued"
        else _waiting_for(store, row, state, holder),
        "executor": holder,
        "like": state.like,
        "about": None if state.about is None else _about(state.about),
        "notifications": [_notification(store, name) for name in state.notifications],
        "steps": documents,
    }


def has_changed(store: Store, row: RunRow) -> bool:
    """Whether the file that the run's job was read from has another definition of it by now."""
    from jobctl.definitions.changes import changed

    kept = store.definition(row.definition)
    return changed(str(json.loads(kept).get("file", "")), row.job, kept)


@_of_one_run
def reasons(store: Store, row: RunRow | Seen, now: int, executors: Executors | None = None) -> list[Reason]:
    """Why a run is where it is: core/run/why.py's answer. StoreError as in run_document."""
    from jobctl.core.model import decode
    from jobctl.core.run.why import Outside, Reason, explain

    row, holder = look(store, row, executors)
    if store.copy is not None and row.finished_at is None and holder is None:
        commands = ("jobctl adopt --original-is-gone", "jobctl adopt --as-copy")
        text = f"it stands still: this state folder is a copy of another one, whose run it is: {', or '.join(commands)}"
        return [Reason("copy", text, commands=commands, fields={"of": store.copy.of.path})]
    kept = store.definition(row.definition)
    job = decode(kept)
    state, decider = store.restored(row, job)
    state = _as_due(state)
    queues = {step.queue for step in job.steps if step.queue is not None}
    seen = Outside(
        row.name,
        row.job,
        holder=holder["kind"] if holder is not None else None,
        daemon=any(kind == "daemon" for _, kind, _ in _living(store, executors).values()),
        wake_at=row.wake_at,
        untaken=row.executor is None,
        changed=row.finished_at is not None and row.status != "succeeded" and has_changed(store, row),
        queue=row.queue,
        places={queue: store.in_queue(queue) for queue in sorted(queues)},
        signs=_signs(store, row.name, state),
    )
    if row.status == "queued":
        waits_for = _queued_for(store, row, json.loads(kept))["kind"]
        before, ahead = _in_front(store, row, waits_for)
        seen = seen._replace(waits_for=waits_for, before=before, ahead=ahead)
    return explain(job, state, decider, seen, now)


def _worked(state: RunState, row: RunRow) -> int | None:
    """How long its tries have taken together, without the time between them; None before it has begun."""
    if row.started_at is None:
        return None
    end = clock.now() if row.finished_at is None else row.finished_at
    return state.worked_before + (max(0, end - state.try_started_at) if state.try_started_at is not None else 0)


def _rolled_back(state: RunState) -> str | None:
    """What the compensations of a run that is over have come to, in words; None where none were begun."""
    if not state.undone or state.finished_at is None:
        return None
    from jobctl.core.run.why import rolled_back

    return rolled_back(state)


def _as_due(state: RunState) -> RunState:
    """A run whose waits are over when the clock here will show it, however it was set since."""
    if any(step.due is not None for states in (state.steps, state.undo) for step in states.values()):
        return state.as_due(clock.boot_id()[:8], clock.boottime(), clock.now())
    return state


def reason_document(reason: Reason) -> Document:
    """One reason for programs. Instants are RFC 3339, as everywhere."""
    times = {key: _time(reason.fields[key]) for key in reason.fields if key == "since" or key.endswith("_at")}
    return {
        "kind": reason.kind,
        "step": reason.step or None,
        "until": _time(reason.until),
        "text": reason.text,
        "commands": list(reason.commands),
        **reason.fields,
        **times,
    }


@_of_one_run
def summary(store: Store, row: RunRow | Seen, executors: Executors | None = None) -> Document:
    """A run as lists show it: the run document without its steps and parameters, and without reading its history."""
    row, holder = look(store, row, executors)
    return {
        "id": row.name,
        "job": row.job,
        "status": row.status,
        "interrupted": is_interrupted(row, holder),
        "trigger": row.trigger,
        "fire_time": _time(row.fire_time),
        "created_at": rfc3339(row.created_at),
        "started_at": _time(row.started_at),
        "finished_at": _time(row.finished_at),
        "parent": _parent(store, row),
        "reason": row.reason,
        "executor": holder,
    }


def _about(about: Mapping[str, Any]) -> Document:
    """What a notification tells of."""
    from jobctl.core.run.notices import times

    return {**about, **{key: rfc3339(at) for key, at in times(about).items()}}


def _notification(store: Store, name: str) -> Document:
    """A run that tells of another's end, and where it stands now; no status when it is gone."""
    return {"run": name, "status": store.status_of(name)}


def failed_notifications(store: Store, jobs: Iterable[str], since: int) -> list[Document]:
    """Of what nobody was told since then: of each command of `jobs` the last notification, where that has failed.

    Looks at no more than the last few of each job.
    """
    from jobctl.core.run.notices import is_notifier

    found = []
    for job in filter(is_notifier, jobs):
        commands: set[int] = set()  # a job that notifies with several has a definition for each
        for row in store.history(job=job, limit=_NOTIFICATIONS):
            if row.finished_at is None or row.definition in commands:
                continue
            commands.add(row.definition)
            if row.status in ("failed", "timed_out") and row.finished_at >= since:
                try:
                    about = store.state(row).about
                    told = None if about is None else _about(about)
                except (StoreError, *UNREADABLE):  # one that cannot be read is still one that failed
                    told = None
                with suppress(StoreError):
                    found.append({**summary(store, row), "about": told})
    return found


def _parent(store: Store, row: RunRow) -> Document | None:
    """The run and the step that started this one as a child."""
    if row.parent is None:
        return None
    found = store.name_of(row.parent)
    return {"run": found, "step": row.parent_step} if found is not None else None


def _child(statuses: Mapping[str, str], step: StepState | None) -> Document | None:
    """The last child run of a step, or an item, and where it stands now; no status when it is gone."""
    if step is None or step.child is None:
        return None
    return {**step.child, "status": statuses.get(step.child["run"])}


@_of_one_run
def current(store: Store, row: RunRow) -> RunRow:
    """The row as `look` sees it."""
    return look(store, row).row


def is_interrupted(row: RunRow, holder: Document | None) -> bool:
    """Whether the run should be going on and its executor has died. One that no executor has had since somebody asked
    for it is waited for: it may be taken at any moment."""
    return row.status == "running" and holder is None and row.wake_at is None and row.executor is not None


def event_document(event: Event, number: int) -> Document:
    """One event of a history; `number` is its place in it, from 1."""
    document: Document = {"seq": number, "at": rfc3339(event.at), "type": str(event.type)}
    if event.step:
        document["step"] = event.step
    if event.number:
        document["attempt"] = event.number
    times = {key: rfc3339(event.data[key]) for key in ("retry_at", "until") if key in event.data}
    document["data"] = {**event.data, **times}
    document["data"].pop("clock", None)  # of one boot of one machine: it says nothing to others
    wait = event.data.get("wait")
    if wait is not None:
        document["data"]["wait"] = _wait_document(wait)
    return document


def describe(event: Event) -> str:
    """An event in words, for people: `step dump, attempt 2 failed: exit code 1; next attempt in 2s`."""
    try:
        return _described(event)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return f"{event.type}: what else is recorded of it cannot be read"  # one damaged row is one line


def _described(event: Event) -> str:
    data = event.data
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
        text = f"{about} {_words(data['status'])}" + _after(": ", data.get("error"))
        if "retry_at" not in data:
            return text + _after("; no retry: ", data.get("why"))
        return f"{text}; another child run in {_span(data['retry_at'] - event.at)}"
    if kind is EventType.CHILD_ENDED:
        return f"{about}: child run {data['run']} {_words(data['status'])}" + _after(": ", data.get("reason"))
    if kind is EventType.RUN_CREATED:
        parent = data.get("parent")
        if "about" in data:
            from jobctl.core.run.notices import sentence

            return f"run created, to tell that {sentence(data['about'])}"
        return "run created" + (f", a child of {parent['run']}, step {parent['step']}" if parent else _reusing(data))
    if kind is EventType.RUN_ENDED:
        names = ", ".join(data.get("notifications", ()))
        return f"run {_words(data['status'])}" + _after(": ", data.get("reason")) + _after("; notifies: ", names)
    if kind is EventType.RUN_REOPENED:
        redo = (f"what is left of {n.removesuffix(ITEMS)}" if n.endswith(ITEMS) else n for n in data["redo"])
        return "run taken up again" + _after(", doing again: ", ", ".join(redo)) + _by(data)
    if kind is EventType.WAIT_STARTED:
        name, until = data.get("name"), _until(data.get("until"), event)
        if data["kind"] == "sleep":
            return f"{about} sleeps{until}"
        if data["kind"] == "child":
            return f"{about} waits for child run {name}{until}"
        return f"{about} waits for {'the signal' if data['kind'] == 'signal' else 'an answer to:'} {name}{until}"
    if kind is EventType.APPROVAL_ANSWERED:
        return f"{about} {'approved' if data['approved'] else 'rejected'}{_by(data)}" + _after(
            ": ", data.get("comment")
        )
    if kind is EventType.ITEMS_LISTED:
        count = f"{data['count']:,} item{'' if data['count'] == 1 else 's'}"
        return f"{about} has {count}" if "items" in data else f"{about} goes on with its {count}"
    if kind is EventType.TIMER_FIRED:
        return f"{about}: the time it waits for has come"
    if kind is EventType.WAIT_ENDED:
        return f"{about}: the signal {data['name']} has come"
    if kind is EventType.SIGNAL_RECEIVED:
        return f"signal {data['name']} sent{_by(data)}"
    if kind is EventType.WAKE_REQUESTED:
        names = ", ".join(data["steps"][:_NAMED]) + (" …" if len(data["steps"]) > _NAMED else "")
        return f"to go on now: {names}" + _after(": ", data.get("reason")) + _by(data)
    words = {
        EventType.RUN_TAKEN: f"taken by executor {data.get('executor', '')}",
        EventType.RUN_PAUSED: "run paused",
        EventType.RUN_UNPAUSED: "run goes on",
        EventType.CANCEL_REQUESTED: "cancel requested",
        EventType.TERMINATE_REQUESTED: "terminate requested",
        EventType.RUN_TIMED_OUT: "the run's timeout passed",
        EventType.RUN_ACKNOWLEDGED: "acknowledged",
    }
    reason = data.get("reason") if kind is not EventType.RUN_TIMED_OUT else None
    return words[kind] + _after(": ", reason) + _by(data)


def _how_it_ended(event: Event) -> str:
    data = event.data
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


def _in_front(store: Store, row: RunRow, waits_for: str) -> tuple[list[str], int]:
    """Which runs a queued one waits for to end, and how many queued ones come before it. Of one whose process has died
    that is said, too."""
    if waits_for == "overlap":
        return [_named(store, one) for one in store.alive_before(row)], 0
    if waits_for != "queue":
        return [], 0
    begun = store.awake_in_queue(row.queue) if row.queue is not None else []
    waiting = store.lines_before(row)
    # The higher priorities, those of its job before it - and as many of each other job: places go round the jobs.
    own = next((older for job, priority, _, older in waiting if (job, priority) == (row.job, row.priority)), 0)
    ahead = own + sum(
        count if priority > row.priority else min(count, own + bool(older))
        for job, priority, count, older in waiting
        if (job, priority) != (row.job, row.priority)
    )
    return [_named(store, one) for one in begun], ahead


def _named(store: Store, row: RunRow) -> str:
    return row.name + (" (interrupted)" if row.status == "running" and is_interrupted(*look(store, row)) else "")


def _signs(store: Store, run: str, state: RunState) -> dict[str, Signs]:
    """What the running attempts of a run show of themselves."""
    from jobctl.core.run.why import Signs

    folder, executors = run_folder(store.state_dir, run), executor.folder(store.state_dir)
    now, found = clock.now(), {}
    for suffix, steps in (("", state.steps), (UNDO, state.undo)):
        for name, step in steps.items():
            if step.status == "running" and step.items is None:
                files = AttemptFiles(folder, name + suffix, step.attempts[-1].number)
                mark, poll = heartbeat_mark(files.heartbeat), read_poll(files.poll)
                asked, next_at = poll if poll is not None else (0, None)
                # Between two times a poll is not asked; the first time it is from its beginning.
                probe = step.attempts[-1].started_at if next_at is None else next_at if next_at <= now else None
                stands = _standing(executors, step.attempts[-1].keeper, files.log)
                found[name + suffix] = Signs(mark[0] if mark else None, probe, asked, next_at, *stands)
    return found


def _standing(executors: str, keeper: str | None, log: str) -> tuple[str, int, str]:
    """What is the matter with an attempt's process, as Signs has it; nothing where no keeper was recorded."""
    if keeper is None:
        return "", 0, ""
    from jobctl.process import standing

    try:
        return standing.of_attempt(executors, keeper, log)
    except OSError:  # no descriptor just now
        return "", 0, ""


def executors(store: Store) -> dict[str, tuple[int, str, int]]:
    """The living executors: id -> (pid, kind, started_at)."""
    return dict(_living(store, None))


def _living(store: Store, known: Executors | None) -> Executors:
    return {
        name: about
        for name, about in (known if known is not None else store.executors()).items()
        if executor.alive(store.state_dir, name)
    }


def _queued_for(store: Store, row: RunRow, definition: Document) -> Document:
    """What a run that nobody has begun waits for: the runs before it, a place, or a daemon."""
    if row.trigger in ("schedule", "backfill") and definition.get("overlap") != "allow_all":
        other = store.first_alive_before(row)
        if other is not None:
            return {"kind": "overlap", "name": other, "until": None}
    if row.queue is not None or any(kind == "daemon" for _, kind, _ in executors(store).values()):
        return {"kind": "queue", "name": row.queue, "until": None}
    return {"kind": "executor", "name": None, "until": None}


def daemons(store: Store) -> list[Document]:
    """The daemons that live on this store, oldest first."""
    living = sorted(executors(store).items(), key=lambda item: item[1][2])
    return [
        {
            "id": name,
            "pid": pid,
            "started_at": rfc3339(started),
            "troubles": _troubles(store, name),
            **_definitions_of(store, name),
        }
        for name, (pid, kind, started) in living
        if kind == "daemon"
    ]


def _definitions_of(store: Store, daemon: str) -> Document:
    """The files that a daemon uses, and why it does not use them as they are now."""
    told = executor.told(store.state_dir, daemon)
    return {"files": told.get("files", []), "definitions_problem": told.get("definitions_problem")}


def _troubles(store: Store, daemon: str) -> list[Document]:
    """What a daemon suffers from, as it says: its disk, the store, its clock."""
    return [
        {"message": one["message"], "since": rfc3339(int(one["since"]))}
        for one in executor.complaints(store.state_dir, daemon)
    ]


def paused(store: Store) -> list[Document]:
    """Jobs whose schedules are paused."""
    from jobctl.store import firings

    return [
        {"job": job, "at": rfc3339(pause.at), "reason": pause.reason, "by": pause.who}
        for job, pause in firings.paused(store).items()
    ]


def dropped(store: Store, since: int) -> list[Document]:
    """What schedules fired without a run since then: by job and outcome, newest first."""
    from jobctl.store.firings import lately_dropped

    return [
        {"job": job, "outcome": outcome, "count": count, "last": rfc3339(last), "reason": reason}
        for job, outcome, count, last, reason in lately_dropped(store, since)
    ]


def _waiting_for(store: Store, row: RunRow, state: RunState, holder: Document | None) -> Document | None:
    if row.finished_at is not None:
        return None
    if row.status == "paused":
        return {"kind": "pause", "name": None, "until": None}
    if holder is None and (row.wake_at is None or _overslept(store, row.wake_at)):
        return {"kind": "executor", "name": None, "until": None}
    everything = [*state.steps.values(), *state.undo.values()]
    if any(step.status == "running" and step.items is None for step in everything):
        return None
    # What comes first; what has no time comes last.
    never = 1 << 62
    due = [(step.retry_at, "retry", step.name) for step in everything if step.retry_at is not None]
    for step in everything:
        if step.waiting is not None:
            kind = step.waiting["kind"]
            due.append(
                (
                    step.waiting.get("until", never),
                    kind,
                    step.waiting["name"] if kind in ("signal", "child") else step.name,
                )
            )
    if not due:
        return None
    at, kind, name = min(due)
    return {"kind": kind, "name": name, "until": rfc3339(at) if at != never else None}


def _overslept(store: Store, wake_at: int) -> bool:
    """Whether a run that is asleep is due, and no daemon is there to wake it."""
    return wake_at <= clock.now() and not any(kind == "daemon" for _, kind, _ in executors(store).values())


def _step(definition: Document, state: RunState, folder: str) -> Document:
    name = definition["name"]
    over = state.status is not None and state.status.final
    document = _unit(name, state, folder, over)
    step = state.steps.get(name)
    if step is None or step.items is None:
        if "foreach" in definition and not document["attempts"]:
            document["outputs"], document["items"] = [], []
        return document
    over = over or step.status not in ("pending", "running")
    document["items"] = [
        {"index": index, "item": item, **_unit(item_key(name, index), state, folder, over)}
        for index, item in enumerate(step.items)
    ]
    document["outputs"] = [item["outputs"] for item in document["items"]]
    return document


def _unit(name: str, state: RunState, folder: str, over: bool) -> Document:
    """What is done on its own, a step or an item of one. `over`: what has not begun of it will not."""
    step = state.steps.get(name)
    if step is None:
        # In a run that is over, what has not begun will not: it was not its turn.
        return _step_document(StepState(name), "skipped" if over else "pending", name, folder)
    status = str(step.status)
    document = _step_document(step, "skipped" if over and status == "pending" else status, name, folder)
    undo = state.undo.get(name)
    if undo is not None:
        document["compensation"] = {
            "status": str(undo.status),
            "error": undo.error,
            "next_attempt_at": _time(undo.retry_at),
            "attempts": [
                _attempt(attempt, AttemptFiles(folder, name + UNDO, attempt.number)) for attempt in undo.attempts
            ],
        }
    return document


def _step_document(step: StepState, status: str, name: str, folder: str) -> Document:
    cursor = step.cursor
    if status == "running" and step.items is None:
        newest = read_cursor(AttemptFiles(folder, name, step.attempts[-1].number).heartbeat)
        cursor = cursor if newest is None else newest
    return {
        "name": name,
        "status": status,
        "attempt": len(step.attempts),
        "cursor": cursor,
        "outputs": step.outputs,
        "error": step.error,
        "reused_from": step.reused,
        "started_at": _time(step.started_at),
        "next_attempt_at": _time(step.retry_at),
        "waiting": None if step.waiting is None else _wait_document(step.waiting),
        "attempts": [_attempt(attempt, AttemptFiles(folder, name, attempt.number)) for attempt in step.attempts],
    }


def _wait_document(wait: Mapping[str, Any]) -> Document:
    return {"kind": wait["kind"], "until": _time(wait.get("until")), "name": wait.get("name")}


def _attempt(attempt: AttemptState, files: AttemptFiles) -> Document:
    data = attempt.data
    ended = attempt.status != "running"
    number = data.get("signal")
    code = data.get("exit_code")
    try:
        log_bytes = os.stat(files.log).st_size
    except OSError:
        log_bytes = 0
    return {
        "number": attempt.number,
        "status": attempt.status,
        "exit_code": 0 if code is None and ended and attempt.status == "succeeded" else code,
        "signal": signal_name(number) if number is not None else None,
        "started_at": rfc3339(attempt.started_at),
        "finished_at": _time(attempt.finished_at),
        "error": data.get("error"),
        "strays": data.get("strays", 0),
        "log": files.log,
        "log_bytes": log_bytes,
    }


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)

"""What is said of runs to programs and people: the JSON contract - names and types of the fields are API, fields may be
added - and everything without its secrets. Masked here and nowhere else; instants become text here.
"""

from __future__ import annotations

from jobctl.core.errors import UNREADABLE, JobctlError, unreadable
from jobctl.core.text import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    from jobctl.core.errors import Problem
    from jobctl.core.run.history import Event
    from jobctl.core.run.why import Reason
    from jobctl.definitions.masking import Masker
    from jobctl.engines.base import Client
    from jobctl.engines.values import Daemon, Dropped, Holder, Paused, Run
    from jobctl.views.overview import Overview
    from jobctl.views.run import Attempt, Detail, Step, Wait
    from jobctl.views.schedules import Line

    Document = dict[str, Any]
    _Value = TypeVar("_Value")


class Documents:
    """What one client's runs look like from outside. `say` hears what could not be hidden."""

    def __init__(self, client: Client, say: Callable[[str], None] = lambda _: None) -> None:
        self._client = client
        self._say = say
        self._known: tuple[str, Masker | None] | None = None  # the last that was made: by the run's name

    # -- of one run --

    def run(self, run: Run, now: int) -> Document:
        """One run as `status RUN --json` has it. StoreError when its history cannot be read."""
        return run_document(self.detail(run, now))

    def detail(self, run: Run, now: int) -> Detail:
        """The same as values."""
        from jobctl.views.run import detail

        return self.hidden(run, self._read(run, lambda: detail(self._client, run, now)))

    def reasons(self, run: Run, now: int) -> list[Reason]:
        """Why it is where it is."""
        found = self._read(run, lambda: self._client.reasons(run, now))
        masker = self.masker(run)
        if masker is None:
            return found
        from jobctl.definitions.masking import masked

        return [
            reason._replace(text=masker.text(reason.text), fields=masked(dict(reason.fields), masker.text))
            for reason in found
        ]

    def events(self, run: Run, *, after: int = 0) -> list[Event]:
        """Its history."""
        events = self._client.events(run, after=after)
        masker = self.masker(run)
        if masker is None:
            return events
        from jobctl.definitions.masking import masked

        return [event._replace(data=masked(event.data, masker.text)) for event in events]

    def hidden(self, run: Run, value: _Value) -> _Value:
        """Something that is said of a run - values of views/, or a document - without its secrets."""
        masker = self.masker(run)
        if masker is None:
            return value
        from jobctl.definitions.masking import masked

        shown: _Value = masked(value, masker.text)
        return shown

    def masker(self, run: Run) -> Masker | None:
        """What hides the run's secrets, as the files have them now; None when it has none, or nobody knows them any
        more. What cannot be hidden for that is said."""
        if self._known is None or self._known[0] != run.name:
            self._known = run.name, self._masker(run)
        return self._known[1]

    def _masker(self, run: Run) -> Masker | None:
        kept = self._client.definition(run)
        if '"***"' not in kept and '"env_file"' not in kept:  # masking.MASK, whose import most runs do without
            return None
        try:
            known = self._client.kept(run, strict=False)
        except JobctlError as error:
            self._say(f"secrets are not masked here: {error.message}")
            return None
        for remark in known.remarks:
            self._say(f"not all secrets are masked here: {remark}")
        from jobctl.definitions import masking
        from jobctl.definitions.files import env_files_of_children

        return masking.masker(known.job, known.env_file, *env_files_of_children(known.job))

    @staticmethod
    def _read(run: Run, read: Callable[[], _Value]) -> _Value:
        """Whatever is recorded of it: what cannot be read is an error of that run, and of no other."""
        try:
            return read()
        except UNREADABLE as error:
            raise unreadable(run.name, error) from error


# -- runs --------------------------------------------------------------------------------------------------------------


def summary(run: Run) -> Document:
    """A run as lists show it: without its steps and parameters, and without reading its history."""
    return {
        "id": run.name,
        "job": run.job,
        "status": run.status,
        "interrupted": run.interrupted,
        "trigger": run.trigger,
        "fire_time": time(run.fire_time),
        "created_at": rfc3339(run.created_at),
        "started_at": time(run.started_at),
        "finished_at": time(run.finished_at),
        "parent": _parent(run),
        "reason": run.reason,
        "executor": _holder(run.holder),
    }


def run_document(seen: Detail) -> Document:
    run = seen.run
    return {
        "id": run.name,
        "job": run.job,
        "status": run.status,
        "interrupted": run.interrupted,
        "trigger": run.trigger,
        "fire_time": time(run.fire_time),
        "key": seen.key,
        "created_at": rfc3339(run.created_at),
        "started_at": time(run.started_at),
        "finished_at": time(run.finished_at),
        "worked_ms": seen.worked_ms,
        "params": seen.params,
        "parent": _parent(run),
        "rolled_back": seen.rolled_back,
        "definition_changed": seen.definition_changed,
        "reason": run.reason,
        "waiting_for": None if seen.waiting_for is None else _line(seen.waiting_for),
        "executor": _holder(run.holder),
        "like": seen.like,
        "about": None if seen.about is None else about(seen.about),
        "notifications": [told._asdict() for told in seen.notifications],
        "steps": [_step(step) for step in seen.steps],
    }


def _line(wait: Wait) -> Document:
    return {"kind": wait.kind, "name": wait.name, "until": time(wait.until)}


def about(what: Mapping[str, Any]) -> Document:
    """What a notification tells of."""
    from jobctl.core.run.notices import times

    return {**what, **{key: rfc3339(at) for key, at in times(what).items()}}


def _parent(run: Run) -> Document | None:
    """The run and the step that started this one as a child."""
    return None if run.parent is None else {"run": run.parent[0], "step": run.parent[1]}


def _holder(holder: Holder | None) -> Document | None:
    return None if holder is None else {"id": holder.id, "pid": holder.pid, "kind": holder.kind}


def _step(step: Step) -> Document:
    document: Document = {} if step.place is None else {"index": step.place, "item": step.item}
    document |= {
        "name": step.name,
        "status": step.status,
        "attempt": step.attempt,
        "cursor": step.cursor,
        "outputs": step.outputs,
        "error": step.error,
        "reused_from": step.reused_from,
        "started_at": time(step.started_at),
        "next_attempt_at": time(step.next_attempt_at),
        "waiting": None if step.waiting is None else _wait(step.waiting),
        "attempts": [_attempt(attempt) for attempt in step.attempts],
    }
    if step.compensation is not None:
        undo = step.compensation
        document["compensation"] = {
            "status": undo.status,
            "error": undo.error,
            "next_attempt_at": time(undo.next_attempt_at),
            "attempts": [_attempt(attempt) for attempt in undo.attempts],
        }
    if step.items is not None:
        document["items"] = [_step(item) for item in step.items]
    if step.starts_child:
        document["child"] = step.child
    return document


def _wait(wait: Wait) -> Document:
    return {"kind": wait.kind, "until": time(wait.until), "name": wait.name}


def _attempt(attempt: Attempt) -> Document:
    document = attempt._asdict()
    document["started_at"], document["finished_at"] = rfc3339(attempt.started_at), time(attempt.finished_at)
    return document


def event_document(event: Event, number: int) -> Document:
    """One event of a history; `number` is its place in it, from 1."""
    from jobctl.views.run import wait

    document: Document = {"seq": number, "at": rfc3339(event.at), "type": str(event.type)}
    if event.step:
        document["step"] = event.step
    if event.number:
        document["attempt"] = event.number
    times = {key: rfc3339(event.data[key]) for key in ("retry_at", "until") if key in event.data}
    document["data"] = {**event.data, **times}
    document["data"].pop("clock", None)  # of one boot of one machine: it says nothing to others
    if (waited := event.data.get("wait")) is not None:
        document["data"]["wait"] = _wait(wait(waited))
    return document


def reason_document(reason: Reason) -> Document:
    """One reason for programs. Instants are RFC 3339, as everywhere."""
    times = {key: time(reason.fields[key]) for key in reason.fields if key == "since" or key.endswith("_at")}
    return {
        "kind": reason.kind,
        "step": reason.step or None,
        "until": time(reason.until),
        "text": reason.text,
        "commands": list(reason.commands),
        **reason.fields,
        **times,
    }


def why(run: Run, reasons: Sequence[Reason]) -> Document:
    """`why RUN --json`."""
    return {
        "id": run.name,
        "job": run.job,
        "status": run.status,
        "interrupted": run.interrupted,
        "why": "; ".join(reason.text for reason in reasons),
        "reasons": [reason_document(reason) for reason in reasons],
    }


# -- what is beside runs -----------------------------------------------------------------------------------------------


def daemon(seen: Daemon) -> Document:
    return {
        "id": seen.id,
        "pid": seen.pid,
        "started_at": rfc3339(seen.started_at),
        "troubles": [{"message": one.message, "since": rfc3339(one.since)} for one in seen.troubles],
        "files": seen.files,
        "definitions_problem": seen.problem,
        "certain": seen.certain,
    }


def paused(job: str, pause: Paused) -> Document:
    return {"job": job, "at": rfc3339(pause.at), "reason": pause.reason, "by": pause.by}


def dropped(gone: Dropped) -> Document:
    return {
        "job": gone.job,
        "outcome": gone.outcome,
        "count": gone.fires,
        "last": rfc3339(gone.last),
        "reason": gone.reason,
    }


def overview(seen: Overview) -> Document:
    """`status --json`."""
    return {
        "daemon": daemon(seen.daemons[0]) if seen.daemons else None,
        "daemons": [daemon(one) for one in seen.daemons],
        "runs": [summary(run) for run in seen.runs],
        "jobs": [
            {
                "job": job.name,
                "last_run": None if job.last is None else summary(job.last),
                "next_fire_at": time(job.next_fire),
                "schedule": job.schedule,
            }
            for job in seen.jobs
        ],
        "dropped": [dropped(gone) for gone in seen.dropped],
        "paused": [paused(job, pause) for job, pause in seen.paused.items()],
        "failed_notifications": [
            {**summary(one.run), "about": None if one.about is None else about(one.about)} for one in seen.untold
        ],
        "problems": [problem(one) for one in seen.problems],
        "copy_of": seen.copy_of,
        "troubles": seen.troubles,
    }


def schedule(line: Line) -> Document:
    """One of `schedule list --json`."""
    last = line.last
    pause = None if line.pause is None else paused(line.job.name, line.pause)
    if pause is not None:
        del pause["job"]
    return {
        "job": line.job.name,
        "schedule": line.words,
        "timezone": line.zone,
        "next_fire_at": time(line.next_fire),
        "last_fire": None
        if last is None
        else {
            "fire_time": rfc3339(last.fire_time),
            "outcome": last.outcome,
            "run": last.run,
            "status": last.status,
            "reason": last.reason,
        },
        "paused": pause,
        "dropped": {"missed": line.dropped.get("missed", 0), "skipped": line.dropped.get("skipped", 0)},
    }


def problem(found: Problem) -> Document:
    """A problem as `validate --json` and errors in JSON have it; null for what is not known."""
    return {
        "file": found.file or None,
        "line": found.line or None,
        "column": found.column or None,
        "source": found.excerpt.text if found.excerpt else None,
        "job": found.job or None,
        "step": found.step or None,
        "key": found.key or None,
        "message": found.message,
        "hint": found.hint or None,
        "severity": "warning" if found.warning else "error",
    }


def time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)

"""What must hold for every input there is, one function a subject: text or bytes in, AssertionError where it does not.

What is put in comes from inputs.py (hypothesis) or from __main__.py (atheris). Whatever else these functions raise is a
defect as well: it would be a traceback.
"""

from __future__ import annotations

import json
import re
import signal
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from tests.fuzz.slow_cron import SlowCron

import looked
from jobctl.core import durations, keys, model
from jobctl.core.definition import document, jobs, references
from jobctl.core.definition.jobs import Definitions
from jobctl.core.definition.plain import too_long
from jobctl.core.definition.positions import Places
from jobctl.core.definition.references import BadReferenceError, Reference, Scope
from jobctl.core.definition.schema import json_schema
from jobctl.core.errors import Problem, StoreError, StoreUnavailableError
from jobctl.core.model import Job, Schedule, When
from jobctl.core.run.decide import Decider, FinishRun, StartStep
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.rows import RunRow
from jobctl.core.schedule.cron import FIELDS, CronError, parse_cron
from jobctl.core.schedule.schedule import fires, next_fire
from jobctl.crontab import Became, Dialect, convert, to_toml
from jobctl.process import attempt, journal, shell_keeper
from jobctl.process.attempt import Failure, FileError
from jobctl.store.store import Store
from jobctl.views.documents import event_document
from jobctl.views.documents import problem as problem_document
from jobctl.views.events import describe

PATIENCE = 20  # seconds for one input, on a machine that has a lot else to do; more is a hang
NOW = 1_795_000_000_000  # in November 2026
_DAY = 86_400_000

# Problems of a file as a whole: no line is theirs.
_OF_THE_FILE = ("defines no jobs", "is larger than 16 MiB", "is nested too deeply")


@contextmanager
def no_hang() -> Iterator[None]:
    """AssertionError when the body takes longer than anybody would wait. Regular expressions look at signals, too."""

    def stop(*_: object) -> None:
        raise AssertionError(f"took longer than {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _is_sentence(text: str) -> bool:
    """Whether it says something, in one line that a terminal can show."""
    return bool(text.strip()) and text.isprintable()


# --- definitions -----------------------------------------------------------------------------------------------------


def definitions(data: bytes) -> Definitions | None:
    """A file is jobs or problems, each with place and way out; jobs come back from how they are kept, and can run."""
    with no_hang():
        found, problems = jobs.parse(data, file="jobs.toml", folder="/srv")
        read = document.read(data)
        assert isinstance(read, Problem) or Places(read[0]).whole, "tomllib understands what places.py does not"
        assert (found is None) == any(not problem.warning for problem in problems)
        for problem in problems:
            _check_problem(problem, lines=data.count(b"\n") + 1)
        assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)
        said = [(str(problem), problem.line) for problem in problems]
        assert len(set(said)) == len(said), "something is said twice"
        for name, job in found.jobs.items() if found is not None else ():
            assert job.name == name
            _check_job(job)
        if found is not None:
            _check_schema(data)
    return found


def _check_problem(problem: Problem, lines: int) -> None:
    assert problem.file == "jobs.toml"
    assert 1 <= problem.line <= lines or (problem.line == 0 and problem.message in _OF_THE_FILE), f"no place: {problem}"
    assert _is_sentence(problem.message), repr(problem.message)
    assert _is_sentence(problem.hint), f"no way out: {problem} | {problem.hint!r}"
    assert _is_sentence(problem.place()), repr(problem.place())
    document = problem_document(problem)
    assert json.loads(json.dumps(document)) == document
    for key in ("file", "line", "job", "step", "key", "message", "hint"):
        assert document[key] == (getattr(problem, key) or None)
    assert document["severity"] == ("warning" if problem.warning else "error")


def _check_job(job: Job) -> None:
    text = model.encode(job)
    text.encode()
    kept = model.decode(text)
    assert kept == job
    assert model.encode(kept) == text, "one job, two texts"
    for schedule in job.schedules:
        fire = next_fire(schedule, NOW, zone="Europe/Berlin")
        assert fire is None or fire > NOW
    decider = Decider(job)
    begun: list[str] = []
    actions = decider.feed(Event(EventType.RUN_TAKEN, NOW))
    while not isinstance(actions[-1] if actions else None, FinishRun):
        begun += [action.step for action in actions if isinstance(action, StartStep)]
        assert decider.active(), f"the run waits for nothing, and is not over: {begun} of {job.steps}"
        done = Event(EventType.STEP_ENDED, NOW, decider.active()[0], data={"status": "succeeded"})
        actions = decider.feed(done)
    assert sorted(begun) == sorted(step.name for step in job.steps if step.when is not When.FAILURE)


@cache
def _schema() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def _check_schema(data: bytes) -> None:
    """What jobctl takes, editors take."""
    try:
        document = tomllib.loads(data.decode())
    except tomllib.TOMLDecodeError:
        return  # TOML 1.1, which the standard library does not read
    wrong = next(_schema().iter_errors(_as_json(document)), None)
    assert wrong is None, f"not by the schema for editors: {wrong.json_path}: {wrong.message}"


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return value.isoformat() if isinstance(value, (date, datetime, time)) else value


# --- cron ------------------------------------------------------------------------------------------------------------


def cron(text: str) -> bool:
    """An expression is refused with a way out, or fires when a slow reading of it says so. Whether it is taken."""
    with no_hang():
        try:
            parsed = parse_cron(text)
        except CronError as error:
            assert _is_sentence(error.message), repr(error.message)
            assert _is_sentence(error.hint), f"no way out: {error.message}"
            _check_suggestion(error)
            return False
        assert parse_cron(str(parsed)) == parsed
        schedule = Schedule(cron=text)
        first = next_fire(schedule, NOW, zone="UTC")
        assert first is not None, "it was taken, and never fires"
        found = fires(schedule, NOW, first + 2 * _DAY, "UTC", 4000)
        assert found[0] == first
        assert all(one < other for one, other in pairwise(found))
        assert [next_fire(schedule, fire, zone="UTC") for fire in [NOW, *found[:5]]] == [
            *found[:6],
            *([next_fire(schedule, found[-1], zone="UTC")] if len(found) < 6 else []),
        ]
        assert found == _read_slowly(SlowCron(str(parsed)), first)
    return True


def _read_slowly(reading: SlowCron, first: int) -> list[int]:
    """The fire times up to two days after the first: days are looked at from now on, minutes of those that it names."""
    now = datetime.fromtimestamp(NOW / 1000, UTC)
    end = datetime.fromtimestamp(first / 1000, UTC) + timedelta(days=2)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    while day <= end:
        if reading.names_day(day):
            minutes = (day + timedelta(minutes=minute) for minute in range(1440))
            found += [moment for moment in minutes if now < moment <= end and reading.names(moment)]
        day += timedelta(days=1)
    return [int(moment.timestamp()) * 1000 for moment in found]


def _check_suggestion(error: CronError) -> None:
    """An expression, or a field, that the way out tells to write is one."""
    if match := re.search(r'(?:did you mean|write) "([^"]*)"', error.hint):
        assert "=" in error.hint or parse_cron(match[1])
    elif error.field and "ends before it starts" in error.message:
        fields = ["0", "0", "1", "1", "0"]
        fields[[field.name for field in FIELDS].index(error.field)] = error.hint.removeprefix("write ")
        assert parse_cron(" ".join(fields))


# --- references ------------------------------------------------------------------------------------------------------


class _Everything:
    """A collection that holds every name."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(("some",))

    def __len__(self) -> int:
        return 1


_ALLOWED = Scope(_Everything(), _Everything(), ended=lambda _: True, item=True)


def reference(text: str) -> bool:
    """check, find and resolve see the same; what is put in is not read again. Whether all braces are references."""
    with no_hang():
        faults = references.check(text, _ALLOWED)
        strict = references.check(text, Scope(secret=True))
        for fault in [*faults, *strict]:
            assert _is_sentence(fault.message), repr(fault.message)
            assert _is_sentence(fault.hint), f"no way out: {fault.message}"
        assert all(fault.form for fault in faults)
        assert [fault for fault in strict if fault.form and "no reference" not in fault.message] == []
        try:
            found = references.find(text)
        except BadReferenceError as error:
            assert faults[0].message == error.message
            return False
        assert faults == []
        assert (found == []) == ("{{" not in text)
        assert all(one.end <= other.start for one, other in pairwise(found))
        for one in found:
            written = text[one.start : one.end]
            assert (written[:2], written[2:-2].strip(" \t"), written[-2:]) == ("{{", one.name, "}}")
        assert references.resolve(text, lambda one: text[one.start : one.end]) == text
        values = iter(range(len(found)))
        _check_put_in(text, found, [f"<{next(values)} {{{{ params.x }}}} {{{{>" for _ in found])
    return True


def _check_put_in(text: str, found: list[Reference], values: list[str]) -> None:
    pieces, at = [], 0
    for one, value in zip(found, values, strict=True):
        pieces += [text[at : one.start], value]
        at = one.end
    given = iter(values)
    assert references.resolve(text, lambda _: next(given)) == "".join([*pieces, text[at:]])
    assert next(given, None) is None, "a reference was not asked for"


# --- durations and keys ----------------------------------------------------------------------------------------------


def duration(text: str) -> bool:
    """A duration is read and written without loss, or refused with one to write instead. Whether it is read."""
    with no_hang():
        try:
            ms = durations.parse(text)
        except durations.DurationError as error:
            assert _is_sentence(error.message), repr(error.message)
            assert _is_sentence(error.hint)
            if match := re.fullmatch(r'write "(.*)"', error.hint):
                durations.parse(match[1])
            return False
        assert 0 <= ms <= durations.LONGEST
        assert durations.parse(durations.format(ms)) == ms
    return True


def key(step: str, index: int) -> None:
    """What a key is made of is what is read from it, for every name that a step may have."""
    item = keys.item_key(step, index)
    for made, number in ((step, None), (item, index)):
        undo = made + keys.UNDO
        assert (keys.step_name(made), keys.step_name(undo)) == (step, step)
        assert (keys.item_index(made), keys.item_index(undo)) == (number, number)
        assert (keys.is_undo(made), keys.is_undo(undo)) == (False, True)
        assert (keys.undone_key(made), keys.undone_key(undo)) == (made, made)


# --- files of an attempt ---------------------------------------------------------------------------------------------


def journal_file(path: Path, data: bytes) -> None:
    """Whatever stands in a journal, reading it ends, and no number in it that is no process becomes a pid."""
    path.write_bytes(data)
    found = journal.read([str(path)])
    assert all(entry.pid is None or entry.pid > 1 for entry in found.entries.values())


def state_file(path: Path, data: bytes) -> None:
    """Whatever stands in a state file, an attempt can end with it, and a line that is not whole says nothing."""
    path.write_bytes(data)
    state = shell_keeper.state(str(path), "x-1/main.1")
    assert state is not None
    assert state.pid is None or 1 < state.pid < 2**31
    whole = data[: data.rfind(b"\n") + 1]
    path.write_bytes(whole)
    assert shell_keeper.state(str(path), "x-1/main.1") == state
    if state.end is not None:
        outcome = attempt.outcome(state.end, Failure())
        assert outcome.error is None or _is_sentence(outcome.error)


def output_file(path: Path, data: bytes) -> dict[str, str] | None:
    """What a command hands on is text that a variable can hold, or a sentence that names the line. None: refused."""
    path.write_bytes(data)
    with no_hang():
        try:
            attempt.read_failure(str(path))
        except FileError as error:
            assert _is_sentence(str(error)), repr(str(error))
        try:
            found = attempt.read_outputs(str(path))
        except FileError as error:
            assert _is_sentence(str(error)), repr(str(error))
            return None
    for text in [*found, *found.values()]:
        assert "\0" not in text
        text.encode()
    assert all(name and name == name.strip() for name in found)
    return found


def heartbeat_file(path: Path, data: bytes) -> None:
    """The cursor is the last whole line, and the next attempt's environment can hold it."""
    path.write_bytes(data)
    found = attempt.read_cursor(str(path))
    *whole, rest = data.split(b"\n")
    last = whole[-1].removesuffix(b"\r") if whole else b""
    cursor = last.decode(errors="backslashreplace").replace("\0", "\\x00")
    if not whole or len(last) > attempt.MAX_CURSOR + 1:
        assert found is None
    elif len(last) + len(rest) > attempt.MAX_CURSOR or len(cursor) > attempt.MAX_CURSOR:
        assert found in (None, cursor)  # only the end of the file is looked at, and no more than that is a cursor
    else:
        assert found == cursor
    if found is not None:
        assert "\0" not in found
        assert not too_long(found, len("JOBCTL_CURSOR=") + 1)


# --- crontabs --------------------------------------------------------------------------------------------------------


def crontab(text: str, dialect: Dialect, user_field: bool) -> bool:
    """Each line becomes something, and what becomes jobs is a definitions file. Whether there are jobs."""
    with no_hang():
        imported = convert(text, dialect, user_field=user_field, user="root")
        lines = {
            number
            for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1)
            if line.rstrip("\r").strip(" \t")
        }
        assert [line.number for line in imported.lines] == sorted(lines)
        for line in imported.lines:
            assert line.why or line.became in (Became.JOB, Became.COMMENT)
        assert [line.job for line in imported.lines if line.job] == list(imported.jobs)
        if not imported.jobs:
            return False
        found, problems = jobs.parse(to_toml(imported).encode(), file="jobs.toml", folder="/srv")
        assert found is not None, [str(problem) for problem in problems]
        assert list(found.jobs) == list(imported.jobs)
        for job in found.jobs.values():
            if dialect is Dialect.SUPERCRONIC:  # it has years, and they may be over
                continue
            assert all(schedule.boot or next_fire(schedule, NOW, zone="UTC") for schedule in job.schedules)
    return True


# --- histories -------------------------------------------------------------------------------------------------------


def history(store: Store, row: RunRow) -> bool:
    """A run whose history holds anything is read, and shown, or is a StoreError that names it. Whether it is read."""
    try:
        document = looked.run_document(store, row)
        events = [event_document(event, number) for number, event in enumerate(store.events(row.id), 1)]
        words = [describe(event) for event in store.events(row.id)]
    except StoreError as error:
        assert not isinstance(error, StoreUnavailableError), "it would be tried again for ever"
        assert _is_sentence(error.message), repr(error.message)
        assert _is_sentence(error.hint)
        assert row.name in error.message or f"run {row.id}" in error.message, error.message
        return False
    json.dumps([document, events]).encode()
    assert all(isinstance(text, str) for text in words)
    return True

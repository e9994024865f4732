"""`jobctl status`: what runs, each job's last run and next fire time; `status RUN`: one run in detail.

Called more often than anything else: what it imports is what it needs.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TypeVar

from jobctl.cli import items, used
from jobctl.cli import printing as output
from jobctl.cli.moments import coming, past, took
from jobctl.cli.opened import store_of
from jobctl.cli.secrets import hidden
from jobctl.core import text
from jobctl.core.errors import JobctlError, NotFoundError, Problem, StoreUnavailableError, UsageError
from jobctl.core.run.notices import is_notifier, origin, sentence
from jobctl.definitions import outline
from jobctl.engines.run_files import run_folder
from jobctl.host import clock
from jobctl.store.store import Store
from jobctl.views import views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jobctl.core.run.rows import RunRow
    from jobctl.core.run.why import Reason
    from jobctl.definitions.outline import Outline
    from jobctl.host.settings import Settings
    from jobctl.views.views import Document, Seen

_DROPPED_SINCE = 86_400_000  # fire times without a run are told for a day; `schedule list` has more

_UNTOLD_SINCE = 7 * 86_400_000  # so long it is told that a notification failed, if no later one has succeeded

_ASLEEP_SHOWN = 20  # runs that only wait

_QUEUED_SHOWN = 20  # runs that wait for a place: the first in line

_REASONS_SHOWN = 10

_DAMAGE_SHOWN = 5  # rows of the store that cannot be read
_LONGEST_PROBLEM = 600

_Row = TypeVar("_Row")
_Answer = TypeVar("_Answer")

_LONGEST_VALUE = 200  # characters of a parameter, output or cursor; --json has all of it
_LONGEST_ITEM = 60
_LONGEST_LINE = 300  # of a reason beside others; of the one that is asked for there is more
_LONGEST_REASON = 2_000


def main(
    settings: Settings,
    *,
    target: str | None,
    exit_status: bool,
    check: bool,
    since: str | None,
    jobs: list[str],
    tags: list[str],
) -> int:
    """0; with `exit_status` the run's exit code, 75 while it is not over; with `check` 1 when anything is wrong.
    NotFoundError for an unknown run."""
    if check:
        if target is not None or exit_status:
            raise UsageError("--check is about everything here", hint="one job: jobctl status --check --job JOB")
        from jobctl.cli import status_check

        return status_check.main(settings, since=since, jobs=jobs, tags=tags)
    if since is not None or jobs or tags:
        raise UsageError("--since, --job and --tag belong to --check", hint="past runs: jobctl history --since 2h")
    if target is None:
        if exit_status:
            raise UsageError("--exit-status is about one run", hint="name it: jobctl status RUN --exit-status")
        return _overview(settings, now=clock.now())
    now = clock.now()
    with store_of(settings, asks=True) as store:
        seen = views.look(store, find(settings, store, target, now=now))
        row = seen.row
        document = hidden(store, row, views.run_document(store, seen))
        if settings.json:
            output.print_json(document)
        elif not (settings.quiet and exit_status):
            needs = {step["name"]: step for step in json.loads(store.definition(row.definition))["steps"]}
            why = hidden(store, row, sentences(views.reasons(store, seen, now)))
            for line in detail(document, needs, run_folder(store.state_dir, row.name), why, now=now):
                output.say(line)
    return exit_code(document["status"]) if exit_status else 0


def find(settings: Settings, store: Store, target: str, *, now: int) -> RunRow:
    """`store.find`, with a better answer for a job that is defined and has not run."""
    try:
        return store.find(target)
    except NotFoundError as error:
        defined, _ = outline.read(settings, now=now)
        if target in defined:
            raise NotFoundError(f"job {target} has not run yet", hint=f"start it: jobctl run {target}") from None
        from jobctl.core.definition.suggest import closest

        if near := closest(target, {*defined, *store.jobs()}):
            error.hint = f"did you mean {near}? {error.hint}"
        raise


def exit_code(status: str) -> int:
    """A run's status as the exit code that `run`, `wait` and `status --exit-status` end with."""
    from jobctl.cli.exit import EXIT_CODES, STILL_RUNNING

    return EXIT_CODES.get(status, STILL_RUNNING)


# -- all of it ---------------------------------------------------------------------------------------------------------


def _overview(settings: Settings, *, now: int) -> int:
    defined, problems = outline.read(settings, now=now)
    try:
        store = store_of(settings, asks=True)
    except NotFoundError:
        if settings.json:
            jobs = [_job(name, None, defined) for name in defined]
            output.print_json(_document([], jobs, problems))
        else:
            output.say("nothing has run here yet; no daemon runs here")
            _say_jobs(settings, defined, {}, now)
            say_problems(problems)
        return 0
    with store:
        living = store.executors()
        daemons = views.daemons(store)
        defined = _as_dealt_with(settings, store, defined, now)
        in_use = used.read(store, daemons, problems, now)
        defined = {**defined, **in_use.jobs}
        if store.copy is not None:  # nothing fires in it
            defined = {name: job._replace(next_fire=None) for name, job in defined.items()}
        dropped = views.dropped(store, now - _DROPPED_SINCE)
        ran = store.jobs()
        untold = views.failed_notifications(store, ran, now - _UNTOLD_SINCE)
        # People see those that wake first; a hundred thousand that sleep are a number to them.
        awake = [] if settings.json else store.awake()
        waiting = sorted((row for row in awake if row.status == "queued"), key=lambda row: (-row.priority, row.id))
        under_way = [row for row in awake if row.status != "queued"]
        in_front = [*under_way, *waiting[:_QUEUED_SHOWN], *store.asleep(_ASLEEP_SHOWN)]
        found = store.alive() if settings.json else in_front
        looked_at = each(found, lambda row: views.look(store, row, living), problems)
        alive = [seen for seen in looked_at if seen.row.finished_at is None]
        names = {**defined, **dict.fromkeys(job for job in ran if not is_notifier(job))}
        latest = [row for name in names if (row := store.latest(name)) is not None]
        last = {seen.row.job: seen for seen in each(latest, lambda row: views.look(store, row, living), problems)}
        if settings.json:
            summaries = each(last.values(), lambda seen: views.summary(store, seen), problems)
            ends = {one["job"]: one for one in summaries}
            jobs = [_job(name, ends.get(name), defined) for name in {**defined, **last}]
            runs = each(alive, lambda seen: views.summary(store, seen), problems)
            paused = views.paused(store)
            problems += damage_of(store)
            output.print_json(
                {
                    **_document(
                        runs,
                        jobs,
                        problems,
                        daemons=daemons,
                        dropped=dropped,
                        paused=paused,
                        untold=untold,
                    ),
                    "copy_of": store.copy.of.path if store.copy is not None else None,
                    "troubles": store.troubles(),
                }
            )
            return 0
        for file in used.gone(store) if not daemons else ():
            output.say(f"{file} is gone: what it defined fires no more")
        fires = any(job.next_fire is not None for job in defined.values())
        if not daemons:
            output.say("no daemon runs here" + (": schedules do not start runs by themselves" if fires else ""))
        for daemon in daemons:
            output.say(f"a daemon runs (pid {daemon['pid']}), started {past(_ms(daemon['started_at']), now)}")
            for one in daemon["troubles"]:
                output.say(f"  it has trouble: {one['message']}, since {past(_ms(one['since']), now)}")
        for sentence_ in store.troubles():
            output.say(sentence_)
        for line in in_use.told:
            output.say(line)
        from jobctl.core.run.why import in_short

        shown = {seen.row.id for seen in alive}
        children = [seen for seen in alive if seen.row.parent in shown]  # the runs that wait for them say so
        roots = [seen for seen in alive if seen.row.parent not in shown]

        def told(seen: Seen) -> tuple[str, ...]:
            now_at = short(in_short(views.reasons(store, seen, now, living)), _LONGEST_LINE)
            return seen.name, _standing_of(store, seen), took(seen.row.started_at, None, now), now_at

        rows = each(roots, told, problems)
        if rows:
            print()
            print(_table(settings, ("RUN", "STATUS", "TIME", "NOW"), rows))
        if children:
            output.say(f"and {len(children):,} child {'run' if len(children) == 1 else 'runs'} of these")
        if (more := len(waiting) - _QUEUED_SHOWN) > 0:
            output.say(f"and {more:,} more that are queued: jobctl history --status queued")
        if (more := store.count_asleep() - _ASLEEP_SHOWN) > 0:
            output.say(f"and {more:,} more that only wait: jobctl history --status running")
        ends_of = each(last.items(), lambda of: (of[0], (of[1].row, _standing_of(store, of[1]))), problems)
        _say_jobs(settings, defined, dict(ends_of), now)
        for gone in dropped:
            times = "fire time was" if gone["count"] == 1 else "fire times were"
            when = past(_ms(gone["last"]), now)
            output.say(f"{gone['job']}: {gone['count']} {times} {gone['outcome']}, the last {when}: {gone['reason']}")
        for one in untold:
            why = f": {short(one['reason'], _LONGEST_LINE)}" if one["reason"] else ""
            when = past(_ms(one["finished_at"]), now)
            what = sentence(one["about"]) if one["about"] is not None else f"something of {origin(one['job'])}"
            output.say(f"nobody was told that {what}{why}, {when}; jobctl logs {one['id']}")
        for pause in views.paused(store):
            why = f": {pause['reason']}" if pause["reason"] else ""
            output.say(f"{pause['job']}: its schedules are paused{why}; jobctl schedule resume {pause['job']}")
        others = [problem for problem in problems if problem.file not in in_use.files]
        say_problems([*others, *damage_of(store)])
    return 0


def _as_dealt_with(settings: Settings, store: Store, defined: dict[str, Outline], now: int) -> dict[str, Outline]:
    """Next fire times as the daemon knows them, where those do not follow from the definition and the clock alone."""
    from jobctl.store import firings

    odd = {name for name, job in defined.items() if job.jitter} | (firings.jobs_ahead(store, now) & defined.keys())
    if not odd:
        return defined
    from jobctl.cli import schedules

    jobs, _ = outline.scheduled(settings, now=now)
    return {
        **defined,
        **{n: defined[n]._replace(next_fire=schedules.next_of(store, jobs[n], now)) for n in odd if n in jobs},
    }


def each(rows: Iterable[_Row], read: Callable[[_Row], _Answer], problems: list[Problem]) -> list[_Answer]:
    """What is read of each row; one that cannot be read is a problem, and keeps nobody from seeing the others."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except StoreUnavailableError:
            raise
        except JobctlError as error:
            problems.append(Problem(error.message, hint=error.hint))
        except views.UNREADABLE as error:
            about = f" {row.name}" if hasattr(row, "name") else ""
            what = f"what is recorded of run{about} cannot be read: {type(error).__name__}: {error}"
            problems.append(Problem(what, hint="the others are not concerned; see: jobctl doctor"))
    return found


def damage_of(store: Store) -> list[Problem]:
    """A line for each row of the store that cannot be right."""
    return [Problem(line, hint="what else it says is shown; see: jobctl doctor") for line in store.damage]


def _document(
    runs: list[Document],
    jobs: list[Document],
    problems: list[Problem],
    *,
    daemons: Sequence[Document] = (),
    dropped: Sequence[Document] = (),
    paused: Sequence[Document] = (),
    untold: Sequence[Document] = (),
    copy_of: str | None = None,
) -> Document:
    return {
        "daemon": daemons[0] if daemons else None,
        "daemons": daemons,
        "runs": runs,
        "jobs": jobs,
        "dropped": dropped,
        "paused": paused,
        "failed_notifications": untold,
        "problems": [output.problem_document(problem) for problem in problems],
        "copy_of": copy_of,
        "troubles": [],
    }


def _job(name: str, last: Document | None, defined: Mapping[str, Outline]) -> Document:
    known = defined.get(name)
    next_fire = known.next_fire if known else None
    return {
        "job": name,
        "last_run": last,
        "next_fire_at": text.rfc3339(next_fire) if next_fire is not None else None,
        "schedule": known.schedule if known else None,
    }


def _standing_of(store: Store, seen: Seen) -> str:
    if seen.row.finished_at is not None:
        return seen.row.status.replace("_", " ")
    return standing(views.summary(store, seen))


def _say_jobs(
    settings: Settings, defined: Mapping[str, Outline], last: Mapping[str, tuple[RunRow, str]], now: int
) -> None:
    rows = []
    for name in {**defined, **last}:
        known = defined.get(name)
        fire = coming(known.next_fire, now) if known and known.next_fire is not None else "-"
        if name in last:
            row, status = last[name]
            when, time = past(row.started_at or row.created_at, now), took(row.started_at, row.finished_at, now)
            rows.append((name, row.name, status, when, time, fire))
        else:
            rows.append((name, "-", "-", "-", "-", fire))
    if not rows:
        output.note("no jobs are defined here; `jobctl init` writes a jobs.toml to start from")
        return
    print()
    print(_table(settings, ("JOB", "LAST RUN", "STATUS", "STARTED", "TIME", "NEXT"), rows))


def say_problems(problems: list[Problem]) -> None:
    """Of the definitions the first with its place in one line: `validate` has them all. Of the store some."""
    defined = [problem for problem in problems if problem.file]
    stored = list({str(problem): problem for problem in problems if not problem.file}.values())
    for found, shown, where in ((defined, 1, ": jobctl validate"), (stored, _DAMAGE_SHOWN, ", as --json says")):
        for place, problem in enumerate(found[:shown], 1):
            rest = len(found) - shown
            more = f" (and {rest} more{where})" if rest > 0 and place == shown else ""
            text = str(problem).removeprefix(os.getcwd() + "/")
            output.note(f"warning: {short(text, _LONGEST_PROBLEM)}{more}")


def _table(settings: Settings, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return output.table(header, rows, color=output.colored(settings.color))


# -- one run -----------------------------------------------------------------------------------------------------------


def standing(document: Document) -> str:
    """A run's status in words; a run that nobody is at is `interrupted`."""
    return "interrupted" if document["interrupted"] else _words(document["status"])


def sentences(reasons: Sequence[Reason]) -> list[str]:
    """Why a run is where it is, a line for each reason; the run's deadline belongs to the only other one."""
    texts = [reason.text for reason in reasons]
    if len(reasons) == 2 and reasons[1].kind == "deadline":
        return ["; ".join(texts)]
    return texts


def _units(document: Document) -> Iterator[Document]:
    """Everything in a run that has attempts or waits of its own: steps, and the items of steps."""
    for step in document["steps"]:
        yield from (step, *step.get("items", ()))


def detail(
    document: Document, definitions: Mapping[str, Document], folder: str, why: Sequence[str], *, now: int
) -> Iterator[str]:
    """One run for people. `definitions`: its steps as they are kept, by name; `folder`: where its files are; `why`: the
    sentences that say why it is where it is."""
    started, finished = document["started_at"], document["finished_at"]
    yield f"{document['id']}: {standing(document)}"
    if document["reason"]:
        yield _field("because", short(document["reason"], _LONGEST_REASON))
    yield _field("job", document["job"] + (f", {document['trigger']}" if document["trigger"] != "manual" else ""))
    if document["parent"] is not None:
        yield _field("child of", f"{document['parent']['run']}, step {document['parent']['step']}")
    if document["fire_time"] is not None:
        yield _field("fire time", past(_ms(document["fire_time"]), now))
    if started is not None:
        yield _field("started", past(_ms(started), now))
    else:
        yield _field("created", past(_ms(document["created_at"]), now))
    if started is not None:
        since = took(_ms(started), _ms(finished) if finished else None, now)
        # One that was resumed has not worked all the time since it began.
        whole = (_ms(finished) if finished else now) - _ms(started)
        paused = document["worked_ms"] is not None and whole - document["worked_ms"] > 1_000
        worked = f"{text.duration(document['worked_ms'] or 0)} in all its tries; {since} from the first beginning on"
        yield _field("time", worked if paused else since)
    if document["params"]:
        yield _field("params", ", ".join(f"{name}={short(value)}" for name, value in document["params"].items()))
    if document["executor"] is not None and document["executor"]["pid"] is not None:
        yield _field("runs in", f"{document['executor']['kind']} process {document['executor']['pid']}")
    if document["like"] is not None:
        reused = ", ".join(step["name"] for step in document["steps"] if step["reused_from"] is not None)
        yield _field("like", document["like"] + (f", reusing {reused}" if reused else ""))
    if document["about"] is not None:
        yield _field("about", sentence(document["about"]))
    for told in document["notifications"]:
        status = told["status"]
        logs = f"; jobctl logs {told['run']}" if status not in ("succeeded", None) else ""
        yield _field("notified", f"{told['run']} {_words(status or 'is gone')}{logs}")
    if document["finished_at"] is None:
        for line in why[:_REASONS_SHOWN]:
            yield _field("why", short(line, _LONGEST_REASON))
        if len(why) > _REASONS_SHOWN:
            yield _field("", f"and {len(why) - _REASONS_SHOWN} more: jobctl why {document['id']}")
    yield "  steps"
    ended = {s["name"] for s in document["steps"] if s["status"] not in ("pending", "running", "waiting")}
    width = max(len(step["name"]) for step in document["steps"])
    for step in document["steps"]:
        yield from _step(step, definitions.get(step["name"], {}), ended, width, now)
    if any(step["attempts"] for step in _units(document)):
        yield _field("output", f"jobctl logs {document['id']}")
        yield _field("files", folder)
    if ways := _ways_on(document):
        yield _field("go on", ways)


def _field(label: str, value: str) -> str:
    return f"  {label:<9}  {' '.join(value.split())}"


def _step(step: Document, definition: Document, ended: set[str], width: int, now: int) -> Iterator[str]:
    attempts = step["attempts"]
    line = f"    {step['name']:<{width}}  {_words(step['status'])}"
    if step["status"] in ("failed", "timed_out") and definition.get("allow_failure"):
        line += " (allowed)"
    if step.get("items"):
        running, count = step["status"] == "running", len(step["items"])
        line += f", {items.of_documents(step['items'])}" if running else f", {count:,} item{'' if count == 1 else 's'}"
    elif step["status"] == "pending":
        line += _why_pending(definition, ended)
    elif step["reused_from"] is not None:
        line += f", reused from {step['reused_from']}"
    elif step.get("child") and step["waiting"] is not None:
        line += _for_child(step["child"])
    elif attempts:
        line += f", {_lasted(step, now)}"
    yield line + (f": {short(step['error'])}" if step["error"] else "")
    indent = " " * (width + 6)
    if (child := step.get("child")) and step["waiting"] is None:
        yield f"{indent}child run {child['run']} {_words(child['status'] or 'is gone')}"
    if len(attempts) > 1:
        for attempt in attempts:
            yield indent + _attempt(attempt, now)
    if attempts and (count := attempts[-1]["strays"]):
        yield f"{indent}{count} process{'' if count == 1 else 'es'} may be of this attempt, and live: jobctl doctor"
    if step["cursor"] is not None:
        yield f"{indent}cursor {short(step['cursor'])}"
    if "items" in step:
        shown, more = items.telling(step["items"])
        for item in shown:
            yield from _item(item, indent, now)
        if more:
            yield f"{indent}and {more:,} more like these; --json has all of them"
        return
    for name, value in step["outputs"].items():
        yield f"{indent}output {name}={short(value)}"
    if (undo := _undo(step)) is not None:
        yield f"{indent}compensation {_words(undo['status'])}" + (f": {short(undo['error'])}" if undo["error"] else "")
        for attempt in undo["attempts"]:
            yield f"{indent}  {_attempt(attempt, now)}"


def _item(item: Document, indent: str, now: int) -> Iterator[str]:
    line = f"{indent}[{item['index']}] {short(item['item'], _LONGEST_ITEM)}  {_words(item['status'])}"
    attempts = item["attempts"]
    if item["next_attempt_at"]:
        line += f" for attempt {item['attempt'] + 1}, {text.in_(_ms(item['next_attempt_at']), now)}"
    elif item.get("child") and item["waiting"] is not None:
        line += _for_child(item["child"])
    elif attempts:
        line += f", {_lasted(item, now)}"
    yield line + (f": {short(item['error'])}" if item["error"] else "")
    if (undo := _undo(item)) is not None and undo["status"] != "succeeded":
        error = f": {short(undo['error'])}" if undo["error"] else ""
        yield f"{indent}  compensation {_words(undo['status'])}{error}"


def _for_child(child: Document) -> str:
    return f" for child run {child['run']} ({_words(child['status'] or 'gone')})"


def _lasted(step: Document, now: int) -> str:
    """How long a step took in this try of the run, or has taken so far."""
    first, last = step["started_at"] or step["attempts"][0]["started_at"], step["attempts"][-1]["finished_at"]
    return took(_ms(first), _ms(last) if last else None, now)


def _undo(step: Document) -> Document | None:
    """Its compensation, if that has begun in this try of the run."""
    undo: Document | None = step.get("compensation")
    return undo if undo is not None and undo["status"] != "pending" else None


def _attempt(attempt: Document, now: int) -> str:
    finished = attempt["finished_at"]
    time = took(_ms(attempt["started_at"]), _ms(finished) if finished else None, now)
    how = f"attempt {attempt['number']} {_words(attempt['status'])}, {time}"
    return how + (f": {short(attempt['error'])}" if attempt["error"] else "")


def _why_pending(definition: Document, ended: set[str]) -> str:
    """What a step that has not begun waits for."""
    if missing := [name for name in definition.get("needs", ()) if name not in ended]:
        return f", needs {', '.join(missing)}"
    when = definition.get("when")
    return ", for when the run fails" if when == "failure" else ", for the run's end" if when == "always" else ""


def _ways_on(document: Document) -> str:
    name, status = document["id"], document["status"]
    if status == "succeeded":
        return ""
    if document["finished_at"] is None:
        if document["waiting_for"] is not None and document["waiting_for"]["kind"] in ("pause", "executor"):
            return f"jobctl resume {name}; to stop it: jobctl cancel {name}"
        return f"jobctl logs -f {name}; to stop it: jobctl cancel {name}"
    if document["rolled_back"]:
        back = document["rolled_back"]
        return f"{back}: jobctl resume {name} --from STEP, or a new run: jobctl run {document['job']}"
    if document["parent"] is not None:
        return f"jobctl resume {document['parent']['run']}, which started it; it alone: jobctl resume {name}"
    if document["definition_changed"]:
        new = f"its definition has changed since, to take the new one: jobctl resume {name} --updated"
        return f"jobctl resume {name}; {new}"
    return f"jobctl resume {name}"


def short(value: object, longest: int = _LONGEST_VALUE) -> str:
    shown = " ".join((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).split())
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _words(status: str) -> str:
    return status.replace("_", " ")


def _ms(moment: str) -> int:
    """The instant that a document says as RFC 3339."""
    from datetime import datetime

    return round(datetime.fromisoformat(moment).timestamp() * 1000)

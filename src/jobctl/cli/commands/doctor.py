"""`jobctl doctor`: what is wrong with this installation, each thing with a way out. It repairs nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

import jobctl
from jobctl.cli import load, printing
from jobctl.core.errors import DefinitionError, JobctlError, NotFoundError, StoreError
from jobctl.core.record import NamedTuple
from jobctl.host import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.model import Job
    from jobctl.engines.base import Client
    from jobctl.engines.values import Run
    from jobctl.host.settings import Settings
    from jobctl.store.store import Store

OK, WARN, FAIL = "ok", "warn", "fail"
COLORS = {OK: "green", WARN: "yellow", FAIL: "red"}
REMARKS = 5  # on definitions, shown one by one
TRIED_S = 10  # seconds that a program may take


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    status: str  # ok | warn | fail
    message: str
    hint: str = ""


def main(settings: Settings, *, deep: bool) -> int:
    """Prints every check; 1 when one of them fails. `deep`: everything that is recorded is looked at."""
    checks = list(_checks(settings, deep))
    failed = any(check.status == FAIL for check in checks)
    if settings.json:
        printing.print_json({"ok": not failed, "checks": [check._asdict() for check in checks]})
        return int(failed)
    color = printing.colored(settings.color)
    for check in checks:
        if settings.quiet and check.status == OK:
            continue
        status = printing.paint(f"{check.status:<4}", COLORS[check.status], on=color)
        output_line = f"{check.name:<12} {check.message}"
        print(f"{status}  {printing.safe(output_line)}")
        if check.hint:
            print(f"{'':<19}{printing.safe(check.hint)}")
    return int(failed)


def _checks(settings: Settings, deep: bool) -> Iterator[Check]:
    yield _versions()
    yield from _shells(settings)
    yield _own_program()
    yield _pidfd()
    yield _time_zones()
    yield from _definitions(settings)
    state = _state_dir(settings)
    yield state
    if state.status != FAIL:
        yield from _store(settings)
        if deep:
            yield from _deep(settings)


def _versions() -> Check:
    import platform
    import sqlite3

    return Check(
        "versions",
        OK,
        f"jobctl {jobctl.__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
    )


def _shells(settings: Settings) -> Iterator[Check]:
    """Each shell that commands are handed to, tried."""
    shells = {"/bin/sh"}
    with suppress(DefinitionError):
        for job in load.afresh(settings).values():
            shells |= {job.shell, *(step.shell for step in job.steps if step.shell)}
    works: list[str] = []
    broken: list[str] = []
    for shell in sorted(shells):
        said = _output(shell, "-c", "echo $$")
        (works if said is not None and said.strip().isdigit() else broken).append(shell)
    for shell in broken:
        hint = "it runs every command that is a string: install a POSIX shell there"
        if shell != "/bin/sh":
            hint = f"install it, or name another one: shell = {shell!r} stands in the definitions"
        yield Check("shell", FAIL, f"{shell} does not run", hint)
    if works:
        yield Check("shell", OK, f"{', '.join(works)} work{'' if len(works) > 1 else 's'}")


def _output(*words: str, env: dict[str, str] | None = None) -> str | None:
    """What a program prints; None when it cannot be run, or fails."""
    import subprocess

    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIED_S, env=env, text=True, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _own_program() -> Check:
    """What a durable script calls is there, whatever PATH the daemon was started with: called as a step would."""
    import sys

    from jobctl.process.environment import build, own_folder

    said = _output("/bin/sh", "-c", "command -v jobctl && jobctl --version", env=build(os.environ))
    path, _, version = (said or "").strip().partition("\n")
    if version == f"jobctl {jobctl.__version__}":
        return Check("commands", OK, f"those that call jobctl find {path}, which runs")
    if version:
        hint = f"what is in front of {own_folder() or 'this one'} on PATH is found first; this is {jobctl.__version__}"
        return Check("commands", WARN, f"those that call jobctl find {path}, which is another one: {version}", hint)
    return Check(
        "commands",
        WARN,
        f"those that call jobctl find none that runs: there is none beside {sys.executable}"
        if not path
        else f"those that call jobctl find {path}, which does not run",
        "install jobctl with pip, pipx or uv, which make that program",
    )


def _pidfd() -> Check:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return Check(
            "processes",
            WARN,
            "this system has no pidfd: the end of a process is noticed later",
            "Linux 5.3 or newer has it; a container may forbid it (seccomp)",
        )
    return Check("processes", OK, "pidfd is there")


def _time_zones() -> Check:
    from jobctl.host.machine import look_for_zone, zone_database

    version, place = zone_database()
    if not place:
        return Check(
            "time zones",
            FAIL,
            "this machine has no time zone database",
            "install tzdata: the system's package, or pip install tzdata",
        )
    found = look_for_zone()
    where = f"{version or 'an unknown version'} in {place}"
    if found.trouble:
        return Check("time zones", WARN, f"{where}; {found.trouble}", found.hint)
    if differ := _other_clock(found.name):
        hint = "what commands are told of the zone is their own affair then: write timezone = …"
        return Check("time zones", WARN, f"{where}; this machine is in {found.name}; {differ}", hint)
    return Check("time zones", OK, f"{where}; this machine is in {found.name}, for commands too")


def _other_clock(zone: str) -> str:
    """How a command's clock differs from that of schedules; "" when it does not, or has none that tells."""
    from jobctl.core.schedule import zones
    from jobctl.host import clock
    from jobctl.process.environment import build

    said = (_output("/bin/sh", "-c", "date +%z", env=build(os.environ)) or "").strip()
    offset = zones.offset_at(zones.load(zone), clock.now() // 1000)
    ours = f"{'-' if offset < 0 else '+'}{abs(offset) // 3600:02}{abs(offset) // 60 % 60:02}"
    if len(said) != len(ours) or said[0] not in "+-" or not said[1:].isdigit() or said == ours:
        return ""
    return f"a command's clock shows {said}, where schedules count {ours}"


def _definitions(settings: Settings) -> Iterator[Check]:
    if not settings.files:
        hint = "`jobctl init` writes one; --file names one"
        yield Check("definitions", WARN, "there is no definitions file", hint)
        return
    files = ", ".join(settings.files)
    try:
        jobs = load.afresh(settings)
    except DefinitionError as error:
        problem = error.problems[0]
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        hint = "`jobctl validate` lists every problem" if more else problem.hint
        yield Check("definitions", FAIL, f"{problem}{more}", hint)
        return
    yield Check("definitions", OK, f"{files}: {len(jobs)} job{'' if len(jobs) == 1 else 's'}")
    yield from _at_night(settings)
    yield from _schedules(jobs.values())


def _at_night(settings: Settings) -> Iterator[Check]:
    """What will fail when its time comes: what `validate` warns of, but for schedules."""
    from jobctl.core.definition.doubts import Here
    from jobctl.definitions.files import check_file
    from jobctl.definitions.outlook import Outlook
    from jobctl.host import clock

    here = Here(clock.now(), "UTC", Outlook().look, schedules=False)
    found = [problem for file in load.existing(settings) for problem in check_file(file, here)[1]]
    for problem in found[:REMARKS]:
        yield Check("definitions", WARN, str(problem), problem.hint)
    if len(found) > REMARKS:
        yield Check("definitions", WARN, f"{len(found) - REMARKS} more", "`jobctl validate` lists them")


def _schedules(jobs: Iterable[Job]) -> Iterator[Check]:
    from jobctl.cli.croniter_check import difference
    from jobctl.engines.coming import zone_of
    from jobctl.host import clock

    now = clock.now()
    crons = {(s.cron, zone_of(s, job)) for job in jobs for s in job.schedules if s.cron is not None}
    if not crons:
        return
    differences = [found for cron, zone in sorted(crons) if (found := difference(cron, zone, after=now))]
    if differences:
        yield Check(
            "schedules",
            WARN,
            "; ".join(differences),
            "croniter does not agree with jobctl: one of them has a bug, likely jobctl; please report the expression",
        )
    else:
        expressions = f"{len(crons)} cron expression{'' if len(crons) == 1 else 's'}"
        yield Check("schedules", OK, f"croniter finds the same fire times for {expressions}")


def _state_dir(settings: Settings) -> Check:
    from jobctl.host.settings import state_dir_ready

    try:
        path = state_dir_ready(settings.state_dir, create=False)
    except StoreError as error:
        return Check("state folder", FAIL, error.message, error.hint)
    if not os.path.exists(path):
        return Check("state folder", OK, f"{path} is made by the first run")
    if not os.access(path, os.W_OK | os.X_OK):
        hint = machine.READ_ONLY_HINT if machine.read_only(path) else f"chmod 700 {path}, or another one: --state-dir"
        return Check("state folder", FAIL, f"{path} cannot be written to", hint)
    from jobctl.store import trial, trouble

    try:
        trial.check(path)
    except StoreError as error:
        return Check("state folder", FAIL, error.message, error.hint)
    except OSError as error:
        return Check("state folder", FAIL, f"{path}: nothing can be made there: {error.strerror}", "make room there")
    if little := trouble.little_space(path):
        return Check("state folder", WARN, f"{path}: {little}", "make room on that disk")
    return Check("state folder", OK, f"{path} on {_filesystem(path)}: files, locks, pipes and shared memory work")


def _filesystem(path: str) -> str:
    from jobctl.host import settings

    try:
        with open(settings.MOUNTS, "rb") as file:
            return settings.filesystem(path, file.read()) or "an unknown file system"
    except OSError:
        return "an unknown file system"


def _store(settings: Settings) -> Iterator[Check]:
    from jobctl.engines.local import news
    from jobctl.engines.local.client import LocalClient
    from jobctl.store import place
    from jobctl.store.store import Store

    try:
        with Store(settings.state_dir, create=False, asks=True) as store:
            wrong = store.quick_check()
            if wrong:
                yield Check(
                    "store",
                    FAIL,
                    f"{store.path} is damaged: {wrong[0]}",
                    place.DAMAGED,
                )
                return
            yield Check("store", OK, f"{store.path} is sound")
            yield from _unknown(store)
            yield from _troubles(store)
            if store.copy is not None:
                from jobctl.store.place import WAYS

                yield Check("state folder", WARN, store.copy.sentence(), WAYS)
                return
            yield from (Check("runs", WARN, one.message, one.hint) for one in news.unreadable(store))
            client = LocalClient(store)
            runs = client.alive(asleep=0).found
            interrupted = [run.name for run in runs if run.interrupted]
            yield from _keepers(settings, client, runs)
    except NotFoundError:
        yield Check("store", OK, "nothing has run yet")
        return
    except JobctlError as error:
        yield Check("store", FAIL, error.message, error.hint)
        return
    if interrupted:
        yield Check(
            "runs",
            WARN,
            f"{len(interrupted)} interrupted: {', '.join(interrupted[:5])}{' …' if len(interrupted) > 5 else ''}",
            f"take one up again with: jobctl resume {interrupted[0]}",
        )
    else:
        yield Check("runs", OK, "none was interrupted")


def _deep(settings: Settings) -> Iterator[Check]:
    """Whether what is recorded fits together."""
    from jobctl.engines.local import proof
    from jobctl.host import clock
    from jobctl.store.store import Store

    jobs: Mapping[str, Job] | str
    try:
        jobs = load.afresh(settings)
    except DefinitionError:
        jobs = "there are no definitions to know them by"
        if settings.files:
            jobs = f"the definitions ({', '.join(settings.files)}) are broken: jobctl validate"
    try:
        with Store(settings.state_dir, create=False, asks=True) as store:
            for found in proof.look(store, jobs, machine.zone(), clock.now()):
                status = FAIL if found.wrong else WARN if found.odd else OK
                yield Check(found.name, status, found.message, found.hint)
    except NotFoundError:
        return
    except JobctlError as error:
        yield Check("rows", FAIL, error.message, error.hint)


def _troubles(store: Store) -> Iterator[Check]:
    """What the store and its daemons suffer from just now."""
    from jobctl.core.text import rfc3339
    from jobctl.engines.local.client import LocalClient
    from jobctl.store import trouble

    for sentence in [*store.troubles(), trouble.writer(store.path)]:
        if sentence:
            yield Check("store", WARN, sentence, "it goes on by itself when that is over; nothing recorded is lost")
    for daemon in LocalClient(store).daemons():
        for one in daemon.troubles:
            yield Check("daemon", WARN, f"process {daemon.pid}: {one.message}", f"since {rfc3339(one.since)}")


def _unknown(store: Store) -> Iterator[Check]:
    """Folders of runs of which the store has no history: what it holds may be older than what has run."""
    from jobctl.engines.local.worker.pruner import leftovers
    from jobctl.engines.values import without_history

    if found := leftovers(store):
        yield Check(
            "history",
            WARN,
            without_history(found),
            f"an older {store.path} was put back, its -wal was lost, or a prune was cut short;"
            " jobctl prune removes the files",
        )


def _keepers(settings: Settings, client: Client, runs: Iterable[Run]) -> Iterator[Check]:
    """What keeps attempts waiting, and what was left running because nobody knows whose it is."""
    from jobctl.engines.local import executor
    from jobctl.host import clock
    from jobctl.process import standing

    folder = executor.folder(settings.state_dir)
    try:
        stopped, strays = standing.stopped(folder), standing.strays(folder)
    except OSError as error:
        yield Check("keepers", FAIL, f"{folder} cannot be read: {error.strerror}", f"chmod 700 {folder}")
        return
    held = []
    for run in runs:
        try:
            reasons = client.reasons(run, clock.now()) if run.status == "running" else []
        except JobctlError:
            continue  # `status` tells
        held += [(run.name, reason) for reason in reasons if reason.fields.get("keeper") == standing.HELD]
    for name, pid in stopped.items():
        yield Check("keepers", WARN, f"keeper {name} (process {pid}) is stopped", f"let it go on: kill -CONT {pid}")
    for name, reason in held:
        yield Check("keepers", WARN, f"{name}: {reason.text}", f"who has it open: {reason.commands[0]}")
    for one in strays:
        pids = " ".join(map(str, one.pids))
        count = len(one.pids)
        yield Check(
            "keepers",
            WARN,
            f"{count} process{'' if count == 1 else 'es'} under keeper {one.keeper} may be of any attempt and"
            f" {'was' if count == 1 else 'were'} left alone: {pids}",
            f"look at them: ps -fp {','.join(map(str, one.pids))}; end them with kill",
        )
    if not (stopped or held or strays):
        yield Check("keepers", OK, "none is stopped, nothing is left over")

"""Crontabs as jobs: each line converted or reported, and fired when cron fires it.

Two independent witnesses check the fire times: croniter on naive local time, and a scan of every minute.
"""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import tomli_w
from croniter import croniter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobctl.core.definition import jobs as definition
from jobctl.core.definition.jobs import Definitions
from jobctl.core.model import Job, Notify, OverlapPolicy, Schedule
from jobctl.core.schedule.schedule import fires
from jobctl.core.status import RunStatus
from jobctl.crontab import Became, Dialect, Imported, Line, convert, to_toml

DEBIAN, CRONIE = Dialect.DEBIAN, Dialect.CRONIE
MINUTE = 60_000
MAILED = (RunStatus.FAILED, RunStatus.TIMED_OUT)
DAY = 1440 * MINUTE


def imported(text: str, dialect: Dialect = DEBIAN, *, user_field: bool = False, user: str = "ann") -> Imported:
    return convert(text, dialect, user_field=user_field, user=user)


def defined(found: Imported) -> dict[str, Job]:
    """The jobs of the file that is written; it must be valid."""
    definitions, problems = definition.parse(to_toml(found).encode(), file="jobs.toml", folder="/")
    assert isinstance(definitions, Definitions), [str(problem) for problem in problems]
    return dict(definitions.jobs)


def only(line: str, dialect: Dialect = DEBIAN, *, above: str = "") -> Job:
    """The job that a line becomes, with lines above it."""
    (job,) = defined(imported(f"{above}{line}\n", dialect)).values()
    return job


def mail(to: str) -> str:
    return f'jobctl logs "$JOBCTL_RUN" --tail 50 | mail -s "$JOBCTL_JOB $JOBCTL_STATUS: $JOBCTL_RUN" {to}'


def report(found: Imported) -> dict[int, Line]:
    return {line.number: line for line in found.lines}


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_crontab_becomes_a_file() -> None:
    found = imported(
        """\
# m h  dom mon dow   command
MAILTO=ops@example.org
PGHOST = db1

# Nightly dump
30 2 * * *  cd /srv/app && timeout 6h ./dump.sh >> /var/log/dump.log 2>&1
PATH=/opt/bin:/bin
#0 3 * * * old
@reboot /opt/bin/warm-cache
0 0 * * 1 mail -s "100\\%" bob%Hello,%it's me
0 0 31 2 * ./never
""",
    )
    assert (
        to_toml(found)
        == """\
[defaults]
cwd = "~"
overlap = "allow_all"
catchup_window = "1m"
notify = { command = 'jobctl logs "$JOBCTL_RUN" --tail 50 | mail -s "$JOBCTL_JOB $JOBCTL_STATUS: $JOBCTL_RUN" \
ops@example.org' }
env = { PGHOST = "db1" }

[jobs.dump]
description = "Nightly dump"
schedule = "30 2 * * *"
command = "cd /srv/app && timeout 6h ./dump.sh >> /var/log/dump.log 2>&1"

[jobs.warm-cache]
schedule = "@reboot"
command = "/opt/bin/warm-cache"
env = { PATH = "/opt/bin:/bin" }

[jobs.mail]
schedule = "0 0 * * 1"
command = '''
mail -s "100%" bob <<'END'
Hello,
it's me
END
'''
env = { PATH = "/opt/bin:/bin" }

[jobs.never]
description = 'Not scheduled: day-of-month "31": no month of "2" has that day, it would never fire; write "0 0 L 2 *" \
for the last day of the month. Line 11 of the crontab: 0 0 31 2 * ./never'
command = "./never"
env = { PATH = "/opt/bin:/bin" }
"""
    )
    assert [(line.number, line.became, line.job) for line in found.lines] == [
        (1, Became.COMMENT, ""),
        (2, Became.VARIABLE, ""),
        (3, Became.VARIABLE, ""),
        (5, Became.COMMENT, ""),
        (6, Became.JOB, "dump"),
        (7, Became.VARIABLE, ""),
        (8, Became.COMMENT, ""),
        (9, Became.JOB, "warm-cache"),
        (10, Became.JOB, "mail"),
        (11, Became.DISABLED, "never"),
    ]


def test_what_a_job_is_like() -> None:
    job = only("0 5 * * * cmd")
    assert job.schedules == (Schedule(cron="0 5 * * *"),)
    assert (job.cwd, job.shell, job.env, job.default_env) == ("~", "/bin/sh", {}, {})
    assert (job.overlap, job.catchup_window, job.timeout) == (OverlapPolicy.ALLOW_ALL, MINUTE, None)
    assert [(step.name, step.command, step.retry.maximum_attempts) for step in job.steps] == [("main", "cmd", 1)]


@pytest.mark.parametrize(
    ("text", "dialect", "says"),
    [
        ("0 5 * * * x\n", DEBIAN, ("allow_all", '"1m"', "/usr/bin:/bin")),
        ("PATH=/bin\n0 5 * * * x\n", DEBIAN, ("allow_all", '"1m"')),
        ("0 5 * * * x", DEBIAN, ("ignores the whole crontab", "allow_all", '"1m"', "/usr/bin:/bin")),
        ("0 5 * * * x", CRONIE, ("ignores that line", "allow_all", '"1m"', "/usr/bin:/bin")),
        ("x\n", DEBIAN, ("ignores a whole crontab",)),
        ("x\n", CRONIE, ()),
        ("0 5 * * * x\r\n", DEBIAN, ("DOS line ends", "allow_all", '"1m"', "/usr/bin:/bin")),
        ("\ufeff0 5 * * * x\n", DEBIAN, ("byte order mark", "allow_all", '"1m"', "/usr/bin:/bin")),
        ("#0 5 * * * x\n#@daily y\n", DEBIAN, ("2 entries are commented out, and left out: lines 1, 2",)),
        ("MAILTO=ann\n0 5 * * * x\n", DEBIAN, ("`notify`", "allow_all", '"1m"', "/usr/bin:/bin")),
        ("\n", DEBIAN, ()),
        ("", DEBIAN, ()),
    ],
)
def test_notes_about_the_whole(text: str, dialect: Dialect, says: tuple[str, ...]) -> None:
    notes = imported(text, dialect).notes
    assert len(notes) == len(says)
    assert all(words in note for words, note in zip(says, notes, strict=True))


# --- variables -------------------------------------------------------------------------------------------------------


def test_variables_count_for_the_lines_below_them() -> None:
    jobs = defined(imported("0 1 * * * a\nX=1\nY=2\n0 2 * * * b\nX=3\n0 3 * * * c\n"))
    assert [{**job.default_env, **job.env} for job in jobs.values()] == [{}, {"X": "1", "Y": "2"}, {"X": "3", "Y": "2"}]


@pytest.mark.parametrize(
    ("above", "dialect", "differs", "became", "why"),
    [
        ("SHELL=/bin/bash\n", DEBIAN, {"shell": "/bin/bash"}, Became.VARIABLE, "`shell`"),
        ("SHELL=/bin/sh\n", DEBIAN, {}, Became.VARIABLE, "`shell`"),
        ("HOME=/srv\n", DEBIAN, {"cwd": "/srv", "default_env": {"HOME": "/srv"}}, Became.VARIABLE, "`cwd`"),
        ("A B=c\n'A B'=c\n", DEBIAN, {}, Became.REFUSED, "bad minute"),
        ("'A B'=c\n", DEBIAN, {}, Became.IGNORED, "passes no such name on"),
        ("TZ=UTC\n", DEBIAN, {"default_env": {"TZ": "UTC"}}, Became.VARIABLE, "machine's zone"),
        ("CRON_TZ=UTC\n", DEBIAN, {"default_env": {"CRON_TZ": "UTC"}}, Became.VARIABLE, "does not read it"),
        ("CRON_TZ=UTC\n", CRONIE, {"timezone": "UTC"}, Became.VARIABLE, "`timezone`"),
        ("CRON_TZ=:UTC\n", CRONIE, {"timezone": "UTC"}, Became.VARIABLE, "`timezone`"),
        ("CRON_TZ=\n", CRONIE, {}, Became.VARIABLE, "`timezone`"),
        ("RANDOM_DELAY=1\n", DEBIAN, {"default_env": {"RANDOM_DELAY": "1"}}, Became.VARIABLE, "`env`"),
        ("RANDOM_DELAY=90\n", CRONIE, {"schedules": (Schedule(cron="0 5 * * *", jitter=90 * MINUTE),)}, Became.VARIABLE,
         "`jitter`"),
        ("RANDOM_DELAY=0\n", CRONIE, {}, Became.VARIABLE, "`jitter`"),
        ("RANDOM_DELAY=1441\n", CRONIE, {}, Became.IGNORED, "0 to 1440"),
        ("RANDOM_DELAY=-1\n", CRONIE, {}, Became.IGNORED, "0 to 1440"),
        ("MAILTO=ann\n", DEBIAN, {"notify": (Notify(MAILED, mail("ann")),)}, Became.VARIABLE, "`notify` of the jobs"),
        ("MAILTO=a@x,b;c\n", DEBIAN, {"notify": (Notify(MAILED, mail("a@x 'b;c'")),)}, Became.VARIABLE, "`notify`"),
        ("PATH=$PATH:/x\n", DEBIAN, {"default_env": {"PATH": "$PATH:/x"}}, Became.VARIABLE, "expands the $PATH in it"),
        ("PATH=~/bin:/bin\n", DEBIAN, {"default_env": {"PATH": "~/bin:/bin"}}, Became.VARIABLE, "expands the ~ in it"),
        ("X=a$hunter2\n", DEBIAN, {"default_env": {"X": "a$hunter2"}}, Became.VARIABLE, "nothing expands the $ in it"),
        ('MAILTO=""\n', DEBIAN, {}, Became.IGNORED, "no mail anyway"),
        ("MAILFROM=ann\n", CRONIE, {}, Became.IGNORED, "`notify` runs a command"),
        ("LOGNAME=bob\n", DEBIAN, {}, Became.IGNORED, "cron sets it"),
        ("USER=bob\n", DEBIAN, {"default_env": {"USER": "bob"}}, Became.VARIABLE, "`env`"),
        ("USER=bob\n", CRONIE, {}, Became.IGNORED, "cron sets it"),
        ("''=x\n", DEBIAN, {}, Became.UNCONVERTED, "without a name"),
    ],
)  # fmt: skip
def test_what_variables_become(above: str, dialect: Dialect, differs: dict[str, Any], became: Became, why: str) -> None:
    job = only("0 5 * * * cmd", dialect, above=above)
    plain = only("0 5 * * * cmd", dialect)
    changed = {key for key in Job.__dataclass_fields__ if getattr(job, key) != getattr(plain, key)}
    assert {key: getattr(job, key) for key in changed} == differs
    line = report(imported(above, dialect))[1]
    assert line.became is became
    assert why in line.why


def test_a_command_that_reads_mailto_gets_it() -> None:
    assert only('0 5 * * * x | mail "$MAILTO"', above="MAILTO=ann\n").default_env == {"MAILTO": "ann"}


@pytest.mark.parametrize(
    "line", ["TOKEN=hunter2", 'TOKEN="hunter2', " 'TOKEN' = hunter2", "TOKEN={{ hunter2 }}", "=hunter2"]
)
def test_values_of_variables_are_never_repeated(line: str) -> None:
    found = imported(f"{line}\n0 5 * * * cmd\n")
    assert "hunter2" not in repr([found.lines, found.notes])


# --- what is not scheduled, or not imported --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "dialect", "why"),
    [
        ("0 0 31 2 * cmd", DEBIAN, "no month"),
        ("0 0 * * fri-sun cmd", DEBIAN, "ends before it starts"),
        ("0 20-10 * * * cmd", CRONIE, "the range of hour"),
        ("~ 5 * * * cmd", CRONIE, "a new time"),
    ],
)
def test_what_cron_never_fires_is_imported_without_a_schedule(line: str, dialect: Dialect, why: str) -> None:
    found = imported(f"# Comment\n{line}\n", dialect)
    assert (report(found)[2].became, report(found)[2].job) == (Became.DISABLED, "cmd")
    assert why in report(found)[2].why
    job = defined(found)["cmd"]
    assert job.schedules == ()
    assert job.steps[0].command == "cmd"
    assert job.description.startswith("Comment. Not scheduled: ")
    assert job.description.endswith(f"Line 2 of the crontab: {line}")


def test_a_zone_that_nobody_knows_is_not_guessed() -> None:
    found = imported("CRON_TZ=CET-1CEST\n0 5 * * * cmd\n", CRONIE)
    assert report(found)[2].became is Became.DISABLED
    assert "there is no time zone" in report(found)[2].why


def test_lines_of_other_users_are_imported_without_a_schedule() -> None:
    found = imported("0 5 * * *\tann\ta\n@reboot bob b\n0 5 * * * c\n", user_field=True)
    assert [line.became for line in found.lines] == [Became.JOB, Became.DISABLED, Became.REFUSED]
    assert "sudo -u bob" in report(found)[2].why
    jobs = defined(found)
    assert jobs["a"].schedules == (Schedule(cron="0 5 * * *"),)
    assert jobs["b"].schedules == ()
    assert jobs["b"].steps[0].command == "b"


@pytest.mark.parametrize(
    ("text", "became", "why"),
    [
        ("bad line\n", Became.REFUSED, "bad minute"),
        ("0 5 * * *\n", Became.IGNORED, "no command"),
        ("@daily %input\n", Became.IGNORED, "no command"),
        ("0 5 * * * a\0b\n", Became.UNCONVERTED, "NUL"),
        ("A=\udcff\n", Became.UNCONVERTED, "UTF-8"),
        ("SHELL=/bin/bash -e\n0 5 * * * cmd\n", Became.UNCONVERTED, "shell: is a program without arguments"),
        ("A={{ b }}\n0 5 * * * cmd\n", Became.UNCONVERTED, "env.A: "),
        ("SHELL=\n0 5 * * * cmd\n", Became.UNCONVERTED, "shell: is empty"),
    ],
)
def test_what_cannot_be_imported_is_reported(text: str, became: Became, why: str) -> None:
    found = imported(text, CRONIE if text.startswith("SHELL=\n") else DEBIAN)
    assert found.jobs == {}
    assert found.lines[-1].became is became
    assert why in found.lines[-1].why
    assert found.lines[-1].job == ""


def test_one_line_that_cannot_be_imported_does_not_stop_the_others() -> None:
    found = imported("0 5 * * * a\nA={{ b }}\n0 5 * * * b\nA=c\n0 5 * * * c\n")
    assert list(defined(found)) == ["a", "c"]


@pytest.mark.parametrize(
    ("line", "dialect", "says"),
    [
        ("0 0 * * mon#2 cmd", DEBIAN, "cron reads 0 0 * * mon#2 as 0 0 * * 1"),
        ("0 5 * * * cmd%x", DEBIAN, "input"),
        ("0 5 * * * -n cmd", CRONIE, "-n means nothing here"),
        ("0 5 * * * c\rmd", DEBIAN, "carriage return"),
        ("0 5 * * * cmd\r", DEBIAN, ""),
        ("0 5 * * * cmd", DEBIAN, ""),
    ],
)
def test_remarks_about_what_was_imported(line: str, dialect: Dialect, says: str) -> None:
    (told,) = imported(f"{line}\n", dialect).lines
    assert told.became is Became.JOB
    assert says in told.why
    assert bool(told.why) == bool(says)


# --- names and descriptions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/local/bin/backup.sh --all", "backup"),
        ("cd /srv/app && ./manage.py clean", "manage-clean"),
        ("cd / && run-parts --report /etc/cron.hourly", "cron-hourly"),
        ("test -x /usr/sbin/anacron || ( cd / && run-parts x )", "x"),
        ("[ -x /usr/sbin/x ] && if [ -d /run ]; then y; fi", "y"),
        ("A=1 B=2 cmd", "cmd"),
        ("sudo -u bob nice -n 19 /bin/tar cf x", "tar-x"),
        ("flock -n /tmp/lock timeout 6h ./dump.sh", "dump"),
        ("/usr/bin/python3 -u /srv/report.py", "report"),
        ("php artisan schedule:run >> /dev/null 2>&1", "schedule-run"),
        ("/usr/bin/env bash job.sh", "job"),
        ("bash -c 'x y'", "x-y"),
        ("ünder_score!", "nder_score"),
        ("'/path with/x'", "x"),
        ("...", "job"),
        ("$HOME/bin/x", "x"),
        (">x", "job"),
        ("x" * 100, "x" * 63),
    ],
)
def test_names(command: str, name: str) -> None:
    assert only(f"0 5 * * * {command}").name == name


def test_names_are_unique() -> None:
    text = "0 5 * * * a\n0 6 * * * a\n0 7 * * * a-2\n" + 2 * ("0 8 * * * " + "x" * 100 + "\n")
    assert list(defined(imported(text))) == ["a", "a-2", "a-2-2", "x" * 63, "x" * 61 + "-2"]


@pytest.mark.parametrize(
    ("above", "description"),
    [
        ("# Comment", "Comment"),
        ("# One\n## Two ##", "Two"),
        ("# Comment\n", ""),
        ("# Comment\nA=b", ""),
        ("#0 4 * * * old", ""),
        ("#\t@daily old", ""),
        ("# m h  dom mon dow   command", ""),
        ("# {{ params.x }} \0 \udcff", "{{ params.x }} \\0 ÿ"),
        ("#", ""),
        ("#" + "x" * 200_000, "x" * 500),
    ],
)
def test_the_comment_above_is_the_description(above: str, description: str) -> None:
    assert only("0 5 * * * cmd", above=f"{above}\n").description == description


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("cat%a%b", "a\nb\n"),
        ("cat%%", "\n"),
        (r"cat; echo \%%$HOME 'x' \n \%s \\%%`id`", "$HOME 'x' \\n %s \\%\n`id`\n%\n"),
        ("cat%\\", "\\"),
        ("cat%-n", "-n\n"),
        ("cat # a comment%in", "in\n"),
        ("read x; echo $x; exit 3%in", "in\n"),
        ("cat; echo a\\%in", "cat; echo a%in"),
        ('cat%é\t"  ', 'é\t"  \n'),
    ],
)
def test_the_command_reads_what_cron_would_feed_it(command: str, output: str, shell: str, tmp_path: Path) -> None:
    job = only(f"0 5 * * * {command}", above=f"SHELL={shell}\n")
    (step,) = job.steps
    assert isinstance(step.command, str)
    done = subprocess.run([job.shell, "-c", step.command], cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL)
    if output.startswith("cat; "):  # no bare percent sign, no input
        assert (done.stdout, step.command) == (b"a%in\n", output)
    else:
        assert done.stdout.decode() == output
    assert done.returncode == (3 if "exit 3" in command else 0)


# --- fire times ------------------------------------------------------------------------------------------------------

ZONES = ["America/New_York", "Australia/Lord_Howe"]
START = datetime(2026, 2, 20, 12, 34, 56, tzinfo=UTC)

# The fields of a line, and what croniter has to be asked for them: it bends some of them.
LINES = [
    ("* * * * *", ""),
    ("*/7 * * * *", ""),
    ("5,35 * * * *", ""),
    ("30 2 * * *", ""),
    ("15 2,3 * * *", ""),
    ("30 1 * * *", ""),
    ("0 */3 * * *", ""),
    ("*/15 2 * * *", ""),
    ("0 0 13 * fri", ""),
    ("0 12 */2 * mon", ""),
    ("0 12 1-7 * */3", ""),
    ("10,40 23 28-31 Jan-Jun *", ""),
    ("0 9-17/2 * * mon-fri", ""),
    ("0 0 31 * *", ""),
    ("0 0 * * 7", "0 0 * * 0"),
    ("5-5 2-2 * * *", "5 2 * * *"),
    ("30 2 * * sat,sun", ""),
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("5.3 2 * * *", "5 2 * * *"),
    ("0 2 * * mon#2", "0 2 * * mon"),
    ("0 2 13 * fri-sun", "0 2 13 * *"),
    ("0 2 20-10 * mon,wed", "0 2 * * mon,wed"),
    ("20-10,45 2 * * *", "45 2 * * *"),
]


def fire_times(fields: str, zone: str, after: int, until: int, limit: int) -> list[int]:
    job = only(f"{fields} cmd")
    (schedule,) = job.schedules
    return fires(schedule, after, until, zone, limit)


def instants(wall: datetime, zone: ZoneInfo, *, wild: bool) -> list[int]:
    """When a wall clock time runs: Debian's rules, by trying both folds."""
    both = [wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
    real = sorted({int(t.timestamp()) for t in both if t.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall})
    if wild or real:
        return real if wild else real[:1]
    # In a gap: the first minute after it. Read with the offset before it the time lies behind it by as much as the
    # change is away from it.
    late = int(both[0].timestamp())
    while datetime.fromtimestamp(late - 60, zone).utcoffset() == datetime.fromtimestamp(late, zone).utcoffset():
        late -= 60
    return [late]


def by_croniter(fields: str, zone: ZoneInfo, after: int, limit: int) -> list[int]:
    """Naive wall clock times of croniter, each brought to the zone; more than are wanted, as they are not in order."""
    wild = any(field.startswith("*") for field in fields.split()[:2])
    wall = datetime.fromtimestamp(after // 1000, zone).replace(tzinfo=None) - timedelta(hours=4)
    walk = croniter(fields, wall, implement_cron_bug=True)
    found: set[int] = set()
    while len(found) < limit + 400:
        found.update(t for t in instants(walk.get_next(datetime), zone, wild=wild) if t * 1000 > after)
    return [t * 1000 for t in sorted(found)[:limit]]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("line", "plain"), LINES)
def test_the_next_100_fire_times_are_those_of_croniter(line: str, plain: str, zone: str) -> None:
    after = int(START.timestamp()) * 1000
    assert fire_times(line, zone, after, 2**50, 100) == by_croniter(plain or line, ZoneInfo(zone), after, 100)


MATCHES: dict[str, Callable[[datetime], bool]] = {
    "*/7 * * * *": lambda t: t.minute % 7 == 0,
    "30 2 * * *": lambda t: (t.hour, t.minute) == (2, 30),
    "15 2,3 * * *": lambda t: t.hour in (2, 3) and t.minute == 15,
    "30 1 * * *": lambda t: (t.hour, t.minute) == (1, 30),
    "*/15 2 * * *": lambda t: t.hour == 2 and t.minute % 15 == 0,
    "0 0 13 * fri": lambda t: (t.hour, t.minute) == (0, 0) and (t.day == 13 or t.weekday() == 4),
    "0 12 */2 * mon": lambda t: (t.hour, t.minute) == (12, 0) and t.day % 2 == 1 and t.weekday() == 0,
    "0 2 * * mon#2": lambda t: (t.hour, t.minute) == (2, 0) and t.weekday() == 0,
    "0 2 13 * fri-sun": lambda t: (t.hour, t.minute) == (2, 0) and t.day == 13,
    "20-10,* 2 * * *": lambda t: t.hour == 2,
}


def by_minute(matches: Callable[[datetime], bool], zone: ZoneInfo, first: int, last: int, *, wild: bool) -> list[int]:
    """Every minute of [first, last] (seconds) at which cron fires."""
    found = []
    minutes = [datetime.fromtimestamp(t, zone) for t in range(first - 60, last + 1, 60)]
    for before, now in pairwise(minutes):
        wall = now.replace(tzinfo=None)
        jump = wall - before.replace(tzinfo=None) - timedelta(minutes=1)
        skipped = [wall - timedelta(minutes=n) for n in range(1, int(jump.total_seconds()) // 60 + 1)]
        if (matches(wall) and (wild or not now.fold)) or (not wild and any(map(matches, skipped))):
            found.append(int(now.timestamp()) * 1000)
    return found


@pytest.mark.parametrize(
    ("zone", "around"),
    [
        ("America/New_York", "2026-03-08"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Australia/Lord_Howe", "2026-10-04"),
    ],
)
@pytest.mark.parametrize("line", MATCHES)
def test_fire_times_are_those_of_a_scan_of_every_minute(line: str, zone: str, around: str) -> None:
    middle = int(datetime.fromisoformat(around).replace(tzinfo=UTC).timestamp())
    first, last = middle - 3 * 86_400, middle + 3 * 86_400
    wild = any(field.startswith("*") for field in line.split()[:2])
    expected = by_minute(MATCHES[line], ZoneInfo(zone), first, last, wild=wild)
    assert fire_times(line, zone, first * 1000 - 1, last * 1000, 10_000) == expected


def test_cronie_fires_in_the_zone_of_cron_tz() -> None:
    job = only("30 2 * * * cmd", CRONIE, above="CRON_TZ=Asia/Tokyo\n")
    (schedule,) = job.schedules
    assert job.timezone == "Asia/Tokyo"
    first, *_ = fires(schedule, 0, DAY, job.timezone, 1)
    assert first == (24 + 2 - 9) * 60 * MINUTE + 30 * MINUTE


# --- whatever a crontab holds ----------------------------------------------------------------------------------------

_FIELD = st.one_of(
    st.sampled_from(
        ["*", "*/5", "0", "7", "1-5", "5-1", "mon", "fri-sun", "jan", "31", "*,1", "1,*", "~", "mon#2", "L"]
    ),
    st.text(alphabet="*/,-0123456789monfrisu.#~", min_size=1, max_size=6),
)
_COMMAND = st.text(alphabet=st.sampled_from(list("ab %\\'\"{}/.-$;|&<>()#=\t\ré\0\udcff")), max_size=30)
_ENTRY = st.builds(
    lambda dash, fields, user, command: f"{dash}{fields} {user}{command}",
    st.sampled_from(["", "", "", "-", " "]),
    st.one_of(
        st.lists(_FIELD, min_size=4, max_size=6).map(" ".join),
        st.sampled_from(["@daily", "@reboot", "@hourly", "@nothing"]),
    ),
    st.sampled_from(["", "", "ann ", "root "]),
    _COMMAND,
)
_VARIABLE = st.builds(
    lambda name, between, value: f"{name}{between}{value}",
    st.sampled_from(["A", "SHELL", "HOME", "PATH", "MAILTO", "CRON_TZ", "TZ", "RANDOM_DELAY", "LOGNAME", "'A B'", ""]),
    st.sampled_from(["=", " = ", "=  "]),
    st.one_of(
        st.sampled_from(["", "/bin/sh", "Europe/Berlin", "10", '""', "{{ run.id }}", "{{", "nowhere"]),
        st.text(alphabet="ab '\"\\{}$#= é\0", max_size=10),
    ),
)
_LINE = st.one_of(_ENTRY, _ENTRY, _VARIABLE, st.text(max_size=20), _COMMAND.map("#{}".format), st.just(""))


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(_LINE, max_size=12),
    end=st.sampled_from(["\n", ""]),
    dialect=st.sampled_from(list(Dialect)),
    user_field=st.booleans(),
)
@example(lines=["0 5 * * * a", "X=1"], end="", dialect=CRONIE, user_field=False)
def test_every_line_is_converted_or_reported(lines: list[str], end: str, dialect: Dialect, user_field: bool) -> None:
    text = "\n".join(lines) + end
    found = imported(text, dialect, user_field=user_field, user="root")
    told = report(found)
    assert set(told) == {n for n, line in enumerate(text.split("\n"), 1) if line.rstrip("\r").strip(" \t")}
    assert all(line.why for line in found.lines if line.became not in (Became.JOB, Became.COMMENT))
    made = {line.job: line.became for line in found.lines if line.job}
    assert list(made) == list(found.jobs)
    assert set(made.values()) <= {Became.JOB, Became.DISABLED}
    if not found.jobs:
        return
    jobs = defined(found)
    assert {name: bool(job.schedules) for name, job in jobs.items()} == {
        name: became is Became.JOB for name, became in made.items()
    }
    # [defaults] only says once what each job says.
    long, _ = definition.parse(tomli_w.dumps({"jobs": found.jobs}).encode(), file="jobs.toml", folder="/")
    assert long is not None
    for name, job in jobs.items():
        other = long.jobs[name]
        assert {**job.default_env, **job.env} == {**other.default_env, **other.env}
        alike = ("schedules", "timezone", "cwd", "shell", "overlap", "catchup_window", "description", "steps")
        assert [getattr(job, key) for key in alike] == [getattr(other, key) for key in alike]
    again = convert(text, dialect, user_field=user_field, user="root")
    assert to_toml(again) == to_toml(found)
    assert set(tomllib.loads(to_toml(found))) <= {"defaults", "jobs"}

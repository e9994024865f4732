from __future__ import annotations

import pytest

from jobctl.core import model
from jobctl.core.definition import jobs as definition
from jobctl.core.definition.jobs import Definitions
from jobctl.core.errors import Problem
from jobctl.core.model import (
    Compensation,
    ForEach,
    Job,
    Keep,
    Notify,
    OnTimeout,
    OverlapPolicy,
    Param,
    ParamType,
    ParentClosePolicy,
    Poll,
    Queue,
    RetryPolicy,
    Schedule,
    Step,
    Timeouts,
    When,
)

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def read(text: str) -> tuple[Definitions | None, list[Problem]]:
    return definition.parse(text.encode(), file="jobs.toml", folder="/srv")


def valid(text: str) -> Definitions:
    found, problems = read(text)
    assert [str(problem) for problem in problems] == []
    assert found is not None
    return found


def job(text: str) -> Job:
    """The job `a` of a file."""
    return valid(text).jobs["a"]


def steps(text: str) -> tuple[Step, ...]:
    return job("[jobs.a]\n" + text).steps


def errors(text: str) -> list[str]:
    """Line, job, step, key and message of every error, and its hint."""
    found, problems = read(text)
    assert found is None or all(problem.warning for problem in problems)
    for problem in problems:
        assert problem.hint, f"no way out: {problem}"
        assert "\n" not in problem.message
    return [f"{problem} | {problem.hint}" for problem in problems if not problem.warning]


def warnings(text: str) -> list[str]:
    found, problems = read(text)
    assert found is not None, [str(problem) for problem in problems]
    assert all(problem.warning and problem.line and problem.hint for problem in problems)
    return [f"{problem} | {problem.hint}" for problem in problems]


# --- what a file may say ---------------------------------------------------------------------------------------------


def test_a_file() -> None:
    found = valid(
        '[jobs.a]\ncommand = "true"\n[jobs.b]\ncommand = ["true"]\n[queues.q]\nconcurrency = 2\npriority = -1'
    )
    assert list(found.jobs) == ["a", "b"]
    assert found.jobs["a"] == Job("a", "/srv", (Step("main", command="true"),), file="jobs.toml")
    assert found.jobs["b"].steps == (Step("main", command=("true",)),)
    assert found.queues == {"q": Queue("q", 2, -1)}
    assert found.file == "jobs.toml"


def test_every_job_key() -> None:
    assert job("""
        [jobs.a]
        description = ""
        schedule = "30 2 * * *"
        timezone = "Europe/Berlin"
        overlap = "buffer_one"
        catchup_window = "24h"
        pause_on_failure = true
        timeout = "6h"
        params = { target = "s3://b", n = { type = "integer" } }
        env = { PGHOST = "db1", EMPTY = "" }
        env_file = ".env"
        inherit_env = ["AWS_*", "CI"]
        cwd = "app"
        shell = "/bin/bash"
        retry = 3
        step_timeout = "5m"
        keep = { runs = 1000, for = "90d" }
        queue = "q"
        priority = -5
        max_parallel_steps = 4
        kill_grace = "0s"
        after_stop = "pause"
        log_limit = "10MB"
        notify = { on = ["failed", "missed"], command = ["mail", "ops"] }
        tags = ["nightly"]
        command = "pg_dump"
        """) == Job(
        name="a",
        folder="/srv",
        file="jobs.toml",
        schedules=(Schedule(cron="30 2 * * *"),),
        timezone="Europe/Berlin",
        overlap=OverlapPolicy.BUFFER_ONE,
        catchup_window=DAY,
        pause_on_failure=True,
        timeout=6 * HOUR,
        params={"target": Param(default="s3://b"), "n": Param(ParamType.INTEGER)},
        env={"PGHOST": "db1", "EMPTY": ""},
        env_file=".env",
        inherit_env=("AWS_*", "CI"),
        cwd="app",
        shell="/bin/bash",
        keep=Keep(1000, 90 * DAY),
        queue="q",
        priority=-5,
        max_parallel_steps=4,
        kill_grace=0,
        after_stop="pause",
        log_limit=10_000_000,
        notify=(Notify(("failed", "missed"), ("mail", "ops")),),
        tags=("nightly",),
        steps=(
            Step(
                "main",
                command="pg_dump",
                retry=RetryPolicy(maximum_attempts=3),
                timeouts=Timeouts(start_to_close=5 * MINUTE),
            ),
        ),
    )  # fmt: skip


def test_every_step_key() -> None:
    found = job("""
        [jobs.child]
        params = { n = 1 }
        command = "true"
        [jobs.a]
        params = { files = [] }
        [[jobs.a.steps]]
        name = "work"
        command = ["./work", "{{ params.files }}", ""]
        only_if = "test -e x"
        retry = { maximum_attempts = 5, initial_interval = "2s", backoff_coefficient = 1, maximum_interval = "1m", non_retryable_exit_codes = [2, 65], non_retryable_types = ["Auth"] }
        timeout = { start_to_close = "30s", schedule_to_close = "10m", heartbeat = "10s" }
        compensate = { command = ["./undo", "{{ steps.work.outputs.id }}"], retry = 2, timeout = "1m" }
        poll = { interval = "5s", backoff_coefficient = 1.5, maximum_interval = "1m", deadline = "1d" }
        env = { A = "{{ run.id }}" }
        cwd = "sub"
        shell = "/bin/bash"
        queue = "q"
        allow_failure = true
        [[jobs.a.steps]]
        name = "nap"
        sleep = "1d"
        [[jobs.a.steps]]
        name = "until"
        sleep_until = 2026-12-24T18:00:00+01:00
        [[jobs.a.steps]]
        name = "wait"
        signal = "go"
        timeout = "3d"
        on_timeout = "continue"
        [[jobs.a.steps]]
        name = "ask"
        approval = "Really?"
        [[jobs.a.steps]]
        name = "child"
        job = "child"
        params = { n = 2 }
        on_parent_close = "abandon"
        timeout = "1h"
        [[jobs.a.steps]]
        name = "each"
        needs = ["work"]
        foreach = "{{ params.files }}"
        max_parallel = 3
        fail_fast = true
        command = ["./one", "{{ item }}", "{{ item.name }}"]
        [[jobs.a.steps]]
        name = "end"
        when = "always"
        needs = []
        command = "./end"
        compensate = "./unend"
        """)  # noqa: E501
    assert found.steps == (
        Step(
            "work",
            command=("./work", "{{ params.files }}", ""),
            only_if="test -e x",
            retry=RetryPolicy(5, 2 * SECOND, 1.0, MINUTE, (2, 65), ("Auth",)),
            timeouts=Timeouts(30 * SECOND, 10 * MINUTE, 10 * SECOND),
            compensate=Compensation(
                ("./undo", "{{ steps.work.outputs.id }}"),
                RetryPolicy(maximum_attempts=2),
                Timeouts(start_to_close=MINUTE),
            ),
            poll=Poll(5 * SECOND, 1.5, MINUTE, DAY),
            env={"A": "{{ run.id }}"},
            cwd="sub",
            shell="/bin/bash",
            queue="q",
            allow_failure=True,
        ),
        Step("nap", needs=("work",), sleep=DAY),
        Step("until", needs=("nap",), sleep_until="2026-12-24T18:00:00+01:00"),
        Step("wait", needs=("until",), signal="go", timeouts=Timeouts(None, 3 * DAY), on_timeout=OnTimeout.CONTINUE),
        Step("ask", needs=("wait",), approval="Really?"),
        Step(
            "child",
            needs=("ask",),
            job="child",
            params={"n": 2},
            on_parent_close=ParentClosePolicy.ABANDON,
            timeouts=Timeouts(None, HOUR),
        ),
        Step(
            "each",
            needs=("work",),
            foreach=ForEach("{{ params.files }}", 3, True),
            command=("./one", "{{ item }}", "{{ item.name }}"),
        ),
        Step("end", when=When.ALWAYS, command="./end", compensate=Compensation("./unend")),
    )
    assert model.decode(model.encode(found)) == found


@pytest.mark.parametrize(
    ("schedule", "schedules"),
    [
        ('"@hourly"', [Schedule(cron="@hourly")]),
        ('["0 9 * * *", "0 18 * * *"]', [Schedule(cron="0 9 * * *"), Schedule(cron="0 18 * * *")]),
        ('{ every = "15m" }', [Schedule(every=15 * MINUTE)]),
        ('{ every = "15m", offset = "5m" }', [Schedule(every=15 * MINUTE, offset=5 * MINUTE)]),
        ('{ at = "1970-01-01T01:00:00+01:00" }', [Schedule(at=0)]),
        ("{ at = 1970-01-01T00:00:01Z }", [Schedule(at=SECOND)]),
        ('"@reboot"', [Schedule(boot=True)]),
        ('[" @reboot ", "@daily"]', [Schedule(boot=True), Schedule(cron="@daily")]),
        ('["@daily", { every = "1h" }]', [Schedule(cron="@daily"), Schedule(every=HOUR)]),
        (
            '{ cron = "30 2 * * *", timezone = "UTC", jitter = "5m", start_at = 1970-01-01T00:00:00Z, '
            'end_at = "1970-01-02T00:00:00Z", exclude = ["* * 24-26 12 *"], '
            'exclude_dates = ["2027-01-01", 2027-01-02], dst_gap = "skip", dst_fold = "both" }',
            [
                Schedule(
                    cron="30 2 * * *",
                    timezone="UTC",
                    jitter=5 * MINUTE,
                    start_at=0,
                    end_at=DAY,
                    exclude=("* * 24-26 12 *",),
                    exclude_dates=("2027-01-01", "2027-01-02"),
                    dst_gap="skip",
                    dst_fold="both",
                )
            ],
        ),
    ],
)
def test_schedules(schedule: str, schedules: list[Schedule]) -> None:
    assert job(f'[jobs.a]\ncommand = "x"\nschedule = {schedule}').schedules == tuple(schedules)


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ('"x"', Param(default="x")),
        ('""', Param(default="")),
        ("3", Param(ParamType.INTEGER, 3)),
        ("1.5", Param(ParamType.NUMBER, 1.5)),
        ("false", Param(ParamType.BOOLEAN, False)),
        ('["a", 1]', Param(ParamType.LIST, ["a", 1])),
        ("2026-01-02", Param(ParamType.DATE, "2026-01-02")),
        ("{}", Param()),
        ('{ type = "number", default = 3 }', Param(ParamType.NUMBER, 3)),
        ('{ default = 3, description = "n" }', Param(ParamType.INTEGER, 3, description="n")),
        ('{ choices = ["a", "b"] }', Param(choices=("a", "b"))),
        ("{ choices = [1, 2], default = 2 }", Param(ParamType.INTEGER, 2, (1, 2))),
        ('{ type = "date", default = "{{ run.fire_date }}" }', Param(ParamType.DATE, "{{ run.fire_date }}")),
        ('"run {{ run.id }}"', Param(default="run {{ run.id }}")),
    ],
)
def test_params(param: str, expected: Param) -> None:
    found = job(f'[jobs.a]\ncommand = "x"\nparams.p = {param}')
    assert found.params == {"p": expected}
    assert type(found.params["p"].default) is type(expected.default)
    assert model.decode(model.encode(found)) == found


@pytest.mark.parametrize(
    ("defaults", "of_job", "of_step", "policy"),
    [
        ("", "", "", RetryPolicy(maximum_attempts=1)),
        ("", "", "retry = 5", RetryPolicy(maximum_attempts=5)),
        ("", "", "retry = {}", RetryPolicy(maximum_attempts=0)),
        ("", "", 'retry = { initial_interval = "5s" }', RetryPolicy(0, 5 * SECOND)),
        ("retry = 3", "", "", RetryPolicy(maximum_attempts=3)),
        ("retry = 3", 'retry = { initial_interval = "5s" }', "", RetryPolicy(3, 5 * SECOND)),
        ('retry = { initial_interval = "5s" }', "retry = 2", "retry = { backoff_coefficient = 1 }",
         RetryPolicy(2, 5 * SECOND, 1.0)),
        ("retry = 3", "retry = 4", "retry = 1", RetryPolicy(maximum_attempts=1)),
    ],
)  # fmt: skip
def test_retry_is_merged_field_by_field(defaults: str, of_job: str, of_step: str, policy: RetryPolicy) -> None:
    text = f'[defaults]\n{defaults}\n[jobs.a]\n{of_job}\n[[jobs.a.steps]]\nname = "s"\ncommand = "x"\n{of_step}'
    assert job(text).steps[0].retry == policy


@pytest.mark.parametrize(
    ("step_timeout", "step", "timeouts"),
    [
        ('"5m"', 'command = "x"', Timeouts(5 * MINUTE)),
        ('"5m"', 'command = "x"\ntimeout = "1m"', Timeouts(MINUTE)),
        ('{ heartbeat = "1m" }', 'command = "x"\ntimeout = "5m"', Timeouts(5 * MINUTE, None, MINUTE)),
        ('"5m"', 'sleep = "1d"', Timeouts()),
        ('"5m"', 'signal = "go"', Timeouts()),
        ('"5m"', 'approval = "ok?"\ntimeout = "1d"', Timeouts(None, DAY)),
        ('{ start_to_close = "5m", heartbeat = "1m" }', 'job = "b"', Timeouts(5 * MINUTE)),
        ('"5m"', 'job = "b"\ntimeout = "1d"', Timeouts(None, DAY)),
    ],
)
def test_timeouts_reach_the_steps_they_suit(step_timeout: str, step: str, timeouts: Timeouts) -> None:
    text = (
        f'[jobs.b]\ncommand = "x"\n[jobs.a]\nretry = 3\nstep_timeout = {step_timeout}\n[[jobs.a.steps]]\nname = "s"\n'
    )
    found = job(text + step).steps[0]
    assert found.timeouts == timeouts
    assert found.retry.maximum_attempts == (3 if "command" in step or "job" in step else 1)


def test_defaults_are_merged_field_by_field() -> None:
    found = job("""
        [defaults]
        timezone = "UTC"
        priority = 3
        env = { A = "1", B = "1" }
        keep = { runs = 5, for = "1d" }
        params = { day = { type = "date", default = "2026-01-01" }, n = 1 }
        tags = ["x"]
        [jobs.a]
        command = "x"
        priority = 0
        env = { B = "2" }
        keep = { runs = 9 }
        params = { day = "2026-02-02", n = { description = "how many" } }
        tags = ["y"]
        """)
    assert found.timezone == "UTC"
    assert found.priority == 0
    assert (found.default_env, found.env) == ({"A": "1", "B": "1"}, {"B": "2"})
    assert found.keep == Keep(9, DAY)
    assert found.params["day"] == Param(ParamType.DATE, "2026-02-02")
    assert found.params["n"] == Param(ParamType.INTEGER, 1, description="how many")
    assert found.tags == ("y",)


@pytest.mark.parametrize(
    ("lines", "needs"),
    [
        (["a", "b", "c"], [(), ("a",), ("b",)]),
        (["a", "b needs = []", "c"], [(), (), ("b",)]),
        (["a", "b", 'c needs = ["a"]', 'd needs = ["b", "c"]'], [(), ("a",), ("a",), ("b", "c")]),
        (['a needs = ["b"]', "b needs = []"], [("b",), ()]),
        (["a", 'b when = "failure"', "c"], [(), ("a",), ("a",)]),
        (['a when = "failure"', "b"], [(), ()]),
        (["a", 'b when = "always"', "c"], [(), ("a",), ("b",)]),
        (["a", 'b when = "failure"', 'c when = "always"\nneeds = ["b"]'], [(), ("a",), ("b",)]),
        (["a", 'b when = "failure"', 'c when = "failure"\nneeds = ["b"]'], [(), ("a",), ("b",)]),
    ],
)
def test_a_step_waits_for_the_one_above_it_or_for_what_it_names(lines: list[str], needs: list[tuple[str, ...]]) -> None:
    text = "".join(
        f'[[jobs.a.steps]]\nname = "{line.partition(" ")[0]}"\ncommand = "x"\n{line.partition(" ")[2]}\n'
        for line in lines
    )
    assert [step.needs for step in steps(text)] == needs


@pytest.mark.parametrize(
    ("value", "read_as"),
    [("true", True), ("false", ()), ('["A"]', ("A",)), ("[]", ())],
)
def test_inherit_env(value: str, read_as: bool | tuple[str, ...]) -> None:
    assert job(f'[jobs.a]\ncommand = "x"\ninherit_env = {value}').inherit_env == read_as


@pytest.mark.parametrize(
    ("value", "size"), [("1", 1), ('"1B"', 1), ('"500KiB"', 512_000), ('"64 MiB"', 67_108_864), ('"2GB"', 2 * 10**9)]
)
def test_sizes(value: str, size: int) -> None:
    assert job(f'[jobs.a]\ncommand = "x"\nlog_limit = {value}').log_limit == size


# --- what is wrong with it -------------------------------------------------------------------------------------------


def test_all_problems_at_once_with_their_places_in_the_order_of_lines() -> None:
    assert errors("""[defaults]
retry = true
[jobs.backup]
comand = "x"
timeout = 30
[jobs.trip]
[[jobs.trip.steps]]
name = "charge"
command = "./charge"
retry = { maximum_attempts = "3" }
needs = ["pay"]
""") == [
        "jobs.toml:2: defaults.retry: must be an integer or a table, not true or false | write retry = 3",
        "jobs.toml:4: job backup, comand: there is no key `comand` here | did you mean `command`?",
        'jobs.toml:5: job backup, timeout: must be a duration such as "30s", not an integer'
        ' | write "30s" (units: ms, s, m, h, d, w)',
        "jobs.toml:10: job trip, step charge, retry.maximum_attempts: must be an integer, not text | without quotes: 3",
        "jobs.toml:11: job trip, step charge, needs[0]: there is no step pay in this job | known: charge",
    ]


def _one(found: list[str], expected: str) -> None:
    """One error, with the expected parts (`…` between them) in this order."""
    assert len(found) == 1, found
    rest = found[0]
    for part in expected.split("…"):
        before, sep, rest = rest.partition(part)
        assert sep or not part, f"{part!r} is not in {found[0]!r} (after {before!r})"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jobs = 3", "jobs: must be a table, not an integer"),
        ("jobs.a = 3", "job a: must be a table, not an integer"),
        ('[jobs.a]\ncommand = "x"\n[job.b]', "no key `job` here…write [jobs.NAME]"),
        ('[jobs.a]\ncommand = "x"\n[backup]', "no key `backup` here…a job is written [jobs.backup]"),
        ('timezone = "UTC"\n[jobs.a]\ncommand = "x"', "no key `timezone`…in [defaults]"),
        ('[jobs.a]\ncommand = "x"\n[defaults]\nschedule = "@daily"', "each job has its own `schedule`"),
        ('[jobs.a]\ncommand = "x"\n[defaults]\nneeds = []', "`needs` belongs to a step"),
        ('[jobs."a b"]\ncommand = "x"', "`a b` is not a name…a-b"),
        ('[jobs.-a]\ncommand = "x"', "`-a` is not a name"),
        (f'[jobs.{"x" * 64}]\ncommand = "x"', "is not a name…1 to 63"),
        ('[jobs."a\\u001b[0m"]\ncommand = "x"', "`a\\x1b[0m` is not a name"),
        ('[jobs.a]\ncommand = "x"\n[queues.q]\nconcurrency = 0', "queues.q.concurrency: must be at least 1"),
        ('[jobs.a]\ncommand = "x"\n[queues.q]\nlimit = 1', "queues.q.limit: there is no key…concurrency"),
    ],
)
def test_files_that_define_nothing_or_something_else(text: str, expected: str) -> None:
    _one(errors(text), expected)


@pytest.mark.parametrize("text", ["", "[jobs]", "# only a comment", '[defaults]\ntimezone = "UTC"', "jobs = {}"])
def test_a_file_without_jobs_means_none_and_is_warned_of(text: str) -> None:
    found, [problem] = definition.parse(text.encode(), file="jobs.toml", folder="/srv")
    assert found is not None
    assert (found.jobs, problem.warning, str(problem)) == ({}, True, "jobs.toml: defines no jobs")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # keys of other tools and other places
        ('cmd = "x"', "cmd: there is no key `cmd` here | here it is `command`"),
        ('cron = "* * * * *"', "here it is `schedule`"),
        ("retries = 3", "here it is `retry`"),
        ("max_attempts = 3", "here it is `retry`"),
        ("maximum_attempts = 3", "it stands inside `retry`: retry = { maximum_attempts = … }"),
        ("timeouts = 3", "here it is `timeout`"),
        ("depends_on = []", "here it is `needs`"),
        ("needs = []", "`needs` belongs to a step"),
        ('every = "5m"', 'schedule = { every = "15m" }'),
        ("time-out = 3", "did you mean"),
        ("Timeout = 3", "did you mean `timeout`?"),
        ("xyzzy = 3", "`jobctl schema` lists all keys"),
        # kinds of values
        ("timeout = 30", 'must be a duration such as "30s", not an integer | write "30s"'),
        ("timeout = true", "not true or false"),
        ("timeout = 1.5", 'not a number | write "30s"'),
        ('timeout = "30"', "'30' is not a duration | write \"30s\""),
        ('timeout = "0s"', "longer than nothing"),
        ('timeout = "101w9999999d"', "longer than 100 years"),
        ("retry = true", "must be an integer or a table"),
        ("retry = -1", "must be at least 0"),
        ("retry = 9007199254740993", "too large"),
        ("retry = 1.5", "must be an integer or a table, not a number"),
        ("retry = { backoff_coefficient = 0.9 }", "retry.backoff_coefficient: must be at least 1"),
        ("retry = { backoff_coefficient = nan }", "finite"),
        ("retry = { backoff_coefficient = inf }", "finite"),
        ("retry = { backoff_coefficient = true }", "must be a number, not true or false"),
        ('retry = { initial_interval = "1m", maximum_interval = "1s" }', "maximum_interval: is shorter"),
        ('retry = { initial_interval = "0s" }', "longer than nothing"),
        ("retry = { non_retryable_exit_codes = [0] }", "non_retryable_exit_codes[0]: must be at least 1"),
        ("retry = { non_retryable_exit_codes = [256] }", "at most 255"),
        ("retry = { attempts = 3 }", "did you mean `maximum_attempts`?"),
        ('overlap = "Skip"', '`Skip` is not one of…did you mean "skip"?'),
        ('timezone = "Europe/Berlim"', 'did you mean "Europe/Berlin"?'),
        ("max_parallel_steps = 0", "at least 1"),
        ("pause_on_failure = 1", "must be true or false, not an integer"),
        ('pause_on_failure = "yes"', "must be true or false, not text | without quotes"),
        ("description = 5", "must be text, not an integer | put the value in quotes"),
        ('log_limit = "64"', "is not a size"),
        ("log_limit = 0", "at least 1"),
        ('keep = { runs = 0 }', "keep.runs: must be at least 1"),
        ('keep = { for = "0s" }', "keep.for: must be longer"),
        ('tags = "a"', "must be a list, not text…brackets"),
        ('shell = "bash -e"', "a program without arguments"),
        ('shell = ""', "shell: is empty"),
        ('cwd = "a\\u0000b"', "NUL"),
        ('inherit_env = "AWS_*"', "must be true or false or a list"),
        ('env_file = "{{ run.id }}"', "references are not replaced here"),
        ('notify = { on = ["done"], command = "x" }', "notify.on[0]: `done` is not one of"),
        ("notify = {}", "notify: needs a `command`"),
        ("notify = []", "notify: is empty"),
        ('notify = { command = ["x", "{{ run.id }}"] }', "notify.command[1]: references are not replaced here"),
        # environment
        ("env = { A = 1 }", "env.A: must be text, not an integer | put the value in quotes"),
        ("env = { A = true }", "env.A: must be text, not true or false"),
        ('env = { "" = "x" }', "is not a name of a variable"),
        ('env = { "A=B" = "x" }', "is not a name of a variable"),
        ('env = { A = "\\u0000" }', "NUL"),
        ('env = { A = "{{ item }}" }', "no item without `foreach`"),
        ('env = { A = "{{ steps.main.stdout }}" }', "no step has ended"),
        ('cwd = "{{ params.x }}"', "no parameter 'x'"),
        # schedules
        ('schedule = "61 * * * *"', 'schedule: minute "61"'),
        ('schedule = ["@daily", "0 0 31 2 *"]', "schedule[1]: day-of-month"),
        ('schedule = { cron = "@reboot" }', 'schedule.cron: "@reboot" is not a schedule'),
        ('schedule = ["@reboot", "@reboot"]', "schedule[1]: is in the list twice"),
        ("schedule = 5", "schedule: must be a cron expression or a table"),
        ("schedule = []", "schedule: is empty"),
        ("schedule = {}", "needs one of `cron`, `every`, `at`"),
        ('schedule = { cron = "@daily", every = "1h" }', "`cron` and `every` exclude each other"),
        ('schedule = { every = "500ms" }', "must be at least 1s"),
        ('schedule = { every = "5m", offset = "5m" }', "schedule.offset: must be less than `every`"),
        ('schedule = { cron = "@daily", offset = "5m" }', "offset: means nothing next to `cron`"),
        ('schedule = { every = "5m", dst_gap = "skip" }', "dst_gap: means nothing next to `every`"),
        ('schedule = { cron = "@daily", dst_gap = "before" }', '`before` is not one of "after", "skip"'),
        ("schedule = { at = 2026-12-24T18:00:00 }", 'add the offset: "2026-12-24T18:00:00Z"'),
        ('schedule = { at = "2026-12-24T18:00:00" }', 'add the offset: "2026-12-24T18:00:00Z"'),
        ("schedule = { at = 2026-12-24 }", "add time and offset"),
        ("schedule = { at = 18:00:00 }", "must be a time with offset, not a time"),
        ('schedule = { at = "soon" }', "is not date, time and offset"),
        ('schedule = { cron = "@daily", start_at = 2026-01-02T00:00:00Z, end_at = 2026-01-01T00:00:00Z }',
         "end_at: is not after `start_at`"),
        ('schedule = { cron = "@daily", exclude_dates = ["2027-02-30"] }', "exclude_dates[0]: `2027-02-30` is no"),
        ('schedule = { cron = "@daily", exclude = ["* * * *"] }', "exclude[0]: 4 fields"),
        ('schedule = ["@daily", "@daily"]', "schedule[1]: is in the list twice"),
        # parameters
        ("params = { n = nan }", "params.n: must be a finite number"),
        ("params = { n = 9007199254740993 }", "too large"),
        ('params = { "a b" = 1 }', "`a b` is not a name"),
        ('params = { n = { type = "int" } }', '`int` is not one of…did you mean'),
        ('params = { n = { type = "integer", default = "5" } }', "n.default: must be an integer, not the text `5`"),
        ('params = { n = { type = "integer", default = true } }', "must be an integer, not true or false"),
        ('params = { n = { type = "date", default = "tomorrow" } }', "must be a date"),
        ('params = { n = { type = "integer", default = "{{ run.id }}" } }', "a reference gives text"),
        ('params = { n = "{{ params.m }}" }', "no parameter 'm'"),
        ('params = { n = { default = "c", choices = ["a", "b"] } }', "is not one of the parameter's choices"),
        ("params = { n = { choices = [1, true] } }", "params.n.choices[1]: must be an integer, not true or false"),
        ("params = { n = { choices = [] } }", "params.n.choices: is empty"),
        ('params = { n = { type = "list", choices = [1] } }', "a list has no choices"),
        ("params = { n = { required = true } }", "a parameter without `default` is required"),
        ("params = { a-b = 1, a_b = 2 }", "would both be $JOBCTL_PARAM_A_B"),
    ],
)  # fmt: skip
def test_what_a_job_may_not_say(line: str, expected: str) -> None:
    found = errors(f'[jobs.a]\ncommand = "x"\n{line}')
    _one(found, expected)
    assert found[0].startswith("jobs.toml:3: job a, ")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ('""', "command: is empty"),
        ("[]", "command: is empty"),
        ('[""]', "command[0]: is empty"),
        ('["x", 5]', "command[1]: must be text, not an integer"),
        ('["x", "\\u0000"]', "command[1]: holds a NUL"),
        ('"\\u0000"', "command: holds a NUL"),
        ("true", "command: must be text or a list of texts, not true or false"),
        (f'["x", "{"y" * 131_072}"]', "command[1]: is longer than 128 KiB"),
        (f'["x", "{"ü" * 65_536}"]', "command[1]: is longer than 128 KiB"),
        (f'"{"y" * 131_072}"', "command: is longer than 128 KiB"),
        ('["x", "{{ params.y }}"]', "command[1]: {{ params.y }}: the job has no parameter 'y'"),
        ('["x", "{{ item }}"]', "command[1]: {{ item }}: there is no item"),
        ('["x", "{{ steps.main.stdout }}"]', "step main may not have ended"),
        ('["x", "{{.State}}"]', "command[1]: {{ .State }} is no reference…nothing in it is replaced"),
        ('["x", "{{ params.y"]', "command[1]: has `{{` that begins no reference"),
    ],
)
def test_what_is_no_command(command: str, expected: str) -> None:
    _one(errors(f"[jobs.a]\ncommand = {command}"), expected)


def test_the_longest_argument_and_variable_that_the_system_takes() -> None:
    longest = "y" * (128 * 1024 - 1)
    assert job(f'[jobs.a]\ncommand = ["x", "{longest}"]').steps[0].command == ("x", longest)
    assert job(f'[jobs.a]\ncommand = "x"\nenv.A = "{longest[2:]}"').env == {"A": longest[2:]}
    _one(errors(f'[jobs.a]\ncommand = "x"\nenv.A = "{longest[1:]}"'), "env.A: is longer than 128 KiB")


STEPS = """
[jobs.child]
params = {{ n = {{ type = "integer" }}, c = {{ default = "a", choices = ["a", "b"] }} }}
command = "x"
[jobs.a]
params = {{ files = [], text = "", n = 1 }}
[[jobs.a.steps]]
name = "one"
command = "x"
[[jobs.a.steps]]
name = "clean"
when = "failure"
command = "x"
[[jobs.a.steps]]
name = "two"
{}
[[jobs.a.steps]]
name = "three"
command = "x"
"""


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # exactly one of
        ("", "needs one of `command`, `sleep`, `sleep_until`, `signal`, `approval`, `http`, `job`"),
        ('command = "x"\nsleep = "5s"', "sleep: `command` and `sleep` exclude each other"),
        ('run = "x"\ncommand = "x"', "run: there is no key `run` here | here it is `command`"),
        ('command = "x"\noverlap = "skip"', "`overlap` belongs to the job"),
        ('command = "x"\nstep_timeout = "5s"', "in a step it is `timeout`"),
        ('command = "x"\nstart_to_close = "5s"', "it stands inside `timeout`"),
        ('command = "x"\nrollback = "y"', "here it is `compensate`"),
        # keys that mean nothing there
        ('sleep = "5s"\npoll = { interval = "1s" }', "poll: means nothing next to `sleep` | it goes with `command`"),
        ('sleep = "5s"\nretry = 3', "retry: means nothing next to `sleep`"),
        ('sleep = "5s"\ntimeout = "5s"', "timeout: means nothing next to `sleep`"),
        ('sleep = "5s"\ncompensate = "x"', "compensate: means nothing next to `sleep`"),
        ('sleep = "5s"\nenv = { A = "1" }', "env: means nothing next to `sleep`"),
        ('sleep = "5s"\nforeach = []', "foreach: means nothing next to `sleep`"),
        ('signal = "go"\nretry = 3', "retry: means nothing next to `signal`"),
        ('signal = "go"\ntimeout = { start_to_close = "5s" }', "timeout: a `signal` step has one duration"),
        ('signal = "go"\non_timeout = "fail"', "on_timeout: means nothing without `timeout`"),
        ('command = "x"\non_timeout = "fail"', "on_timeout: means nothing next to `command`"),
        ('command = "x"\nparams = {}', "params: means nothing next to `command`"),
        ('command = "x"\non_parent_close = "cancel"', "on_parent_close: means nothing next to `command`"),
        ('command = "x"\nmax_parallel = 2', "max_parallel: means nothing without `foreach`"),
        ('command = "x"\nmax_parallel = 2\nforeach = { items = [], max_parallel = 3 }', "stands here and in `foreach`"),
        # values
        ('sleep = "0s"', "sleep: must be longer than nothing"),
        ("sleep = 5", 'write "5s"'),
        ('sleep_until = "tomorrow"', "sleep_until: \"tomorrow\" is not date, time and offset"),
        ("sleep_until = 2026-01-01T00:00:00", "add the offset"),
        ('sleep_until = "{{ params.nope }}"', "no parameter 'nope'"),
        ('signal = "a b"', "`a b` is not a name"),
        ('approval = ""', "approval: is empty"),
        ('approval = "{{ params.text }}?"', "approval: references are not replaced here"),
        ('command = "x"\npoll = {}', "poll: needs a `interval`"),
        ('command = "x"\npoll = { interval = "0s" }', "poll.interval: must be longer"),
        ('command = "x"\npoll = { interval = "5s", maximum_interval = "1s" }', "poll.maximum_interval: is shorter"),
        ('command = "x"\ntimeout = 5', 'timeout: must be a duration such as "30s" or a table'),
        ('command = "x"\ntimeout = { heartbeat = "0s" }', "timeout.heartbeat: must be longer"),
        ('command = "x"\nwhen = "failed"', "`failed` is not one of…did you mean"),
        ('command = "x"\nonly_if = ""', "only_if: is empty"),
        ('command = "x"\ncompensate = { retry = 3 }', "compensate: needs a `command`"),
        ('command = "x"\ncompensate = ["x", "{{ steps.three.stdout }}"]', "compensate[1]: …step three may not"),
        # needs
        ('command = "x"\nneeds = ["oen"]', "needs[0]: there is no step oen in this job | did you mean `one`?"),
        ('command = "x"\nneeds = ["two"]', "needs[0]: a step cannot wait for itself"),
        ('command = "x"\nneeds = ["one", "one"]', "needs[1]: one is named twice"),
        ('command = "x"\nneeds = "one"', "needs: must be a list, not text | put it in brackets"),
        ('command = "x"\nneeds = ["three"]', "these steps wait for each other: two -> three -> two"),
        ('command = "x"\nneeds = ["clean"]', 'clean has when = "failure"'),
        # references
        ('command = ["x", "{{ steps.three.stdout }}"]', 'add "three" to the `needs`'),
        ('command = ["x", "{{ steps.clean.stdout }}"]', "step clean may not have ended"),
        ('command = ["x", "{{ steps.thre.stdout }}"]', "no step 'thre'"),
        ('command = "x"\nneeds = []\nenv = { A = "{{ steps.one.stdout }}" }', "env.A: …step one may not have"),
        ('command = "x"\ncwd = "{{ item }}"', "no item without `foreach`"),
        ('command = ["x", "{{ item.b }}"]\nforeach = [{ a = 1 }]', "not every item has a key 'b'"),
        ('command = ["x", "{{ item.b }}"]\nforeach = [{ b = 1 }, 2]', "not every item has a key 'b'"),
        ('command = "x"\nforeach = "{{ params.nope }}"', "foreach: {{ params.nope }}"),
        ('command = "x"\nforeach = "{{ item }}"', "foreach: {{ item }}: there is no item"),
        ('command = "x"\nforeach = "a b"', "foreach: must be a list, or one reference to a list"),
        ('command = "x"\nforeach = "{{ params.files }}x"', "must be a list, or one reference"),
        ('command = "x"\nforeach = "{{ run.id }}"', "{{ run.id }} is not a list"),
        ('command = "x"\nforeach = "{{ params.n }}"', "parameter n is an integer, not a list"),
        (f'command = "x"\nforeach = [{"1," * 10_001}]', "has 10,001 items, 10,000 is the limit"),
        ('command = "x"\nforeach = ["a", "{{ params.n }}"]', "foreach[1]: references are not replaced in the items"),
        ('command = "x"\nforeach = { items = [{ a = ["{{ item }}"] }] }', "foreach.items[0].a[0]: references are not"),
        ('command = "x"\nforeach = { items = [inf] }', "foreach.items[0]: must be a finite number"),
        # children
        ('job = "chidl"', "job: there is no job chidl in this file | did you mean `child`?"),
        ('job = "child"', "params: job child needs the parameter n"),
        ('job = "child"\nparams = { n = 1, m = 2 }', "params.m: job child has no parameter m"),
        ('job = "child"\nparams = { n = "1" }', "params.n: must be an integer, not the text `1`"),
        ('job = "child"\nparams = { n = 1, c = "z" }', "params.c: is not one of the parameter's choices"),
        ('job = "child"\nparams = { n = "{{ steps.three.stdout }}" }', "params.n: …three may not have ended"),
        ('job = "a"', "these jobs start each other without end: a -> a"),
    ],
)  # fmt: skip
def test_what_a_step_may_not_say(lines: str, expected: str) -> None:
    found = errors(STEPS.format(lines))
    _one(found, expected)
    assert "job a, step two" in found[0]


@pytest.mark.parametrize(
    "lines",
    [
        'sleep = "5s"\nonly_if = "test -e x"\nenv = { A = "1" }',
        'command = ["x", "{{ steps.one.stdout }}", "{{ steps.one.outputs.k }}"]',
        'command = "x"\nneeds = ["one"]\nwhen = "always"',
        'command = "x"\nneeds = ["one", "clean"]\nwhen = "failure"',
        'command = ["x", "{{ item.b }}"]\nforeach = [{ b = 1 }, { b = 2, c = 3 }]',
        'command = "x"\nforeach = { items = "{{ steps.one.outputs.files }}", max_parallel = 2, fail_fast = true }',
        'command = "x"\nforeach = "{{ params.text }}"',  # may hold JSON
        'approval = "{{.Name}}?"\nforeach = "{{ params.files }}"',
        'job = "child"\nparams = { n = "{{ item.n }}" }\nforeach = [{ n = 1 }]',
        'sleep_until = "{{ steps.one.outputs.at }}"',
        'command = "x"\ncompensate = ["x", "{{ steps.two.outputs.id }}", "{{ steps.one.stdout }}"]',
        "command = '''docker ps --format '{{.Names}}' '''",
    ],
)
def test_what_a_step_may_say(lines: str) -> None:
    valid(STEPS.format(lines))


def test_what_is_needed_has_ended_also_when_it_is_needed_by_others_only() -> None:
    chain = "".join(f'[[jobs.a.steps]]\nname = "s{i}"\ncommand = ["x"]\n' for i in range(2_000))
    assert len(steps(chain + '[[jobs.a.steps]]\nname = "end"\ncommand = ["x", "{{ steps.s0.stdout }}"]')) == 2_001


def test_step_names_are_unique() -> None:
    step = '[[jobs.a.steps]]\nname = "one"\ncommand = "x"\n'
    _one(errors(step + step), "jobs.toml:5: job a, step one, name: there is another step one")


def test_a_step_without_a_name_is_called_by_its_number() -> None:
    text = '[[jobs.a.steps]]\nname = "one"\ncommand = "x"\n[[jobs.a.steps]]\nsleep = 1'
    assert [error.partition(" | ")[0] for error in errors(text)] == [
        "jobs.toml:4: job a, step #2: needs a `name`",
        'jobs.toml:5: job a, step #2, sleep: must be a duration such as "30s", not an integer',
    ]


def test_every_cycle_of_a_job_is_named() -> None:
    text = "".join(
        f'[[jobs.a.steps]]\nname = "{name}"\ncommand = "x"\nneeds = ["{need}"]\n'
        for name, need in ["ab", "ba", "cd", "dc", "ea"]
    )
    assert [error.partition(" | ")[0] for error in errors(text)] == [
        "jobs.toml:4: job a, step a, needs: these steps wait for each other: a -> b -> a",
        "jobs.toml:12: job a, step c, needs: these steps wait for each other: c -> d -> c",
    ]


def _chain_of_jobs(length: int, last: str = 'command = "x"') -> str:
    jobs = [f'[jobs.j{i}]\nsteps = [{{ name = "s", job = "j{i + 1}" }}]\n' for i in range(1, length)]
    return "".join(jobs) + f"[jobs.j{length}]\n{last}\n"


def test_jobs_start_jobs_sixteen_deep() -> None:
    assert len(valid(_chain_of_jobs(16)).jobs) == 16
    _one(errors(_chain_of_jobs(17)), "jobs.toml:2: job j1, step s, job: jobs start jobs more than 16 deep here")
    _one(errors(_chain_of_jobs(3_000)), "more than 16 deep")


def test_jobs_that_start_each_other() -> None:
    text = _chain_of_jobs(3, 'steps = [{ name = "s", job = "j1" }]')
    _one(errors(text), "job j1, step s, job: these jobs start each other without end: j1 -> j2 -> j3 -> j1")


@pytest.mark.parametrize(
    ("last", "queue", "found"),
    [
        pytest.param("q", "concurrency = 1", ["j3 waits for a place in the queue q", "j1 -> j2 -> j3"], id="far away"),
        pytest.param("q", "concurrency = 9", ["j3 waits for a place in the queue q"], id="until nine parents wait"),
        pytest.param("q", "", [], id="a queue without a limit"),
        pytest.param("other", "concurrency = 1", [], id="another queue"),
    ],
)
def test_no_child_waits_for_a_place_that_its_parents_keep(last: str, queue: str, found: list[str]) -> None:
    text = _chain_of_jobs(3, f'command = "x"\nqueue = "{last}"').replace("[jobs.j1]", '[jobs.j1]\nqueue = "q"')
    text += f"[queues.q]\n{queue}\n[queues.other]\nconcurrency = 1\n"
    if not found:
        assert len(valid(text).jobs) == 3
        return
    for part in ("job j1, step s, job: ", *found):
        _one(errors(text), part)


def test_command_and_steps_exclude_each_other() -> None:
    text = '[jobs.a]\ncommand = "x"\n[[jobs.a.steps]]\nname = "s"\ncommand = "y"'
    _one(errors(text), "jobs.toml:3: job a, steps: `command` and `steps` exclude each other")


def test_what_jobs_inherit_is_reported_once_where_it_stands() -> None:
    jobs = '[jobs.a]\ncommand = "x"\n[jobs.b]\ncommand = "x"\n'
    _one(errors(f'[defaults]\nretry = {{ initial_interval = "1m", maximum_interval = "1s" }}\n{jobs}'),
         "jobs.toml:2: defaults.retry.maximum_interval: is shorter")  # fmt: skip
    _one(errors(f'[defaults]\nenv = {{ A = "{{{{ nope }}}}" }}\n{jobs}'), "jobs.toml:2: defaults.env.A: has `{{ … }}`")
    assert errors(f'[defaults]\nenv = {{ A = "{{{{ params.p }}}}" }}\n{jobs}params = {{ p = 1 }}') == [
        "jobs.toml:2: defaults.env.A: {{ params.p }}: the job has no parameter 'p' (job a) | there are none"
    ]


@pytest.mark.parametrize(
    "text",
    [
        '[jobs.a]\ncommand = "x"\nenv = { TOKEN = 8273645 }',
        '[jobs.a]\ncommand = "x"\nenv = { TOKEN = "8273645\\u0000" }',
        '[jobs.a]\ncommand = "x"\nenv = { TOKEN = "8273645 {{ x" }',
        '[jobs.a]\ncommand = "x"\nenv = { TOKEN = "{{ 8273645 }}" }',
        '[jobs.a]\ncommand = "x"\nenv = { TOKEN = "8273645 {{ params.y }}" }',
        '[jobs.a]\ncommand = "x"\nenv = "8273645"',
        '[jobs.a]\ncommand = "x"\ntoken = "8273645"',
        '[jobs.a]\ncommand = "x"\ntoken = { a = "8273645" }',
        '[jobs.a]\ncommand = "x"\n[defaults.env]\nA = [8273645]',
        'token = "8273645"\n[jobs.a]\ncommand = "x"',
        '[[jobs.a.steps]]\nname = "s"\ncommand = "x"\nenv = { A = 8273645 }',
        '[jobs.a]\ncommand = "x"\npassword = 8273645\npassword = 8273645',
    ],
)
def test_values_of_variables_and_unknown_keys_are_not_repeated(text: str) -> None:
    found = errors(text)
    assert found
    assert not any("8273645" in error for error in found)


@pytest.mark.parametrize("value", ["[" * 40 + "]" * 40, "{ a = " * 40 + "1" + " }" * 40])
def test_values_of_any_shape_have_a_depth(value: str) -> None:
    text = f'[[jobs.a.steps]]\nname = "s"\ncommand = "x"\nforeach = [{value}]'
    _one(errors(text), "nested too deeply")


def test_hostile_bytes_are_one_problem_with_the_file() -> None:
    found, problems = definition.parse(b"\xff", file="x.toml", folder="/")
    assert found is None
    assert [str(problem) for problem in problems] == ["x.toml:1: is not UTF-8: byte 0xff"]


# --- warnings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('command = "x {{ params.p-q }}"', 'command: {{ params.p-q }} is not replaced… | write "$JOBCTL_PARAM_P_Q"'),
        ('command = "x"\nonly_if = "test {{ run.id }}"', 'only_if: {{ run.id }} is not replaced…"$JOBCTL_RUN"'),
        ('command = "x"\ncompensate = "{{ run.job }}"', 'compensate: {{ run.job }}'),
        ('command = "x {{ steps.s.stdout }}"', 'add env = { VALUE = "{{ steps.s.stdout }}" } and write "$VALUE"'),
        ('command = "x"\nretry = 0', "retry: 0 attempts means as many as it takes"),
    ],
)  # fmt: skip
def test_warnings(lines: str, expected: str) -> None:
    _one(warnings(f'[jobs.a]\n[[jobs.a.steps]]\nname = "s"\n{lines}'), expected)


def test_a_notify_command_is_a_text_command_too() -> None:
    _one(warnings('[jobs.a]\ncommand = "x"\nnotify = { command = "mail {{ run.id }}" }'), 'write "$JOBCTL_RUN"')


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["a", "b needs = []", 'end when = "always"'], ["waits only for b, not for a | …needs = [\"a\", \"b\"]"]),
        (["a", "b needs = []", 'c needs = ["a", "b"]', 'end when = "always"'], []),
        (["a", "b", 'end when = "always"'], []),
        (["a", "b needs = []", 'end when = "always"\nneeds = ["b"]'], []),
        (["a", "b needs = []", 'end when = "failure"'], []),
        (["a", "b needs = []", "c needs = []", 'end when = "always"'], ["waits only for c, not for a and 1 more"]),
        (["a", 'b when = "always"', "c"], []),
    ],
)  # fmt: skip
def test_a_last_step_that_does_not_wait_for_all(lines: list[str], expected: list[str]) -> None:
    text = "".join(
        f'[[jobs.a.steps]]\nname = "{line.partition(" ")[0]}"\ncommand = "x"\n{line.partition(" ")[2]}\n'
        for line in lines
    )
    found = warnings(text)
    assert len(found) == len(expected)
    for warning, parts in zip(found, expected, strict=True):
        _one([warning], parts)

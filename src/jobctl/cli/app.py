"""What can be said on the command line: every command's name, arguments, options and help, each declared once.

Nothing is done here. A declaration's body is its help; what the command does is `main` in
`cli/commands/<command>.py`. Typer is slow to import, so ordinary calls never come here: `python -m
jobctl.cli.interface` writes what is declared as a table (cli/_interface.py), cli/argv.py reads argv with it, and only
what it does not understand is parsed, and refused, here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import jobctl
from jobctl.core.definition.suggest import closest
from jobctl.core.errors import UsageError
from jobctl.core.model import OverlapPolicy, RunStatus

if TYPE_CHECKING:
    from jobctl.cli.argv import Call

GLOBAL_HELP = "Global options work here too: jobctl --help lists them."


class _Command(TyperCommand):
    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """`[OPTIONS] JOB [STEP]`: required arguments bare, others in brackets."""
        arguments = [p for p in self.get_params(ctx) if p.param_type_name == "argument"]
        return ["[OPTIONS]", *(str(p.metavar) if p.required else f"[{p.metavar}]" for p in arguments)]


def _understood(call: tuple[str, dict[str, Any]], **flags: Any) -> Call:
    command, values = call
    return command, {**flags, "file": list(flags["file"])}, values


app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    suggest_commands=False,
    result_callback=_understood,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 80, "max_content_width": 80},
    epilog="Start here: `jobctl init` writes a jobs.toml, `jobctl run hello` runs it.",
)


def command(function: Callable[..., None], *, to: typer.Typer = app, group: str = "") -> Callable[..., None]:
    """Declare a command. `run` is done by cli/commands/run.py; with group "schedule", `schedule_next` is the command
    `next` in it, and done by cli/commands/schedule_next.py."""
    name = function.__name__.rstrip("_").removeprefix(f"{group}_").replace("_", "-")
    path = f"{group} {name}".strip()

    @wraps(function)
    def call(**values: Any) -> tuple[str, dict[str, Any]]:
        return path, values

    to.command(name, cls=_Command, epilog=GLOBAL_HELP)(call)
    return function


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"jobctl {jobctl.__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    file: Annotated[
        list[str],
        typer.Option(
            "-f",
            "--file",
            metavar="FILE",
            default_factory=list,
            show_default=False,
            help="A definitions file; may be given several times. Without it: ./jobs.toml, then the user's config"
            " folder, then /etc/jobctl.",
        ),
    ],
    state_dir: Annotated[
        str | None, typer.Option("--state-dir", metavar="DIR", help="Where runs are recorded.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say only what went wrong.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")] = False,
    color: Annotated[
        str | None,
        typer.Option(
            "--color",
            click_type=typer.main.TyperChoice(["auto", "always", "never"]),
            metavar="auto|always|never",
            help="Colour in the output. Without it: on a terminal, unless NO_COLOR is set.",
        ),
    ] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask anything.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, expose_value=False, callback=_version, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Durable jobs from one TOML file: runs that finish, whatever is killed."""


JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's name.")]
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's id, a unique beginning of one, or a job's name for its latest run."),
]
RunsArgument = Annotated[
    list[str],
    typer.Argument(metavar="RUN...", help="Run ids, unique beginnings of them, or jobs' names for their latest runs."),
]
ReasonOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Kept in the run's history.")]
DetachOption = Annotated[
    bool,
    typer.Option("--detach", help="Hand the run to the daemon, or to the next one; print its id and end."),
]
RequireDaemonOption = Annotated[
    bool, typer.Option("--require-daemon", help="Record nothing when no daemon lives: exit code 1.")
]
StartWithinOption = Annotated[
    str | None,
    typer.Option(
        "--start-within",
        metavar="DURATION",
        help="When nobody has begun it by then, it is canceled. Without it: as the job says.",
    ),
]


@command
def init(
    path: Annotated[
        str, typer.Argument(metavar="PATH", show_default=False, help="The file to write. Default: jobs.toml.")
    ] = "jobs.toml",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if there is one.")] = False,
) -> None:
    """Write a small commented jobs.toml to start from."""


@command
def run(
    job: JobArgument,
    params: Annotated[
        list[str],
        typer.Option(
            "-p",
            "--param",
            metavar="K=V",
            default_factory=list,
            show_default=False,
            help="A parameter of the run; may be given several times.",
        ),
    ],
    wait: Annotated[
        str | None,
        typer.Option("--wait", metavar="DURATION", help="Wait that long (20s, 5m), then leave the run to the daemon."),
    ] = None,
    detach: DetachOption = False,
    require_daemon: RequireDaemonOption = False,
    start_within: StartWithinOption = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="One run for it: where there is one, that run is the answer."),
    ] = None,
    from_step: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="With --like: do this step, and what needs it, anew."),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option("--like", metavar="RUN", help="With --from: reuse the results and parameters of this run."),
    ] = None,
) -> None:
    """Run a job here, in the foreground.

    Ctrl-C cancels it gracefully; a second one stops waiting and kills. The exit code is the run's: 0 succeeded,
    1 failed, 124 timed out, 130 canceled, 137 terminated; 75 when --wait ended first.
    A run for the daemon is recorded also while none lives.
    """


@command
def status(
    target: Annotated[str | None, typer.Argument(metavar="RUN|JOB", help="A run, or a job for its latest run.")] = None,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="End with the run's exit code, as `run` would.")
    ] = False,
) -> None:
    """Show what runs, or one run in detail."""


@command
def why(run: RunArgument) -> None:
    """Say what a run waits for, and what would move it on."""


@command
def history(
    target: Annotated[
        str | None, typer.Argument(metavar="JOB|RUN", help="A job for its runs, a run for its events.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="At most so many.")] = 20,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only from then on: a time, or how long ago (2h, 7d).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only before then: a time, or how long ago.")
    ] = None,
    status: Annotated[
        list[str],
        typer.Option(
            "--status",
            metavar="STATUS",
            click_type=typer.main.TyperChoice([s.value for s in RunStatus]),
            default_factory=list,
            show_default=False,
            help=f"Only runs with this status: {', '.join(RunStatus)}. May be given several times.",
        ),
    ],
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only jobs with this tag.")] = None,
) -> None:
    """List past runs, newest first, or the events of one run."""


@command
def logs(
    run: RunArgument,
    step: Annotated[str | None, typer.Argument(metavar="STEP", help="Only this step's output.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run ends.")] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", help="This attempt instead of the last one.")
    ] = None,
    tail: Annotated[int | None, typer.Option("--tail", metavar="N", help="Only the last N lines.")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="The bytes as they were written, control sequences included.")
    ] = False,
) -> None:
    """Print a run's output.

    After `logs`, -f means --follow; definitions files are named with --file, or with -f before `logs`.
    """


@command
def resume(
    run: RunArgument,
    from_step: Annotated[
        str | None, typer.Option("--from", metavar="STEP", help="Also redo this step and what needs it.")
    ] = None,
    updated: Annotated[bool, typer.Option("--updated", help="Take the definition as the file has it now.")] = False,
    detach: DetachOption = False,
    require_daemon: RequireDaemonOption = False,
) -> None:
    """Take up a paused, interrupted or unsuccessful run. Finished steps keep their results."""


@command
def pause(runs: RunsArgument, reason: ReasonOption = None) -> None:
    """Start no new attempt of these runs until `resume`."""


@command
def retry_now(
    run: RunArgument,
    step: Annotated[
        str | None, typer.Argument(metavar="STEP", help="A step, or an item: STEP[3]. Without it, all of the run.")
    ] = None,
    reason: ReasonOption = None,
) -> None:
    """End a back-off, a sleep or the wait of a poll: it goes on now."""


@command
def cancel(runs: RunsArgument, reason: ReasonOption = None) -> None:
    """Stop runs gracefully: ask, compensate, clean up."""


@command
def terminate(runs: RunsArgument, reason: ReasonOption = None) -> None:
    """Kill runs: nothing else of them runs, no compensation either."""


@command
def signal(
    run: RunArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal's name.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="JSON", help="What it carries; an object becomes outputs.")
    ] = None,
) -> None:
    """Send a run the message that one of its steps waits for.

    It is kept until a step waits for it. In a run that has a command, any name is taken: a durable script may come to
    wait for it (`jobctl wait-signal`).
    """


_ApprovalStep = Annotated[str | None, typer.Argument(metavar="STEP", help="Which one, where several wait.")]
_Comment = Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="Kept in the run's history.")]


@command
def approve(run: RunArgument, step: _ApprovalStep = None, comment: _Comment = None) -> None:
    """Answer yes to the question that a run has for a person."""


@command
def reject(run: RunArgument, step: _ApprovalStep = None, comment: _Comment = None) -> None:
    """Answer no: the step fails, without retry."""


@command
def wait(
    runs: RunsArgument,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="Wait at most that long (20s, 5m).")
    ] = None,
) -> None:
    """Wait until runs end, whatever their end."""


@command
def daemon(
    once: Annotated[
        bool, typer.Option("--once", help="Do what is due, see it through, and end: for those who keep their cron.")
    ] = False,
    drain: Annotated[
        str | None,
        typer.Option(
            "--drain",
            metavar="DURATION",
            help="When stopped: wait so long for running commands to end. Without it they run on, for the next daemon.",
        ),
    ] = None,
    stop_commands: Annotated[
        bool,
        typer.Option(
            "--stop-commands",
            help="When stopped: ask running commands to end, for nothing outlives the daemon here. So as PID 1.",
        ),
    ] = False,
    max_concurrent_runs: Annotated[
        int | None, typer.Option("--max-concurrent-runs", metavar="N", help="At most so many runs under way at once.")
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(
            "--log-format",
            click_type=typer.main.TyperChoice(["text", "json"]),
            metavar="text|json",
            help="How the daemon tells what it does: lines, or one JSON object a line.",
        ),
    ] = None,
    print_unit: Annotated[
        bool, typer.Option("--print-unit", help="Print a systemd unit for this installation.")
    ] = False,
    user: Annotated[bool, typer.Option("--user", help="With --print-unit: for the user's own systemd.")] = False,
) -> None:
    """Run schedules, queued runs, retries and recovery until told to stop."""


schedule = typer.Typer(rich_markup_mode=None)
app.add_typer(schedule, name="schedule", help="When jobs run by themselves: list, pause, trigger, backfill.")
scheduled = partial(command, to=schedule, group="schedule")

JobsArgument = Annotated[
    list[str],
    typer.Argument(metavar="JOB...", default_factory=list, show_default=False, help="Jobs' names. Default: all."),
]
ScheduledJobsArgument = Annotated[list[str], typer.Argument(metavar="JOB...", help="Jobs' names.")]
ParamsOption = Annotated[
    list[str],
    typer.Option(
        "-p",
        "--param",
        metavar="K=V",
        default_factory=list,
        show_default=False,
        help="A parameter of the runs; may be given several times.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@scheduled
def schedule_list(jobs: JobsArgument) -> None:
    """List schedules, their next and last fire times, what is paused."""


@scheduled
def schedule_next(
    jobs: JobsArgument,
    count: Annotated[int, typer.Option("-n", "--count", metavar="N", help="So many times of each schedule.")] = 10,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="From then on: a time, a day, or how long ago. Default: now."),
    ] = None,
) -> None:
    """Show when schedules fire next, in local time and UTC."""


@scheduled
def schedule_pause(
    jobs: ScheduledJobsArgument,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Shown until they go on.")] = None,
) -> None:
    """Let schedules start no runs until `schedule resume`.

    Fire times that come meanwhile are passed over, not caught up. Runs go on.
    """


@scheduled
def schedule_resume(jobs: ScheduledJobsArgument) -> None:
    """Let paused schedules fire again, from now on."""


@scheduled
def schedule_trigger(
    job: JobArgument,
    params: ParamsOption,
    require_daemon: RequireDaemonOption = False,
    start_within: StartWithinOption = None,
) -> None:
    """Start a run now, in the daemon, as if the schedule fired.

    The job's overlap policy counts: when it says that no run starts, that is said and the exit code is 1.
    """


@scheduled
def schedule_backfill(
    job: JobArgument,
    params: ParamsOption,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="The first moment: a time, a day (from its beginning), or how long ago."
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="The last moment, in the same way. Default: now.")
    ] = None,
    overlap: Annotated[
        str,
        typer.Option(
            "--overlap",
            click_type=typer.main.TyperChoice([OverlapPolicy.BUFFER_ALL.value, OverlapPolicy.ALLOW_ALL.value]),
            metavar="buffer_all|allow_all",
            help="One run after another, or all at once.",
        ),
    ] = OverlapPolicy.BUFFER_ALL.value,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Do nothing when it would be more runs.")] = 10_000,
    dry_run: DryRunOption = False,
) -> None:
    """Queue a run for each fire time of the past, oldest first."""


@command
def prune(
    jobs: JobsArgument,
    keep_runs: Annotated[
        int | None, typer.Option("--keep-runs", metavar="N", help="Keep the newest N runs of each job.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="DURATION", help="Remove what ended so long ago (90d).")
    ] = None,
    dry_run: DryRunOption = False,
    trust_clock: Annotated[
        bool, typer.Option("--trust-clock", help="Measure age by the clock, though it is far ahead of all records.")
    ] = False,
) -> None:
    """Remove old runs, and what crashes left behind.

    Without --keep-runs and --older-than, each job's `keep` says what is old. A run that is not over is never touched.
    """


@command
def list_() -> None:
    """List the jobs that are defined."""


@command
def show(job: JobArgument) -> None:
    """Show a job as jobctl understands it, defaults included."""


@command
def validate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            default_factory=list,
            show_default=False,
            help="The files to check, - for standard input. Default: those that would be used.",
        ),
    ],
) -> None:
    """Check definitions files and print every problem."""


@command
def doctor() -> None:
    """Check this installation: versions, folders, database, leftovers."""


@command
def completion(
    shell: Annotated[
        str,
        typer.Argument(
            metavar="bash|zsh|fish", click_type=typer.main.TyperChoice(["bash", "zsh", "fish"]), help="The shell."
        ),
    ],
) -> None:
    """Print the completion script for a shell."""


@command
def schema() -> None:
    """Print the JSON schema of jobs.toml, for editors."""


@command
def step(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the record calls it; may come several times.")],
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="What is run, and its arguments.")],
) -> None:
    """In a step's command: run something once, whatever happens to the script.

    When the script is run again, its recorded output and exit code come back instead. Calls must come in the same
    order each time, one after another. What failed is run again, unless the script went on after it.
    """


@command
def sleep(
    duration: Annotated[str, typer.Argument(metavar="DURATION", help="How long: 90s, 2h, 30d.")],
) -> None:
    """In a step's command: pause, with no process that waits.

    The script ends here, and is run again from its top when the time has come; what it did with `jobctl step` is not
    done again. Its processes get SIGTERM, and two seconds.
    """


@command
def sleep_until(
    time: Annotated[str, typer.Argument(metavar="TIME", help="When: 2026-12-24T18:00:00+01:00.")],
) -> None:
    """In a step's command: pause until then, as `sleep` does."""


@command
def wait_signal(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal's name.")],
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="End with exit code 124 after that long.")
    ] = None,
) -> None:
    """In a step's command: wait for `jobctl signal RUN NAME`, as `sleep` does.

    Prints what the signal carries, as JSON. One that came before is taken at once; each call takes one.
    """


@command
def heartbeat(
    cursor: Annotated[
        str | None, typer.Argument(metavar="CURSOR", help="How far it has come, for the next attempt's JOBCTL_CURSOR.")
    ] = None,
) -> None:
    """In a step's command: say that it is alive."""


@command
def output(
    values: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE...", help="`KEY -` takes the value from standard input.")
    ],
) -> None:
    """In a step's command: hand values on to later steps."""


@command
def fail(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Why.")],
    non_retryable: Annotated[bool, typer.Option("--non-retryable", help="No other attempt follows.")] = False,
    type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="As in a retry policy's non_retryable_types.")
    ] = None,
    retry_delay: Annotated[
        str | None, typer.Option("--retry-delay", metavar="DURATION", help="When the next attempt follows.")
    ] = None,
) -> None:
    """In a step's command: say why it fails. The exit code is 1; the script ends itself (set -e)."""


@command
def adopt(
    original_is_gone: Annotated[
        bool,
        typer.Option("--original-is-gone", help="It goes on as the one: open runs as after a crash, schedules too."),
    ] = False,
    as_copy: Annotated[
        bool,
        typer.Option("--as-copy", help="A store of its own: open runs end as terminated, schedules begin now."),
    ] = False,
) -> None:
    """Say what a state folder that is a copy is to be.

    Until then its schedules and its open runs stand still: they are those of the folder that it was copied from.
    """


import_app = typer.Typer(help="Take definitions over from other tools.")
app.add_typer(import_app, name="import")


def crontab(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE...",
            help="Crontabs, and folders of them; - for standard input. Without one: yours, as `crontab -l` lists it.",
        ),
    ] = None,
    dialect: Annotated[
        str,
        typer.Option(
            "--dialect",
            click_type=typer.main.TyperChoice(["debian", "cronie", "busybox", "supercronic"]),
            metavar="debian|cronie|busybox|supercronic",
            help="Whose cron reads it now: Debian's and Ubuntu's, cronie (Fedora, RHEL, Arch), BusyBox (Alpine,"
            " OpenWrt) or supercronic.",
        ),
    ] = "debian",
    user_field: Annotated[
        bool,
        typer.Option(
            "--user-field",
            help="A user stands in front of each command, as in /etc/crontab and /etc/cron.d: known by the path there.",
        ),
    ] = False,
    no_user_field: Annotated[
        bool, typer.Option("--no-user-field", help="None does, whatever path and words look like.")
    ] = False,
    sudo: Annotated[
        bool,
        typer.Option(
            "--sudo", help="Run the lines of other users through sudo; without it they come without a schedule."
        ),
    ] = False,
    tidy: Annotated[
        bool, typer.Option("--tidy", help="Write `cd FOLDER &&` as cwd, where that means the same.")
    ] = False,
    out: Annotated[
        str | None, typer.Option("-o", "--output", metavar="OUT", help="Write the jobs.toml there, not to stdout.")
    ] = None,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Add the jobs to OUT, whose text stays as it is; what it has already is left out."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT if it is there.")] = False,
) -> None:
    """Write a jobs.toml that does what a crontab does, or several of them.

    The report on stderr says of every line what became of it. Each job fires when its line did; nothing is started.
    A whole server: jobctl import crontab /etc/crontab /etc/cron.d /var/spool/cron/crontabs -o jobs.toml
    """


command(crontab, to=import_app, group="import")


def parse(args: list[str], to: typer.Typer = app) -> Call | int:
    """What argv asks for; an exit code when a help page or the version was asked for and has been printed.

    UsageError when it cannot be understood.
    """
    try:
        meant: Call | int = tree(to).main(args, prog_name="jobctl", standalone_mode=False)
    except typer.TyperException as error:
        raise _usage_error(error) from None
    return meant


def tree(of: typer.Typer = app) -> TyperGroup:
    """The commands as typer's objects, with the global options accepted at every level."""
    root = typer.main.get_group(of)
    for child in root.commands.values():
        _accept_globals(root, child)
    return root


def _accept_globals(root: TyperGroup, child: Any) -> None:
    taken = {name for param in child.params for name in param.opts}
    for param in root.params:
        twin: Any = copy.copy(param)
        twin.opts = [name for name in param.opts if name not in taken]
        twin.hidden = True  # one line at the page's end stands for all of them
        if twin.expose_value:
            twin.expose_value = False
            twin.callback = _merge
        child.params.append(twin)
    for grandchild in getattr(child, "commands", {}).values():
        _accept_globals(root, grandchild)


def _merge(ctx: typer.Context, param: Any, value: Any) -> None:
    """Said after the command: adds to what was said before it, or replaces it."""
    flags = ctx.find_root().params
    if param.multiple:
        flags[param.name] = [*flags[param.name], *value]
    elif value is not None and value is not False:
        flags[param.name] = value


def _usage_error(error: Any) -> UsageError:
    # "No such option: --jsn" and "No such command 'rnu'." become our two lines.
    text = str(error.format_message() if not getattr(error, "possibilities", None) else error.message)
    ctx = error.ctx
    where = ctx.command_path if ctx else "jobctl"
    if text == "Missing command.":
        return UsageError("no command given", hint=f"`{where} --help` lists the commands")
    guesses = list(getattr(error, "possibilities", None) or [])
    if text.startswith("No such command"):
        guesses = [closest(text.split("'")[1], ctx.command.commands)]
    elif text.startswith("Got unexpected extra argument"):
        text = "unexpected argument: " + text.rpartition("(")[2].rstrip(")")
        extra = text.partition(": ")[2].split()[0]
        if where == "jobctl run" and not extra.startswith("-"):
            job = ctx.params.get("job") or "JOB"
            given = extra if "=" in extra else f"NAME={extra}"
            hint = f"a parameter is given with -p: jobctl run {job} -p {given}; `{where} --help` tells how it is used"
            return UsageError(text, hint=hint)
    elif choices := getattr(getattr(getattr(error, "param", None), "type", None), "choices", None):
        value = text.partition(": '")[2].partition("'")[0]
        known = [str(choice) for choice in choices]
        other = _OTHER_WORDS.get(value.lower(), "")
        guesses = [other if other in known else closest(value.lower(), known)]
    guess = f"did you mean {guesses[0]}? " if guesses and guesses[0] else ""
    return UsageError(text[0].lower() + text[1:].rstrip("."), hint=f"{guess}`{where} --help` tells how it is used")


# What statuses are called elsewhere.
_OTHER_WORDS = {
    "broken": "failed", "error": "failed", "errored": "failed", "failure": "failed", "crashed": "failed",
    "ok": "succeeded", "done": "succeeded", "success": "succeeded", "completed": "succeeded", "finished": "succeeded",
    "cancelled": "canceled", "aborted": "canceled", "stopped": "canceled", "killed": "terminated",
    "timeout": "timed_out", "timedout": "timed_out", "waiting": "queued", "pending": "queued", "active": "running",
}  # fmt: skip

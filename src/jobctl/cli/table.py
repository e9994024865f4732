"""What can be said on the command line: one row a command, with its texts and an example. Written by hand; all that
knows commands reads it: argv.py for every call, pages.py for help, refusal.py for what is refused, commands/complete.py
for the shells.

Loaded by every call: imports nothing else. What a command does is `main` in cli/commands/<command>.py, which is handed
the values under the names that stand here.
"""

from __future__ import annotations

from jobctl.cli.row import Argument, Option, Row

# The headings of `jobctl --help`, in this order.
RUN = "Run jobs"
LOOK = "Look"
ACT = "Act on runs"
SCHEDULES = "Schedules"
INSIDE = "Inside of a step's command"
SET_UP = "Set up and look after"

# -- what several commands have -----------------------------------------------------------------------------------

HELP = Option("-h", "--help", kind="help", help="Show this message and exit.")

JOB = Argument("job", "JOB", "The job's name.")
JOBS = Argument("jobs", "JOB...", "Jobs' names. Default: all.", arity="any")
SCHEDULED_JOBS = Argument("jobs", "JOB...", "Jobs' names.", arity="many")
ONE_RUN = Argument("run", "RUN", "A run's id, a unique beginning of one, or a job's name for its latest run.")
RUNS = Argument(
    "runs", "RUN...", "Run ids, unique beginnings of them, or jobs' names for their latest runs.", arity="many"
)
APPROVAL = Argument("step", "STEP", "Which one, where several wait.", arity="optional")
SIGNAL = Argument("name", "NAME", "The signal's name.")

REASON = Option("--reason", metavar="TEXT", help="Kept in the run's history.")
COMMENT = Option("--comment", metavar="TEXT", help="Kept in the run's history.")
DETACH = Option("--detach", help="Hand the run to the daemon, or to the next one; print its id and end.")
REQUIRE_DAEMON = Option("--require-daemon", help="Record nothing when no daemon lives: exit code 1.")
START_WITHIN = Option(
    "--start-within",
    metavar="DURATION",
    help="When nobody has begun it by then, it is canceled. Without it: as the job says.",
)
PARAMS_OF_RUNS = Option(
    "-p",
    "--param",
    kind="list",
    metavar="K=V",
    into="params",
    help="A parameter of the runs; may be given several times.",
)
DRY_RUN = Option("--dry-run", help="Only say what would be done.")

# -- the rows -------------------------------------------------------------------------------------------------------

_ROWS = (
    Row(
        "",
        "",
        "Durable jobs from one TOML file: runs that finish, whatever is killed.",
        Option(
            "-f",
            "--file",
            kind="list",
            metavar="FILE",
            help="A definitions file; may be given several times. Without it: ./jobs.toml, then the user's config"
            " folder, then /etc/jobctl.",
        ),
        Option("--state-dir", metavar="DIR", help="Where runs are recorded."),
        Option("--json", help="Print one JSON document instead of text."),
        Option("-q", "--quiet", help="Say only what went wrong."),
        Option("-v", "--verbose", help="Say more."),
        Option(
            "--color",
            metavar="auto|always|never",
            choices=("auto", "always", "never"),
            help="Colour in the output. Without it: on a terminal, unless NO_COLOR is set.",
        ),
        Option("--no-input", help="Never ask anything."),
        Option("--version", kind="version", help="Print the version and end."),
        HELP,
        group=True,
    ),
    # -- Run jobs
    Row(
        "run",
        RUN,
        "Run a job here, in the foreground.",
        JOB,
        Option(
            "-p",
            "--param",
            kind="list",
            metavar="K=V",
            into="params",
            help="A parameter of the run; may be given several times.",
        ),
        Option("--wait", metavar="DURATION", help="Wait that long (20s, 5m), then leave the run to the daemon."),
        DETACH,
        REQUIRE_DAEMON,
        START_WITHIN,
        Option("--key", metavar="KEY", help="One run for it: where there is one, that run is the answer."),
        Option("--from", metavar="STEP", into="from_step", help="With --like: do this step, and what needs it, anew."),
        Option("--like", metavar="RUN", help="With --from: reuse the results and parameters of this run."),
        HELP,
        more="""
            Ctrl-C cancels it gracefully; a second one stops waiting and kills. The exit code is the run's: 0 succeeded,
            1 failed, 124 timed out, 130 canceled, 137 terminated; 75 when --wait ended first.
            A run for the daemon is recorded also while none lives.
            """,
        examples=(
            "jobctl run backup",
            "jobctl run backup -p day=2026-12-24 --wait 5m",
            "jobctl run backup --from verify --like backup-a1b2c3",
        ),
    ),
    Row(
        "daemon",
        RUN,
        "Run schedules, queued runs, retries and recovery until told to stop.",
        Option("--once", help="Do what is due, see it through, and end: for those who keep their cron."),
        Option(
            "--drain",
            metavar="DURATION",
            help="When stopped: wait so long for running commands to end. Without it they run on, for the next daemon.",
        ),
        Option(
            "--stop-commands",
            help="When stopped: ask running commands to end, for nothing outlives the daemon here. So as PID 1.",
        ),
        Option("--max-concurrent-runs", kind="integer", metavar="N", help="At most so many runs under way at once."),
        Option(
            "--log-format",
            metavar="text|json",
            choices=("text", "json"),
            help="How the daemon tells what it does: lines, or one JSON object a line.",
        ),
        Option("--print-unit", help="Print a systemd unit for this installation."),
        Option("--user", help="With --print-unit: for the user's own systemd."),
        HELP,
        examples=("jobctl daemon", "jobctl daemon --print-unit --user"),
    ),
    Row(
        "wait",
        RUN,
        "Wait until runs end, whatever their end.",
        RUNS,
        Option("--timeout", metavar="DURATION", help="Wait at most that long (20s, 5m)."),
        HELP,
        examples=("jobctl wait backup-a1b2c3 report --timeout 10m",),
    ),
    # -- Look
    Row(
        "status",
        LOOK,
        "Show what runs, or one run in detail.",
        Argument("target", "RUN|JOB", "A run, or a job for its latest run.", arity="optional"),
        Option("--exit-status", help="End with the run's exit code, as `run` would."),
        Option("--check", help="For monitors: say only what is wrong; exit code 1 when anything is."),
        Option(
            "--since", metavar="DURATION", help="With --check: how far back a missed fire time counts. Default: 24h."
        ),
        Option("--job", kind="list", metavar="JOB", into="jobs", help="With --check: only that job; several times."),
        Option("--tag", kind="list", metavar="TAG", into="tags", help="With --check: only jobs with that tag."),
        HELP,
        more="""
            --check looks for what is wrong: that no daemon lives, or that one stands still or cannot record or begin
            anything; that a job's last run failed (until its next one succeeds, or `jobctl ack` says that somebody
            knows); that a fire time was missed; that definitions cannot be used; and that one of these cannot be told.
            Nothing is written.
            """,
        examples=("jobctl status", "jobctl status backup", "jobctl status --check --since 2h --tag nightly"),
    ),
    Row(
        "why",
        LOOK,
        "Say what a run waits for, and what would move it on.",
        ONE_RUN,
        HELP,
        examples=("jobctl why backup",),
    ),
    Row(
        "history",
        LOOK,
        "List past runs, newest first, or the events of one run.",
        Argument("target", "JOB|RUN", "A job for its runs, a run for its events.", arity="optional"),
        Option("--limit", kind="integer", metavar="N", default=20, help="At most so many."),
        Option("--since", metavar="TIME", help="Only from then on: a time, or how long ago (2h, 7d)."),
        Option("--until", metavar="TIME", help="Only before then: a time, or how long ago."),
        Option(
            "--status",
            kind="list",
            metavar="STATUS",
            choices=("queued", "running", "paused", "succeeded", "failed", "canceled", "timed_out", "terminated"),
            help="Only runs with this status: queued, running, paused, succeeded, failed, canceled, timed_out,"
            " terminated. May be given several times.",
        ),
        Option("--tag", metavar="TAG", help="Only jobs with this tag."),
        HELP,
        examples=("jobctl history backup --since 7d --status failed", "jobctl history backup-a1b2c3"),
    ),
    Row(
        "logs",
        LOOK,
        "Print a run's output.",
        ONE_RUN,
        Argument("step", "STEP", "Only this step's output.", arity="optional"),
        Option("-f", "--follow", help="Go on until the run ends."),
        Option("--attempt", kind="integer", metavar="N", help="This attempt instead of the last one."),
        Option("--tail", kind="integer", metavar="N", help="Only the last N lines."),
        Option("--raw", help="The bytes as they were written, control sequences included."),
        HELP,
        more="After `logs`, -f means --follow; definitions files are named with --file, or with -f before `logs`.",
        examples=("jobctl logs backup --tail 20", "jobctl logs backup verify -f"),
    ),
    Row("list", LOOK, "List the jobs that are defined.", HELP, examples=("jobctl list",)),
    Row(
        "show",
        LOOK,
        "Show a job as jobctl understands it, defaults included.",
        JOB,
        HELP,
        examples=("jobctl show backup",),
    ),
    # -- Act on runs
    Row(
        "resume",
        ACT,
        "Take up a paused, interrupted or unsuccessful run. Finished steps keep their results.",
        ONE_RUN,
        Option("--from", metavar="STEP", into="from_step", help="Also redo this step and what needs it."),
        Option("--updated", help="Take the definition as the file has it now."),
        DETACH,
        REQUIRE_DAEMON,
        HELP,
        examples=("jobctl resume backup", "jobctl resume backup-a1b2c3 --from verify --updated"),
    ),
    Row(
        "pause",
        ACT,
        "Start no new attempt of these runs until `resume`.",
        RUNS,
        REASON,
        HELP,
        examples=("jobctl pause backup --reason 'the disk is being changed'",),
    ),
    Row(
        "retry-now",
        ACT,
        "End a back-off, a sleep or the wait of a poll: it goes on now.",
        ONE_RUN,
        Argument("step", "STEP", "A step, or an item: STEP[3]. Without it, all of the run.", arity="optional"),
        REASON,
        HELP,
        examples=("jobctl retry-now backup verify",),
    ),
    Row(
        "ack",
        ACT,
        "Say that somebody knows of a failed run.",
        RUNS,
        REASON,
        HELP,
        more="It stays failed, and is no news to `status --check` any more.",
        examples=("jobctl ack backup --reason 'the disk was full'",),
    ),
    Row(
        "cancel",
        ACT,
        "Stop runs gracefully: ask, compensate, clean up.",
        RUNS,
        REASON,
        HELP,
        examples=("jobctl cancel backup --reason 'wrong day'",),
    ),
    Row(
        "terminate",
        ACT,
        "Kill runs: nothing else of them runs, no compensation either.",
        RUNS,
        REASON,
        HELP,
        examples=("jobctl terminate backup-a1b2c3",),
    ),
    Row(
        "signal",
        ACT,
        "Send a run the message that one of its steps waits for.",
        ONE_RUN,
        SIGNAL,
        Option("--data", metavar="JSON", help="What it carries; an object becomes outputs."),
        HELP,
        more="""
            It is kept until a step waits for it. In a run that has a command, any name is taken: a durable script may
            come to wait for it (`jobctl wait-signal`).
            """,
        examples=("""jobctl signal order-a1b2c3 paid --data '{"amount": 12}'""",),
    ),
    Row(
        "approve",
        ACT,
        "Answer yes to the question that a run has for a person.",
        ONE_RUN,
        APPROVAL,
        COMMENT,
        HELP,
        examples=("jobctl approve release --comment 'looks good'",),
    ),
    Row(
        "reject",
        ACT,
        "Answer no: the step fails, without retry.",
        ONE_RUN,
        APPROVAL,
        COMMENT,
        HELP,
        examples=("jobctl reject release --comment 'not before Monday'",),
    ),
    # -- Schedules
    Row("schedule", "", "When jobs run by themselves: list, pause, trigger, backfill.", HELP, group=True),
    Row(
        "schedule list",
        SCHEDULES,
        "List schedules, their next and last fire times, what is paused.",
        JOBS,
        HELP,
        examples=("jobctl schedule list",),
    ),
    Row(
        "schedule next",
        SCHEDULES,
        "Show when schedules fire next, in local time and UTC.",
        JOBS,
        Option("-n", "--count", kind="integer", metavar="N", default=10, help="So many times of each schedule."),
        Option(
            "--from",
            metavar="TIME",
            into="start",
            help="From then on: a time, a day, or how long ago. Default: now.",
        ),
        HELP,
        examples=("jobctl schedule next backup -n 3", "jobctl schedule next --from 2026-12-24"),
    ),
    Row(
        "schedule pause",
        SCHEDULES,
        "Let schedules start no runs until `schedule resume`.",
        SCHEDULED_JOBS,
        Option("--reason", metavar="TEXT", help="Shown until they go on."),
        HELP,
        more="Fire times that come meanwhile are passed over, not caught up. Runs go on.",
        examples=("jobctl schedule pause backup report --reason holidays",),
    ),
    Row(
        "schedule resume",
        SCHEDULES,
        "Let paused schedules fire again, from now on.",
        SCHEDULED_JOBS,
        HELP,
        examples=("jobctl schedule resume backup",),
    ),
    Row(
        "schedule trigger",
        SCHEDULES,
        "Start a run now, in the daemon, as if the schedule fired.",
        JOB,
        PARAMS_OF_RUNS,
        REQUIRE_DAEMON,
        START_WITHIN,
        HELP,
        more="The job's overlap policy counts: when it says that no run starts, that is said and the exit code is 1.",
        examples=("jobctl schedule trigger backup",),
    ),
    Row(
        "schedule backfill",
        SCHEDULES,
        "Queue a run for each fire time of the past, oldest first.",
        JOB,
        PARAMS_OF_RUNS,
        Option(
            "--from",
            metavar="TIME",
            into="start",
            help="The first moment: a time, a day (from its beginning), or how long ago.",
        ),
        Option("--to", metavar="TIME", into="end", help="The last moment, in the same way. Default: now."),
        Option(
            "--overlap",
            metavar="buffer_all|allow_all",
            choices=("buffer_all", "allow_all"),
            default="buffer_all",
            help="One run after another, or all at once.",
        ),
        Option("--limit", kind="integer", metavar="N", default=10_000, help="Do nothing when it would be more runs."),
        DRY_RUN,
        HELP,
        examples=("jobctl schedule backfill report --from 2026-12-01 --to 2026-12-24 --dry-run",),
    ),
    # -- Inside of a step's command. In them runs are in loops: no settings are looked for.
    Row(
        "step",
        INSIDE,
        "In a step's command: run something once, whatever happens to the script.",
        Argument("name", "NAME", "What the record calls it; may come several times."),
        Argument("command", "-- COMMAND...", "What is run, and its arguments.", arity="many"),
        HELP,
        more="""
            When the script is run again, its recorded output and exit code come back instead. Calls must come in the
            same order each time, one after another. What failed is run again, unless the script went on after it.
            """,
        examples=("jobctl step charge -- ./charge --amount 12",),
        settings=False,
    ),
    Row(
        "sleep",
        INSIDE,
        "In a step's command: pause, with no process that waits.",
        Argument("duration", "DURATION", "How long: 90s, 2h, 30d."),
        HELP,
        more="""
            The script ends here, and is run again from its top when the time has come; what it did with `jobctl step`
            is not done again. Its processes get SIGTERM, and two seconds.
            """,
        examples=("jobctl sleep 30d",),
        settings=False,
    ),
    Row(
        "sleep-until",
        INSIDE,
        "In a step's command: pause until then, as `sleep` does.",
        Argument("time", "TIME", "When: 2026-12-24T18:00:00+01:00."),
        HELP,
        examples=("jobctl sleep-until 2026-12-24T18:00:00+01:00",),
        settings=False,
    ),
    Row(
        "wait-signal",
        INSIDE,
        "In a step's command: wait for `jobctl signal RUN NAME`, as `sleep` does.",
        SIGNAL,
        Option("--timeout", metavar="DURATION", help="End with exit code 124 after that long."),
        HELP,
        more="Prints what the signal carries, as JSON. One that came before is taken at once; each call takes one.",
        examples=("jobctl wait-signal paid --timeout 3d",),
        settings=False,
    ),
    Row(
        "heartbeat",
        INSIDE,
        "In a step's command: say that it is alive.",
        Argument("cursor", "CURSOR", "How far it has come, for the next attempt's JOBCTL_CURSOR.", arity="optional"),
        HELP,
        examples=("jobctl heartbeat line-4000",),
        settings=False,
    ),
    Row(
        "output",
        INSIDE,
        "In a step's command: hand values on to later steps.",
        Argument("values", "KEY=VALUE...", "`KEY -` takes the value from standard input.", arity="many"),
        HELP,
        examples=("jobctl output rows=12 file=report.csv",),
        settings=False,
    ),
    Row(
        "fail",
        INSIDE,
        "In a step's command: say why it fails. The exit code is 1; the script ends itself (set -e).",
        Argument("message", "MESSAGE", "Why."),
        Option("--non-retryable", help="No other attempt follows."),
        Option("--type", metavar="TYPE", help="As in a retry policy's non_retryable_types."),
        Option("--retry-delay", metavar="DURATION", help="When the next attempt follows."),
        HELP,
        examples=("jobctl fail 'no such user' --non-retryable",),
        settings=False,
    ),
    # -- Set up and look after
    Row(
        "init",
        SET_UP,
        "Write a small commented jobs.toml to start from.",
        Argument("path", "PATH", "The file to write. Default: jobs.toml.", arity="optional", default="jobs.toml"),
        Option("--force", help="Overwrite the file if there is one."),
        HELP,
        examples=("jobctl init",),
    ),
    Row(
        "validate",
        SET_UP,
        "Check definitions files and print every problem.",
        Argument(
            "files",
            "FILE...",
            "The files to check, - for standard input. Default: those that would be used.",
            arity="any",
        ),
        HELP,
        examples=("jobctl validate jobs.toml",),
    ),
    Row("import", "", "Take definitions over from other tools.", HELP, group=True),
    Row(
        "import crontab",
        SET_UP,
        "Write a jobs.toml that does what a crontab does, or several of them.",
        Argument(
            "sources",
            "FILE...",
            "Crontabs, and folders of them; - for standard input. Without one: yours, as `crontab -l` lists it.",
            arity="any",
        ),
        Option(
            "--dialect",
            metavar="debian|cronie|busybox|supercronic",
            choices=("debian", "cronie", "busybox", "supercronic"),
            default="debian",
            help="Whose cron reads it now: Debian's and Ubuntu's, cronie (Fedora, RHEL, Arch), BusyBox (Alpine,"
            " OpenWrt) or supercronic.",
        ),
        Option(
            "--user-field",
            help="A user stands in front of each command, as in /etc/crontab and /etc/cron.d: known by the path there.",
        ),
        Option("--no-user-field", help="None does, whatever path and words look like."),
        Option("--sudo", help="Run the lines of other users through sudo; without it they come without a schedule."),
        Option("--tidy", help="Write `cd FOLDER &&` as cwd, where that means the same."),
        Option("-o", "--output", metavar="OUT", into="out", help="Write the jobs.toml there, not to stdout."),
        Option("--merge", help="Add the jobs to OUT, whose text stays as it is; what it has already is left out."),
        Option("--force", help="Overwrite OUT if it is there."),
        HELP,
        more="""
            The report on stderr says of every line what became of it. Each job fires when its line did; nothing is
            started.
            """,
        examples=(
            "jobctl import crontab -o jobs.toml",
            "jobctl import crontab /etc/crontab /etc/cron.d /var/spool/cron/crontabs -o jobs.toml",
        ),
    ),
    Row(
        "prune",
        SET_UP,
        "Remove old runs, and what crashes left behind.",
        JOBS,
        Option("--keep-runs", kind="integer", metavar="N", help="Keep the newest N runs of each job."),
        Option("--older-than", metavar="DURATION", help="Remove what ended so long ago (90d)."),
        DRY_RUN,
        Option("--trust-clock", help="Measure age by the clock, though it is far ahead of all records."),
        HELP,
        more="""
            Without --keep-runs and --older-than, each job's `keep` says what is old. A run that is not over is never
            touched.
            """,
        examples=("jobctl prune --older-than 90d --dry-run",),
    ),
    Row(
        "doctor",
        SET_UP,
        "Check this installation: versions, folders, database, leftovers.",
        Option("--deep", help="Replay every run and compare; account for every fire time; read every journal."),
        HELP,
        examples=("jobctl doctor --json",),
    ),
    Row(
        "adopt",
        SET_UP,
        "Say what a state folder that is a copy is to be.",
        Option("--original-is-gone", help="It goes on as the one: open runs as after a crash, schedules too."),
        Option("--as-copy", help="A store of its own: open runs end as terminated, schedules begin now."),
        HELP,
        more="""
            Until then its schedules and its open runs stand still: they are those of the folder that it was copied
            from.
            """,
        examples=("jobctl adopt --as-copy",),
    ),
    Row(
        "backup",
        SET_UP,
        "Write all that is recorded to one file, while everything goes on.",
        Argument("archive", "FILE", "A tar, compressed when it ends with .gz or .tgz; - for standard output."),
        Option("--no-logs", help="Leave out what commands have printed."),
        Option("--salvage", help="Of a damaged store: what can still be read of it, and say what cannot."),
        Option("--force", help="Also in the place of a file that is no backup."),
        HELP,
        more="""
            In it is everything as it was at one instant: the database, and the files of its runs; jobs.toml is not.
            `tar -tf FILE` lists it.
            """,
        examples=("jobctl backup jobctl.tar.gz", "jobctl backup --no-logs -"),
    ),
    Row(
        "restore",
        SET_UP,
        "Make an empty state folder into that of a backup.",
        Argument("archive", "FILE", "What `jobctl backup` has written, or a recovered database; - for standard input."),
        Option("--as-copy", help="To look at it: a store of its own, whose open runs end as terminated."),
        HELP,
        more="""
            The machine died, all goes on: schedules and open runs from where they stood when the backup was made. What
            ran then is lost, and tried again as its retry policy says. What was done since may be done again. Nothing
            is started: jobctl daemon does that.
            """,
        examples=("jobctl restore jobctl.tar.gz", "jobctl --state-dir look restore jobctl.tar.gz --as-copy"),
    ),
    Row(
        "schema",
        SET_UP,
        "Print the JSON schema of jobs.toml, for editors.",
        HELP,
        examples=("jobctl schema",),
    ),
    Row(
        "completion",
        SET_UP,
        "Print the completion script for a shell.",
        Argument("shell", "bash|zsh|fish", "The shell.", choices=("bash", "zsh", "fish")),
        HELP,
        examples=("jobctl completion bash",),
    ),
    Row(
        "help",
        SET_UP,
        "Show how a command is used, as its --help does.",
        Argument("command", "COMMAND...", "The command. Default: jobctl itself.", arity="any"),
        HELP,
        examples=("jobctl help run", "jobctl help schedule next"),
        settings=False,
    ),
)

TABLE = {row.path: row for row in _ROWS}

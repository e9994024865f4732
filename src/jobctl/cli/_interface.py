"""The command line as a table for cli/argv.py. Made from cli/app.py by `python -m jobctl.cli.interface`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.cli.argv import Table

COMMANDS: Table = {
    '': {
        'summary': 'Durable jobs from one TOML file: runs that finish, whatever is killed.',
        'group': True,
        'options': {'--file': ('file',
                    'list',
                    (),
                    'FILE',
                    "A definitions file; may be given several times. Without it: ./jobs.toml, then the user's "
                    'config folder, then /etc/jobctl.'),
         '-f': ('file',
                'list',
                (),
                'FILE',
                "A definitions file; may be given several times. Without it: ./jobs.toml, then the user's config "
                'folder, then /etc/jobctl.'),
         '--state-dir': ('state_dir', 'text', (), 'DIR', 'Where runs are recorded.'),
         '--json': ('json', 'flag', (), '', 'Print one JSON document instead of text.'),
         '--quiet': ('quiet', 'flag', (), '', 'Say only what went wrong.'),
         '-q': ('quiet', 'flag', (), '', 'Say only what went wrong.'),
         '--verbose': ('verbose', 'flag', (), '', 'Say more.'),
         '-v': ('verbose', 'flag', (), '', 'Say more.'),
         '--color': ('color',
                     'text',
                     ('auto', 'always', 'never'),
                     'auto|always|never',
                     'Colour in the output. Without it: on a terminal, unless NO_COLOR is set.'),
         '--no-input': ('no_input', 'flag', (), '', 'Never ask anything.'),
         '--version': ('version', 'version', (), '', 'Print the version and end.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (),
        'defaults': {'file': [],
         'state_dir': None,
         'json': False,
         'quiet': False,
         'verbose': False,
         'color': None,
         'no_input': False},
        "page": """\
Usage: jobctl [OPTIONS] COMMAND [ARGS]...

  Durable jobs from one TOML file: runs that finish, whatever is killed.

Options:
  -f, --file FILE            A definitions file; may be given several times.
                             Without it: ./jobs.toml, then the user's config
                             folder, then /etc/jobctl.
  --state-dir DIR            Where runs are recorded.
  --json                     Print one JSON document instead of text.
  -q, --quiet                Say only what went wrong.
  -v, --verbose              Say more.
  --color auto|always|never  Colour in the output. Without it: on a terminal,
                             unless NO_COLOR is set.
  --no-input                 Never ask anything.
  --version                  Print the version and end.
  -h, --help                 Show this message and exit.

Commands:
  init         Write a small commented jobs.toml to start from.
  run          Run a job here, in the foreground.
  status       Show what runs, or one run in detail.
  why          Say what a run waits for, and what would move it on.
  history      List past runs, newest first, or the events of one run.
  logs         Print a run's output.
  resume       Take up a paused, interrupted or unsuccessful run.
  pause        Start no new attempt of these runs until `resume`.
  retry-now    End a back-off, a sleep or the wait of a poll: it goes on now.
  cancel       Stop runs gracefully: ask, compensate, clean up.
  terminate    Kill runs: nothing else of them runs, no compensation either.
  signal       Send a run the message that one of its steps waits for.
  approve      Answer yes to the question that a run has for a person.
  reject       Answer no: the step fails, without retry.
  wait         Wait until runs end, whatever their end.
  daemon       Run schedules, queued runs, retries and recovery until told...
  prune        Remove old runs, and what crashes left behind.
  list         List the jobs that are defined.
  show         Show a job as jobctl understands it, defaults included.
  validate     Check definitions files and print every problem.
  doctor       Check this installation: versions, folders, database,...
  completion   Print the completion script for a shell.
  schema       Print the JSON schema of jobs.toml, for editors.
  step         In a step's command: run something once, whatever happens to...
  sleep        In a step's command: pause, with no process that waits.
  sleep-until  In a step's command: pause until then, as `sleep` does.
  wait-signal  In a step's command: wait for `jobctl signal RUN NAME`, as...
  heartbeat    In a step's command: say that it is alive.
  output       In a step's command: hand values on to later steps.
  fail         In a step's command: say why it fails.
  adopt        Say what a state folder that is a copy is to be.
  schedule     When jobs run by themselves: list, pause, trigger, backfill.
  import       Take definitions over from other tools.

  Start here: `jobctl init` writes a jobs.toml, `jobctl run hello` runs it.""",
    },
    'init': {
        'summary': 'Write a small commented jobs.toml to start from.',
        'group': False,
        'options': {'--force': ('force', 'flag', (), '', 'Overwrite the file if there is one.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('path', 'optional', (), 'PATH'),),
        'defaults': {'path': 'jobs.toml', 'force': False},
        "page": """\
Usage: jobctl init [OPTIONS] [PATH]

  Write a small commented jobs.toml to start from.

Arguments:
  PATH  The file to write. Default: jobs.toml.

Options:
  --force     Overwrite the file if there is one.
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'run': {
        'summary': 'Run a job here, in the foreground.',
        'group': False,
        'options': {'--param': ('params', 'list', (), 'K=V', 'A parameter of the run; may be given several times.'),
         '-p': ('params', 'list', (), 'K=V', 'A parameter of the run; may be given several times.'),
         '--wait': ('wait',
                    'text',
                    (),
                    'DURATION',
                    'Wait that long (20s, 5m), then leave the run to the daemon.'),
         '--detach': ('detach',
                      'flag',
                      (),
                      '',
                      'Hand the run to the daemon, or to the next one; print its id and end.'),
         '--require-daemon': ('require_daemon',
                              'flag',
                              (),
                              '',
                              'Record nothing when no daemon lives: exit code 1.'),
         '--start-within': ('start_within',
                            'text',
                            (),
                            'DURATION',
                            'When nobody has begun it by then, it is canceled. Without it: as the job says.'),
         '--key': ('key', 'text', (), 'KEY', 'One run for it: where there is one, that run is the answer.'),
         '--from': ('from_step', 'text', (), 'STEP', 'With --like: do this step, and what needs it, anew.'),
         '--like': ('like', 'text', (), 'RUN', 'With --from: reuse the results and parameters of this run.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('job', 'one', (), 'JOB'),),
        'defaults': {'job': None,
         'params': [],
         'wait': None,
         'detach': False,
         'require_daemon': False,
         'start_within': None,
         'key': None,
         'from_step': None,
         'like': None},
        "page": """\
Usage: jobctl run [OPTIONS] JOB

  Run a job here, in the foreground.

  Ctrl-C cancels it gracefully; a second one stops waiting and kills. The exit
  code is the run's: 0 succeeded, 1 failed, 124 timed out, 130 canceled, 137
  terminated; 75 when --wait ended first. A run for the daemon is recorded also
  while none lives.

Arguments:
  JOB  The job's name.  [required]

Options:
  -p, --param K=V          A parameter of the run; may be given several times.
  --wait DURATION          Wait that long (20s, 5m), then leave the run to the
                           daemon.
  --detach                 Hand the run to the daemon, or to the next one; print
                           its id and end.
  --require-daemon         Record nothing when no daemon lives: exit code 1.
  --start-within DURATION  When nobody has begun it by then, it is canceled.
                           Without it: as the job says.
  --key KEY                One run for it: where there is one, that run is the
                           answer.
  --from STEP              With --like: do this step, and what needs it, anew.
  --like RUN               With --from: reuse the results and parameters of this
                           run.
  -h, --help               Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'status': {
        'summary': 'Show what runs, or one run in detail.',
        'group': False,
        'options': {'--exit-status': ('exit_status', 'flag', (), '', "End with the run's exit code, as `run` would."),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('target', 'optional', (), 'RUN|JOB'),),
        'defaults': {'target': None, 'exit_status': False},
        "page": """\
Usage: jobctl status [OPTIONS] [RUN|JOB]

  Show what runs, or one run in detail.

Arguments:
  RUN|JOB  A run, or a job for its latest run.

Options:
  --exit-status  End with the run's exit code, as `run` would.
  -h, --help     Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'why': {
        'summary': 'Say what a run waits for, and what would move it on.',
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('run', 'one', (), 'RUN'),),
        'defaults': {'run': None},
        "page": """\
Usage: jobctl why [OPTIONS] RUN

  Say what a run waits for, and what would move it on.

Arguments:
  RUN  A run's id, a unique beginning of one, or a job's name for its latest
       run.  [required]

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'history': {
        'summary': 'List past runs, newest first, or the events of one run.',
        'group': False,
        'options': {'--limit': ('limit', 'integer', (), 'N', 'At most so many.'),
         '--since': ('since', 'text', (), 'TIME', 'Only from then on: a time, or how long ago (2h, 7d).'),
         '--until': ('until', 'text', (), 'TIME', 'Only before then: a time, or how long ago.'),
         '--status': ('status',
                      'list',
                      ('queued',
                       'running',
                       'paused',
                       'succeeded',
                       'failed',
                       'canceled',
                       'timed_out',
                       'terminated'),
                      'STATUS',
                      'Only runs with this status: queued, running, paused, succeeded, failed, canceled, '
                      'timed_out, terminated. May be given several times.'),
         '--tag': ('tag', 'text', (), 'TAG', 'Only jobs with this tag.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('target', 'optional', (), 'JOB|RUN'),),
        'defaults': {'target': None, 'limit': 20, 'since': None, 'until': None, 'status': [], 'tag': None},
        "page": """\
Usage: jobctl history [OPTIONS] [JOB|RUN]

  List past runs, newest first, or the events of one run.

Arguments:
  JOB|RUN  A job for its runs, a run for its events.

Options:
  --limit N        At most so many.  [default: 20]
  --since TIME     Only from then on: a time, or how long ago (2h, 7d).
  --until TIME     Only before then: a time, or how long ago.
  --status STATUS  Only runs with this status: queued, running, paused,
                   succeeded, failed, canceled, timed_out, terminated. May be
                   given several times.
  --tag TAG        Only jobs with this tag.
  -h, --help       Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'logs': {
        'summary': "Print a run's output.",
        'group': False,
        'options': {'--follow': ('follow', 'flag', (), '', 'Go on until the run ends.'),
         '-f': ('follow', 'flag', (), '', 'Go on until the run ends.'),
         '--attempt': ('attempt', 'integer', (), 'N', 'This attempt instead of the last one.'),
         '--tail': ('tail', 'integer', (), 'N', 'Only the last N lines.'),
         '--raw': ('raw', 'flag', (), '', 'The bytes as they were written, control sequences included.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('run', 'one', (), 'RUN'), ('step', 'optional', (), 'STEP')),
        'defaults': {'run': None, 'step': None, 'follow': False, 'attempt': None, 'tail': None, 'raw': False},
        "page": """\
Usage: jobctl logs [OPTIONS] RUN [STEP]

  Print a run's output.

  After `logs`, -f means --follow; definitions files are named with --file, or
  with -f before `logs`.

Arguments:
  RUN   A run's id, a unique beginning of one, or a job's name for its latest
        run.  [required]
  STEP  Only this step's output.

Options:
  -f, --follow  Go on until the run ends.
  --attempt N   This attempt instead of the last one.
  --tail N      Only the last N lines.
  --raw         The bytes as they were written, control sequences included.
  -h, --help    Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'resume': {
        'summary': 'Take up a paused, interrupted or unsuccessful run. Finished steps keep their results.',
        'group': False,
        'options': {'--from': ('from_step', 'text', (), 'STEP', 'Also redo this step and what needs it.'),
         '--updated': ('updated', 'flag', (), '', 'Take the definition as the file has it now.'),
         '--detach': ('detach',
                      'flag',
                      (),
                      '',
                      'Hand the run to the daemon, or to the next one; print its id and end.'),
         '--require-daemon': ('require_daemon',
                              'flag',
                              (),
                              '',
                              'Record nothing when no daemon lives: exit code 1.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('run', 'one', (), 'RUN'),),
        'defaults': {'run': None, 'from_step': None, 'updated': False, 'detach': False, 'require_daemon': False},
        "page": """\
Usage: jobctl resume [OPTIONS] RUN

  Take up a paused, interrupted or unsuccessful run. Finished steps keep their
  results.

Arguments:
  RUN  A run's id, a unique beginning of one, or a job's name for its latest
       run.  [required]

Options:
  --from STEP       Also redo this step and what needs it.
  --updated         Take the definition as the file has it now.
  --detach          Hand the run to the daemon, or to the next one; print its id
                    and end.
  --require-daemon  Record nothing when no daemon lives: exit code 1.
  -h, --help        Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'pause': {
        'summary': 'Start no new attempt of these runs until `resume`.',
        'group': False,
        'options': {'--reason': ('reason', 'text', (), 'TEXT', "Kept in the run's history."),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('runs', 'many', (), 'RUN...'),),
        'defaults': {'runs': None, 'reason': None},
        "page": """\
Usage: jobctl pause [OPTIONS] RUN...

  Start no new attempt of these runs until `resume`.

Arguments:
  RUN...  Run ids, unique beginnings of them, or jobs' names for their latest
          runs.  [required]

Options:
  --reason TEXT  Kept in the run's history.
  -h, --help     Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'retry-now': {
        'summary': 'End a back-off, a sleep or the wait of a poll: it goes on now.',
        'group': False,
        'options': {'--reason': ('reason', 'text', (), 'TEXT', "Kept in the run's history."),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('run', 'one', (), 'RUN'), ('step', 'optional', (), 'STEP')),
        'defaults': {'run': None, 'step': None, 'reason': None},
        "page": """\
Usage: jobctl retry-now [OPTIONS] RUN [STEP]

  End a back-off, a sleep or the wait of a poll: it goes on now.

Arguments:
  RUN   A run's id, a unique beginning of one, or a job's name for its latest
        run.  [required]
  STEP  A step, or an item: STEP[3]. Without it, all of the run.

Options:
  --reason TEXT  Kept in the run's history.
  -h, --help     Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'cancel': {
        'summary': 'Stop runs gracefully: ask, compensate, clean up.',
        'group': False,
        'options': {'--reason': ('reason', 'text', (), 'TEXT', "Kept in the run's history."),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('runs', 'many', (), 'RUN...'),),
        'defaults': {'runs': None, 'reason': None},
        "page": """\
Usage: jobctl cancel [OPTIONS] RUN...

  Stop runs gracefully: ask, compensate, clean up.

Arguments:
  RUN...  Run ids, unique beginnings of them, or jobs' names for their latest
          runs.  [required]

Options:
  --reason TEXT  Kept in the run's history.
  -h, --help     Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'terminate': {
        'summary': 'Kill runs: nothing else of them runs, no compensation either.',
        'group': False,
        'options': {'--reason': ('reason', 'text', (), 'TEXT', "Kept in the run's history."),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('runs', 'many', (), 'RUN...'),),
        'defaults': {'runs': None, 'reason': None},
        "page": """\
Usage: jobctl terminate [OPTIONS] RUN...

  Kill runs: nothing else of them runs, no compensation either.

Arguments:
  RUN...  Run ids, unique beginnings of them, or jobs' names for their latest
          runs.  [required]

Options:
  --reason TEXT  Kept in the run's history.
  -h, --help     Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'signal': {
        'summary': 'Send a run the message that one of its steps waits for.',
        'group': False,
        'options': {'--data': ('data', 'text', (), 'JSON', 'What it carries; an object becomes outputs.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('run', 'one', (), 'RUN'), ('name', 'one', (), 'NAME')),
        'defaults': {'run': None, 'name': None, 'data': None},
        "page": """\
Usage: jobctl signal [OPTIONS] RUN NAME

  Send a run the message that one of its steps waits for.

  It is kept until a step waits for it. In a run that has a command, any name is
  taken: a durable script may come to wait for it (`jobctl wait-signal`).

Arguments:
  RUN   A run's id, a unique beginning of one, or a job's name for its latest
        run.  [required]
  NAME  The signal's name.  [required]

Options:
  --data JSON  What it carries; an object becomes outputs.
  -h, --help   Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'approve': {
        'summary': 'Answer yes to the question that a run has for a person.',
        'group': False,
        'options': {'--comment': ('comment', 'text', (), 'TEXT', "Kept in the run's history."),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('run', 'one', (), 'RUN'), ('step', 'optional', (), 'STEP')),
        'defaults': {'run': None, 'step': None, 'comment': None},
        "page": """\
Usage: jobctl approve [OPTIONS] RUN [STEP]

  Answer yes to the question that a run has for a person.

Arguments:
  RUN   A run's id, a unique beginning of one, or a job's name for its latest
        run.  [required]
  STEP  Which one, where several wait.

Options:
  --comment TEXT  Kept in the run's history.
  -h, --help      Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'reject': {
        'summary': 'Answer no: the step fails, without retry.',
        'group': False,
        'options': {'--comment': ('comment', 'text', (), 'TEXT', "Kept in the run's history."),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('run', 'one', (), 'RUN'), ('step', 'optional', (), 'STEP')),
        'defaults': {'run': None, 'step': None, 'comment': None},
        "page": """\
Usage: jobctl reject [OPTIONS] RUN [STEP]

  Answer no: the step fails, without retry.

Arguments:
  RUN   A run's id, a unique beginning of one, or a job's name for its latest
        run.  [required]
  STEP  Which one, where several wait.

Options:
  --comment TEXT  Kept in the run's history.
  -h, --help      Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'wait': {
        'summary': 'Wait until runs end, whatever their end.',
        'group': False,
        'options': {'--timeout': ('timeout', 'text', (), 'DURATION', 'Wait at most that long (20s, 5m).'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('runs', 'many', (), 'RUN...'),),
        'defaults': {'runs': None, 'timeout': None},
        "page": """\
Usage: jobctl wait [OPTIONS] RUN...

  Wait until runs end, whatever their end.

Arguments:
  RUN...  Run ids, unique beginnings of them, or jobs' names for their latest
          runs.  [required]

Options:
  --timeout DURATION  Wait at most that long (20s, 5m).
  -h, --help          Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'daemon': {
        'summary': 'Run schedules, queued runs, retries and recovery until told to stop.',
        'group': False,
        'options': {'--once': ('once',
                    'flag',
                    (),
                    '',
                    'Do what is due, see it through, and end: for those who keep their cron.'),
         '--drain': ('drain',
                     'text',
                     (),
                     'DURATION',
                     'When stopped: wait so long for running commands to end. Without it they run on, for the '
                     'next daemon.'),
         '--stop-commands': ('stop_commands',
                             'flag',
                             (),
                             '',
                             'When stopped: ask running commands to end, for nothing outlives the daemon here. '
                             'So as PID 1.'),
         '--max-concurrent-runs': ('max_concurrent_runs',
                                   'integer',
                                   (),
                                   'N',
                                   'At most so many runs under way at once.'),
         '--log-format': ('log_format',
                          'text',
                          ('text', 'json'),
                          'text|json',
                          'How the daemon tells what it does: lines, or one JSON object a line.'),
         '--print-unit': ('print_unit', 'flag', (), '', 'Print a systemd unit for this installation.'),
         '--user': ('user', 'flag', (), '', "With --print-unit: for the user's own systemd."),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (),
        'defaults': {'once': False,
         'drain': None,
         'stop_commands': False,
         'max_concurrent_runs': None,
         'log_format': None,
         'print_unit': False,
         'user': False},
        "page": """\
Usage: jobctl daemon [OPTIONS]

  Run schedules, queued runs, retries and recovery until told to stop.

Options:
  --once                   Do what is due, see it through, and end: for those
                           who keep their cron.
  --drain DURATION         When stopped: wait so long for running commands to
                           end. Without it they run on, for the next daemon.
  --stop-commands          When stopped: ask running commands to end, for
                           nothing outlives the daemon here. So as PID 1.
  --max-concurrent-runs N  At most so many runs under way at once.
  --log-format text|json   How the daemon tells what it does: lines, or one JSON
                           object a line.
  --print-unit             Print a systemd unit for this installation.
  --user                   With --print-unit: for the user's own systemd.
  -h, --help               Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'prune': {
        'summary': 'Remove old runs, and what crashes left behind.',
        'group': False,
        'options': {'--keep-runs': ('keep_runs', 'integer', (), 'N', 'Keep the newest N runs of each job.'),
         '--older-than': ('older_than', 'text', (), 'DURATION', 'Remove what ended so long ago (90d).'),
         '--dry-run': ('dry_run', 'flag', (), '', 'Only say what would be done.'),
         '--trust-clock': ('trust_clock',
                           'flag',
                           (),
                           '',
                           'Measure age by the clock, though it is far ahead of all records.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('jobs', 'any', (), 'JOB...'),),
        'defaults': {'jobs': [], 'keep_runs': None, 'older_than': None, 'dry_run': False, 'trust_clock': False},
        "page": """\
Usage: jobctl prune [OPTIONS] [JOB...]

  Remove old runs, and what crashes left behind.

  Without --keep-runs and --older-than, each job's `keep` says what is old. A
  run that is not over is never touched.

Arguments:
  JOB...  Jobs' names. Default: all.

Options:
  --keep-runs N          Keep the newest N runs of each job.
  --older-than DURATION  Remove what ended so long ago (90d).
  --dry-run              Only say what would be done.
  --trust-clock          Measure age by the clock, though it is far ahead of all
                         records.
  -h, --help             Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'list': {
        'summary': 'List the jobs that are defined.',
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (),
        'defaults': {},
        "page": """\
Usage: jobctl list [OPTIONS]

  List the jobs that are defined.

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'show': {
        'summary': 'Show a job as jobctl understands it, defaults included.',
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('job', 'one', (), 'JOB'),),
        'defaults': {'job': None},
        "page": """\
Usage: jobctl show [OPTIONS] JOB

  Show a job as jobctl understands it, defaults included.

Arguments:
  JOB  The job's name.  [required]

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'validate': {
        'summary': 'Check definitions files and print every problem.',
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('files', 'any', (), 'FILE...'),),
        'defaults': {'files': []},
        "page": """\
Usage: jobctl validate [OPTIONS] [FILE...]

  Check definitions files and print every problem.

Arguments:
  FILE...  The files to check, - for standard input. Default: those that would
           be used.

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'doctor': {
        'summary': 'Check this installation: versions, folders, database, leftovers.',
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (),
        'defaults': {},
        "page": """\
Usage: jobctl doctor [OPTIONS]

  Check this installation: versions, folders, database, leftovers.

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'completion': {
        'summary': 'Print the completion script for a shell.',
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('shell', 'one', ('bash', 'zsh', 'fish'), 'bash|zsh|fish'),),
        'defaults': {'shell': None},
        "page": """\
Usage: jobctl completion [OPTIONS] bash|zsh|fish

  Print the completion script for a shell.

Arguments:
  bash|zsh|fish  The shell.  [required]

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'schema': {
        'summary': 'Print the JSON schema of jobs.toml, for editors.',
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (),
        'defaults': {},
        "page": """\
Usage: jobctl schema [OPTIONS]

  Print the JSON schema of jobs.toml, for editors.

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'step': {
        'summary': "In a step's command: run something once, whatever happens to the script.",
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('name', 'one', (), 'NAME'), ('command', 'many', (), '-- COMMAND...')),
        'defaults': {'name': None, 'command': None},
        "page": """\
Usage: jobctl step [OPTIONS] NAME -- COMMAND...

  In a step's command: run something once, whatever happens to the script.

  When the script is run again, its recorded output and exit code come back
  instead. Calls must come in the same order each time, one after another. What
  failed is run again, unless the script went on after it.

Arguments:
  NAME           What the record calls it; may come several times.  [required]
  -- COMMAND...  What is run, and its arguments.  [required]

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'sleep': {
        'summary': "In a step's command: pause, with no process that waits.",
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('duration', 'one', (), 'DURATION'),),
        'defaults': {'duration': None},
        "page": """\
Usage: jobctl sleep [OPTIONS] DURATION

  In a step's command: pause, with no process that waits.

  The script ends here, and is run again from its top when the time has come;
  what it did with `jobctl step` is not done again. Its processes get SIGTERM,
  and two seconds.

Arguments:
  DURATION  How long: 90s, 2h, 30d.  [required]

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'sleep-until': {
        'summary': "In a step's command: pause until then, as `sleep` does.",
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('time', 'one', (), 'TIME'),),
        'defaults': {'time': None},
        "page": """\
Usage: jobctl sleep-until [OPTIONS] TIME

  In a step's command: pause until then, as `sleep` does.

Arguments:
  TIME  When: 2026-12-24T18:00:00+01:00.  [required]

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'wait-signal': {
        'summary': "In a step's command: wait for `jobctl signal RUN NAME`, as `sleep` does.",
        'group': False,
        'options': {'--timeout': ('timeout', 'text', (), 'DURATION', 'End with exit code 124 after that long.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('name', 'one', (), 'NAME'),),
        'defaults': {'name': None, 'timeout': None},
        "page": """\
Usage: jobctl wait-signal [OPTIONS] NAME

  In a step's command: wait for `jobctl signal RUN NAME`, as `sleep` does.

  Prints what the signal carries, as JSON. One that came before is taken at
  once; each call takes one.

Arguments:
  NAME  The signal's name.  [required]

Options:
  --timeout DURATION  End with exit code 124 after that long.
  -h, --help          Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'heartbeat': {
        'summary': "In a step's command: say that it is alive.",
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('cursor', 'optional', (), 'CURSOR'),),
        'defaults': {'cursor': None},
        "page": """\
Usage: jobctl heartbeat [OPTIONS] [CURSOR]

  In a step's command: say that it is alive.

Arguments:
  CURSOR  How far it has come, for the next attempt's JOBCTL_CURSOR.

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'output': {
        'summary': "In a step's command: hand values on to later steps.",
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('values', 'many', (), 'KEY=VALUE...'),),
        'defaults': {'values': None},
        "page": """\
Usage: jobctl output [OPTIONS] KEY=VALUE...

  In a step's command: hand values on to later steps.

Arguments:
  KEY=VALUE...  `KEY -` takes the value from standard input.  [required]

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'fail': {
        'summary': "In a step's command: say why it fails. The exit code is 1; the script ends itself (set -e).",
        'group': False,
        'options': {'--non-retryable': ('non_retryable', 'flag', (), '', 'No other attempt follows.'),
         '--type': ('type', 'text', (), 'TYPE', "As in a retry policy's non_retryable_types."),
         '--retry-delay': ('retry_delay', 'text', (), 'DURATION', 'When the next attempt follows.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('message', 'one', (), 'MESSAGE'),),
        'defaults': {'message': None, 'non_retryable': False, 'type': None, 'retry_delay': None},
        "page": """\
Usage: jobctl fail [OPTIONS] MESSAGE

  In a step's command: say why it fails. The exit code is 1; the script ends
  itself (set -e).

Arguments:
  MESSAGE  Why.  [required]

Options:
  --non-retryable         No other attempt follows.
  --type TYPE             As in a retry policy's non_retryable_types.
  --retry-delay DURATION  When the next attempt follows.
  -h, --help              Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'adopt': {
        'summary': 'Say what a state folder that is a copy is to be.',
        'group': False,
        'options': {'--original-is-gone': ('original_is_gone',
                                'flag',
                                (),
                                '',
                                'It goes on as the one: open runs as after a crash, schedules too.'),
         '--as-copy': ('as_copy',
                       'flag',
                       (),
                       '',
                       'A store of its own: open runs end as terminated, schedules begin now.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (),
        'defaults': {'original_is_gone': False, 'as_copy': False},
        "page": """\
Usage: jobctl adopt [OPTIONS]

  Say what a state folder that is a copy is to be.

  Until then its schedules and its open runs stand still: they are those of the
  folder that it was copied from.

Options:
  --original-is-gone  It goes on as the one: open runs as after a crash,
                      schedules too.
  --as-copy           A store of its own: open runs end as terminated, schedules
                      begin now.
  -h, --help          Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'schedule': {
        'summary': 'When jobs run by themselves: list, pause, trigger, backfill.',
        'group': True,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (),
        'defaults': {},
        "page": """\
Usage: jobctl schedule [OPTIONS] COMMAND [ARGS]...

  When jobs run by themselves: list, pause, trigger, backfill.

Options:
  -h, --help  Show this message and exit.

Commands:
  list      List schedules, their next and last fire times, what is paused.
  next      Show when schedules fire next, in local time and UTC.
  pause     Let schedules start no runs until `schedule resume`.
  resume    Let paused schedules fire again, from now on.
  trigger   Start a run now, in the daemon, as if the schedule fired.
  backfill  Queue a run for each fire time of the past, oldest first.""",
    },
    'schedule list': {
        'summary': 'List schedules, their next and last fire times, what is paused.',
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('jobs', 'any', (), 'JOB...'),),
        'defaults': {'jobs': []},
        "page": """\
Usage: jobctl schedule list [OPTIONS] [JOB...]

  List schedules, their next and last fire times, what is paused.

Arguments:
  JOB...  Jobs' names. Default: all.

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'schedule next': {
        'summary': 'Show when schedules fire next, in local time and UTC.',
        'group': False,
        'options': {'--count': ('count', 'integer', (), 'N', 'So many times of each schedule.'),
         '-n': ('count', 'integer', (), 'N', 'So many times of each schedule.'),
         '--from': ('start', 'text', (), 'TIME', 'From then on: a time, a day, or how long ago. Default: now.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('jobs', 'any', (), 'JOB...'),),
        'defaults': {'jobs': [], 'count': 10, 'start': None},
        "page": """\
Usage: jobctl schedule next [OPTIONS] [JOB...]

  Show when schedules fire next, in local time and UTC.

Arguments:
  JOB...  Jobs' names. Default: all.

Options:
  -n, --count N  So many times of each schedule.  [default: 10]
  --from TIME    From then on: a time, a day, or how long ago. Default: now.
  -h, --help     Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'schedule pause': {
        'summary': 'Let schedules start no runs until `schedule resume`.',
        'group': False,
        'options': {'--reason': ('reason', 'text', (), 'TEXT', 'Shown until they go on.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('jobs', 'many', (), 'JOB...'),),
        'defaults': {'jobs': None, 'reason': None},
        "page": """\
Usage: jobctl schedule pause [OPTIONS] JOB...

  Let schedules start no runs until `schedule resume`.

  Fire times that come meanwhile are passed over, not caught up. Runs go on.

Arguments:
  JOB...  Jobs' names.  [required]

Options:
  --reason TEXT  Shown until they go on.
  -h, --help     Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'schedule resume': {
        'summary': 'Let paused schedules fire again, from now on.',
        'group': False,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('jobs', 'many', (), 'JOB...'),),
        'defaults': {'jobs': None},
        "page": """\
Usage: jobctl schedule resume [OPTIONS] JOB...

  Let paused schedules fire again, from now on.

Arguments:
  JOB...  Jobs' names.  [required]

Options:
  -h, --help  Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'schedule trigger': {
        'summary': 'Start a run now, in the daemon, as if the schedule fired.',
        'group': False,
        'options': {'--param': ('params', 'list', (), 'K=V', 'A parameter of the runs; may be given several times.'),
         '-p': ('params', 'list', (), 'K=V', 'A parameter of the runs; may be given several times.'),
         '--require-daemon': ('require_daemon',
                              'flag',
                              (),
                              '',
                              'Record nothing when no daemon lives: exit code 1.'),
         '--start-within': ('start_within',
                            'text',
                            (),
                            'DURATION',
                            'When nobody has begun it by then, it is canceled. Without it: as the job says.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('job', 'one', (), 'JOB'),),
        'defaults': {'job': None, 'params': [], 'require_daemon': False, 'start_within': None},
        "page": """\
Usage: jobctl schedule trigger [OPTIONS] JOB

  Start a run now, in the daemon, as if the schedule fired.

  The job's overlap policy counts: when it says that no run starts, that is said
  and the exit code is 1.

Arguments:
  JOB  The job's name.  [required]

Options:
  -p, --param K=V          A parameter of the runs; may be given several times.
  --require-daemon         Record nothing when no daemon lives: exit code 1.
  --start-within DURATION  When nobody has begun it by then, it is canceled.
                           Without it: as the job says.
  -h, --help               Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'schedule backfill': {
        'summary': 'Queue a run for each fire time of the past, oldest first.',
        'group': False,
        'options': {'--param': ('params', 'list', (), 'K=V', 'A parameter of the runs; may be given several times.'),
         '-p': ('params', 'list', (), 'K=V', 'A parameter of the runs; may be given several times.'),
         '--from': ('start',
                    'text',
                    (),
                    'TIME',
                    'The first moment: a time, a day (from its beginning), or how long ago.'),
         '--to': ('end', 'text', (), 'TIME', 'The last moment, in the same way. Default: now.'),
         '--overlap': ('overlap',
                       'text',
                       ('buffer_all', 'allow_all'),
                       'buffer_all|allow_all',
                       'One run after another, or all at once.'),
         '--limit': ('limit', 'integer', (), 'N', 'Do nothing when it would be more runs.'),
         '--dry-run': ('dry_run', 'flag', (), '', 'Only say what would be done.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('job', 'one', (), 'JOB'),),
        'defaults': {'job': None,
         'params': [],
         'start': None,
         'end': None,
         'overlap': 'buffer_all',
         'limit': 10000,
         'dry_run': False},
        "page": """\
Usage: jobctl schedule backfill [OPTIONS] JOB

  Queue a run for each fire time of the past, oldest first.

Arguments:
  JOB  The job's name.  [required]

Options:
  -p, --param K=V                 A parameter of the runs; may be given several
                                  times.
  --from TIME                     The first moment: a time, a day (from its
                                  beginning), or how long ago.
  --to TIME                       The last moment, in the same way. Default:
                                  now.
  --overlap buffer_all|allow_all  One run after another, or all at once.
                                  [default: buffer_all]
  --limit N                       Do nothing when it would be more runs.
                                  [default: 10000]
  --dry-run                       Only say what would be done.
  -h, --help                      Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
    'import': {
        'summary': 'Take definitions over from other tools.',
        'group': True,
        'options': {'--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (),
        'defaults': {},
        "page": """\
Usage: jobctl import [OPTIONS] COMMAND [ARGS]...

  Take definitions over from other tools.

Options:
  -h, --help  Show this message and exit.

Commands:
  crontab  Write a jobs.toml that does what a crontab does, or several of...""",
    },
    'import crontab': {
        'summary': 'Write a jobs.toml that does what a crontab does, or several of them.',
        'group': False,
        'options': {'--dialect': ('dialect',
                       'text',
                       ('debian', 'cronie', 'busybox', 'supercronic'),
                       'debian|cronie|busybox|supercronic',
                       "Whose cron reads it now: Debian's and Ubuntu's, cronie (Fedora, RHEL, Arch), BusyBox "
                       '(Alpine, OpenWrt) or supercronic.'),
         '--user-field': ('user_field',
                          'flag',
                          (),
                          '',
                          'A user stands in front of each command, as in /etc/crontab and /etc/cron.d: known by '
                          'the path there.'),
         '--no-user-field': ('no_user_field', 'flag', (), '', 'None does, whatever path and words look like.'),
         '--sudo': ('sudo',
                    'flag',
                    (),
                    '',
                    'Run the lines of other users through sudo; without it they come without a schedule.'),
         '--tidy': ('tidy', 'flag', (), '', 'Write `cd FOLDER &&` as cwd, where that means the same.'),
         '--output': ('out', 'text', (), 'OUT', 'Write the jobs.toml there, not to stdout.'),
         '-o': ('out', 'text', (), 'OUT', 'Write the jobs.toml there, not to stdout.'),
         '--merge': ('merge',
                     'flag',
                     (),
                     '',
                     'Add the jobs to OUT, whose text stays as it is; what it has already is left out.'),
         '--force': ('force', 'flag', (), '', 'Overwrite OUT if it is there.'),
         '--help': ('help', 'help', (), '', 'Show this message and exit.'),
         '-h': ('help', 'help', (), '', 'Show this message and exit.')},
        'arguments': (('sources', 'any', (), 'FILE...'),),
        'defaults': {'sources': None,
         'dialect': 'debian',
         'user_field': False,
         'no_user_field': False,
         'sudo': False,
         'tidy': False,
         'out': None,
         'merge': False,
         'force': False},
        "page": """\
Usage: jobctl import crontab [OPTIONS] [FILE...]

  Write a jobs.toml that does what a crontab does, or several of them.

  The report on stderr says of every line what became of it. Each job fires when
  its line did; nothing is started. A whole server: jobctl import crontab
  /etc/crontab /etc/cron.d /var/spool/cron/crontabs -o jobs.toml

Arguments:
  FILE...  Crontabs, and folders of them; - for standard input. Without one:
           yours, as `crontab -l` lists it.

Options:
  --dialect debian|cronie|busybox|supercronic
                                  Whose cron reads it now: Debian's and
                                  Ubuntu's, cronie (Fedora, RHEL, Arch), BusyBox
                                  (Alpine, OpenWrt) or supercronic.  [default:
                                  debian]
  --user-field                    A user stands in front of each command, as in
                                  /etc/crontab and /etc/cron.d: known by the
                                  path there.
  --no-user-field                 None does, whatever path and words look like.
  --sudo                          Run the lines of other users through sudo;
                                  without it they come without a schedule.
  --tidy                          Write `cd FOLDER &&` as cwd, where that means
                                  the same.
  -o, --output OUT                Write the jobs.toml there, not to stdout.
  --merge                         Add the jobs to OUT, whose text stays as it
                                  is; what it has already is left out.
  --force                         Overwrite OUT if it is there.
  -h, --help                      Show this message and exit.

  Global options work here too: jobctl --help lists them.""",
    },
}

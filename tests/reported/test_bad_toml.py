"""Errors that teach: one fault is one error, which names the line where it began and says what to write instead."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jobctl.cli.main import main
from jobctl.core.definition import document, jobs
from jobctl.core.definition.excerpt import marker
from jobctl.core.definition.syntax import first_fault
from jobctl.core.errors import Problem

JOB = '[jobs.a]\ncommand = "x"\n'
STEP = '[[jobs.a.steps]]\nname = "s"\ncommand = "x"\n'
ROOT = Path(__file__).parents[2]


def problems(text: str) -> list[Problem]:
    return jobs.parse(text.encode(), file="jobs.toml", folder="/srv")[1]


SYNTAX = [  # situation, line, what is said, the way out
    # heads
    ('[jobs.a\ncommand = "x"', 1, "the head is not closed", "[jobs.a]"),
    ('[[jobs.a.steps]\nname = "x"', 1, "the head is not closed", "[[jobs.a.steps]]"),
    ('[jobs.a]]\ncommand = "x"', 1, "a `]` too many", "[jobs.a]"),
    ('[jobs.a b]\ncommand = "x"', 1, "a head is names with dots", "[jobs.a-b]"),
    ("[jobs/a]\n", 1, "a head is names with dots", "[jobs.a]"),
    ("[jobs:a]\n", 1, "a head is names with dots", "[jobs.a]"),
    ("[jobs.]\n", 1, "a head is names with dots", "[jobs.NAME]"),
    ("[]\n", 1, "a head names a table", "[jobs.NAME]"),
    ('[jobs."a]\n', 1, "the quote is not closed", '[jobs."a b"]'),
    ("[jobs.büro]\n", 1, "a head is names with dots", "[jobs.buro]"),
    ('[jobs.a] command = "x"\n', 1, "a line of its own", "down"),
    # keys
    (JOB + "my key = 1\n", 3, "a blank ends it", 'my_key = …, or in quotes: "my key" = …'),
    (JOB + "a/b = 1\n", 3, "`a/b` is not a key", "a_b = …"),
    (JOB + 'description "x"\n', 3, "a `=` is missing behind `description`", 'description = "x"'),
    (JOB + 'description: "x"\n', 3, "write `=` behind a key, not `:`", 'description = "x"'),
    (JOB + "timeout: 30s\n", 3, "write `=` behind a key, not `:`", 'timeout = "30s"'),
    (JOB + 'description => "x"\n', 3, "not `=>`", "description = …"),
    (JOB + "description\n", 3, "stands here alone", "description = …"),
    (JOB + 'timeout == "3s"\n', 3, "a `=` too many", "timeout = …"),
    (JOB + "= 3\n", 3, "a key is missing", "key = value"),
    (JOB + "params = { a = 1, b }\n", 3, "`b` has no value", "b = …"),
    ("jobs:\n  a:\n    command: x\n", 1, "YAML", "[jobs.NAME]"),
    ("- name: a\n", 1, "YAML", "[[jobs.NAME.steps]]"),
    ('{"jobs": {"a": {"command": "x"}}}', 1, "JSON", "[jobs.NAME]"),
    ("0 3 * * * /usr/bin/backup\n", 1, "a line of a crontab", "jobctl import crontab"),
    ("*/5 * * * * root cmd\n", 1, "a line of a crontab", "jobctl import crontab"),
    ('export FOO="bar"\n', 1, "a line for a shell", "env = {"),
    # texts
    ('[jobs.a]\ncommand = "echo "hello""\n', 2, 'a " inside of the text', "command = 'echo \"hello\"'"),
    ('[jobs.a]\ncommand = "echo "hello" world"\n', 2, 'a " inside of the text', "command = 'echo \"hello\" world'"),
    ('[jobs.a]\ncommand = "say "$X" it\'s"\n', 2, 'a " inside', "command = '''say \"$X\" it's'''"),
    ("[jobs.a]\ncommand = 'it's'\n", 2, "a ' inside of the text", "command = '''it's'''"),
    ('[jobs.a]\ncommand = ["sh", "-c", "echo "x""]\n', 2, 'a " inside of the text', "'echo \"x\"'"),
    (STEP + 'compensate = { command = "echo "x"" }\n', 4, 'a " inside of the text', "'echo \"x\"'"),
    ('[jobs.a]\ncommand = "x\ntimeout = "3s"\n', 2, "not closed on its line", '" is missing at its end'),
    ('[jobs.a]\n\ncommand = """\nx\ny\n', 3, "never closed", 'write """ at its end'),
    ("[jobs.a]\ncommand = '''\nx\n", 2, "never closed", "write ''' at its end"),
    (JOB + 'cwd = "C:\\Users\\me"\n', 3, "\\U is no escape", "cwd = 'C:\\Users\\me'"),
    (JOB + 'cwd = "C:\\work"\n', 3, "\\w is no escape", "cwd = 'C:\\work'"),
    (JOB + 'cwd = "\\x41"\n', 3, "\\x is no escape", "single quotes"),
    (JOB + 'description = "\\ud800"\n', 3, "half of a character", "\\U0001F600"),
    (JOB + 'description = "a\x01b"\n', 3, "the control character U+0001", "\\u0001"),
    (JOB + "# a\x1bb\n", 3, "the control character U+001B", "remove it"),
    ("[jobs.a]\ncommand = “echo”\n", 2, "typographic quote", "straight quotes"),
    (JOB + "\u00a0timeout = '3s'\n", 3, "a no-break space", "anew"),
    (JOB + "timeout\u00a0= '3s'\n", 3, "a no-break space", "anew"),
    ('[jobs.a]\ncommand = "a \\\n b"\n', 2, "not closed on its line", "between three double quotes"),
    ("[jobs.a]\ncommand = <<EOF\necho\nEOF\n", 2, "a text of several lines", "command = ''' … '''"),
    ("[jobs.a]\ncommand: |\n  echo\n", 2, "YAML", "command = ''' … '''"),
    (JOB + "cwd = {{ params.x }}\n", 3, "a reference stands in quotes", 'cwd = "{{ params.x }}"'),
    # values
    (JOB + "timeout = 30s\n", 3, "a text without quotes", 'timeout = "30s"'),
    (JOB + "schedule = 0 3 * * *\n", 3, "a text without quotes", 'schedule = "0 3 * * *"'),
    (JOB + "schedule = @daily\n", 3, "a text without quotes", 'schedule = "@daily"'),
    ('[jobs.a]\ncommand = echo "hi"\n', 2, "a text without quotes", "command = 'echo \"hi\"'"),
    (JOB + "tags = [a, b]\n", 3, "a text without quotes", '"a"'),
    (JOB + "pause_on_failure = yes\n", 3, "true and false, not yes", "pause_on_failure = true"),
    (JOB + "pause_on_failure = False\n", 3, "in small letters", "pause_on_failure = false"),
    (JOB + "timezone = null\n", 3, "no word for nothing", "leave the key out"),
    (JOB + "timeout =\n", 3, "the value of `timeout` is missing", "behind the `=`"),
    (JOB + "retry = { maximum_attempts = 03 }\n", 3, "does not begin with 0", "write 3 for the number"),
    (JOB + "params = { a = 01 }\n", 3, "does not begin with 0", "write 1 for the number"),
    (JOB + "params.mode = 0755\n", 3, "does not begin with 0", "0o755"),
    (JOB + "retry = .5\n", 3, "no number as TOML writes it", "0.5"),
    (JOB + "schedule = { at = 2026-13-01 }\n", 3, "no date or time of the calendar", "2026-12-24"),
    (JOB + "schedule = { at = 2026-02-30T10:00:00Z }\n", 3, "no date or time of the calendar", "2026-12-24"),
    (JOB + 'timeout = "3s",\n', 3, "not even a `,`", "remove the `,`"),
    (JOB + 'timeout = "3s";\n', 3, "not even a `;`", "remove the `;`"),
    (JOB + 'timeout = "3s" // x\n', 3, "a comment begins with #", "write #"),
    (JOB + "// x\n", 3, "a comment begins with #", "write #"),
    (JOB + 'timeout = "3s" priority = 3\n', 3, "a line of its own", "begin a new line"),
    # lists and tables in braces
    ('[jobs.a]\ncommand = ["x", "y"\ntimeout = "3s"\n', 2, "the list that begins here is not closed", "`]`"),
    ('[jobs.a]\ncommand = ["x" "y"]\n', 2, "a comma or the `]`", "`,`"),
    ('[jobs.a]\ncommand = [\n"x",\n"y"\n"z"]\n', 4, "a comma is missing behind this line", "`,`"),
    ('[jobs.a]\ncommand = ["x",,"y"]\n', 2, "a comma with nothing in front", "remove it"),
    (JOB + 'retry = { maximum_attempts = 3\n maximum_interval = "3s" }\n', 3, "a comma is missing", "`,`"),
    (JOB + "retry = { maximum_attempts = 3\n[jobs.b]\n", 3, "the table that begins here is not closed", "`}`"),
    (JOB + 'schedule = { cron: "0 3 * * *" }\n', 3, "not `:`", "cron = …"),
    (JOB + "}\n", 3, "closes nothing", "remove it"),
    # said twice
    (JOB + 'command = "y"\n', 3, "the key `command` stands here a second time, the first is in line 2", "rename"),
    ("[jobs.a]\n[jobs.b]\n[jobs.a]\n", 3, "[jobs.a] stands here a second time, the first is in line 1", "together"),
    (JOB + "retry = 3\nretry.maximum_attempts = 3\n", 4, "`jobs.a.retry` is a value in line 3", "rename"),
    (JOB + "retry = 3\n[jobs.a.retry]\n", 4, "`jobs.a.retry` is a value in line 3", "rename"),
    (JOB + 'env = { A = "1" }\n[jobs.a.env]\n', 4, "written in braces in line 3", "in one place"),
    (JOB + 'env = { A = "1" }\nenv.B = "2"\n', 4, "written in braces in line 3", "in one place"),
    ("[jobs.a.steps]\nname = 'a'\n[[jobs.a.steps]]\n", 3, "is one table in line 1", "[[jobs.a.steps]]"),
    ("[[jobs.a.steps]]\nname = 'a'\n[jobs.a.steps]\n", 3, "a list of tables since line 1", "[[jobs.a.steps]]"),
    ("[jobs.a]\nsteps = []\n[[jobs.a.steps]]\n", 3, "has its value in line 2", "[[jobs.a.steps]]"),
    ('jobs.a.command = "x"\njobs.a = 3\n', 2, "`jobs.a` is the table of line 1", "rename"),
    # files of something else
    (JOB + "<<<<<<< HEAD\ntimeout = '3s'\n=======\n>>>>>>> x\n", 3, "conflict markers", "one of the two sides"),
    (JOB + "=======\n", 3, "conflict markers", "one of the two sides"),
    ('[jobs.a]\rcommand = "x"\r', 1, "a carriage return", "Unix line ends"),
]


@pytest.mark.parametrize(("text", "line", "said", "way"), SYNTAX)
def test_what_is_no_toml(text: str, line: int, said: str, way: str) -> None:
    [problem] = problems(text)
    assert (said in problem.message, problem.line) == (True, line), str(problem)
    assert way in problem.hint
    assert "toml.io" not in problem.hint
    assert problem.excerpt is not None
    assert "^" in marker(problem.excerpt)
    assert problem.column > 0


MEANING = [  # the key that is named, what is said, the way out
    # one fault, one error
    ('[job.a]\ncommand = "x"\n', "job", "there is no key `job`", "[jobs.NAME]"),
    ('[backup]\ncommand = "x"\n', "backup", "there is no key `backup`", "[jobs.backup]"),
    ('command = "x"\nschedule = "@daily"\ntimeout = "3s"\n', "command", "without a head", "[jobs.NAME] above them"),
    ('[[steps]]\nname = "a"\ncommand = "x"\n', "steps", "there is no key `steps`", "[[jobs.NAME.steps]]"),
    ('[jobs.a]\ncomand = "x"\n', "comand", "there is no key `comand`", "did you mean `command`?"),
    ('[jobs.a]\nscript = "x"\n', "script", "there is no key `script`", "here it is `command`"),
    ('[[jobs.a.steps]]\nnam = "s"\ncommand = "x"\n', "nam", "there is no key `nam`", "did you mean `name`?"),
    ('[[jobs.a.steps]]\nname = "s"\nslep = "3s"\n', "slep", "there is no key `slep`", "did you mean `sleep`?"),
    (JOB + 'schedule = { evry = "5m" }\n', "schedule.evry", "there is no key `evry`", "did you mean `every`?"),
    (JOB + 'notify = { comand = "x" }\n', "notify.comand", "there is no key `comand`", "did you mean `command`?"),
    ('[jobs.a.env]\nA = "1"\ncommand = "x"\n', "env.command", "one of the names in `env`", "above [jobs.a.env]"),
    ('[jobs.a.params]\nn = 1\ncommand = "x"\n', "params.command", "one of the names", "above [jobs.a.params]"),
    ('[jobs.a.retry]\nmaximum_attempts = 3\ncommand = "x"\n', "retry.command", "no key `command`", "[jobs.a.retry]"),
    ('[[jobs.a.steps]]\nname = "s"\n[jobs.a.steps.env]\ncommand = "x"\n', "env.command", "the step has none", "env"),
    (JOB + '[jobs.a.schedule]\ncron = "0 3 * * *"\ntimeout = "5m"\n', "schedule.timeout", "no key `timeout`", "above"),
    (JOB + "[jobs.a.retry]\nmaximum_attempts = 3\npriority = 3\n", "retry.priority", "no key `priority`", "above"),
    (STEP + "[jobs.a.steps.retry]\nmaximum_attempts = 3\nneeds = []\n", "retry.needs", "no key `needs`", "the step"),
    ('[jobs.a.steps]\nname = "s"\ncommand = "x"\n', "steps", "must be a list", "[[jobs.a.steps]]"),
    ('[jobs.a.steps.one]\ncommand = "x"\n', "steps", "must be a list", '[[jobs.a.steps]] and name = "one"'),
    # blank is empty
    ('[jobs.a]\ncommand = "   "\n', "command", "is blank", "a value"),
    ('[jobs.a]\ncommand = "\\n\\t"\n', "command", "is blank", "a value"),
    ('[jobs.a]\ncommand = [" "]\n', "command[0]", "is blank", '["program", "argument"]'),
    (JOB + 'notify = { command = " " }\n', "notify.command", "is blank", "a value"),
    (STEP + 'only_if = " "\n', "only_if", "is blank", "a value"),
    (STEP + 'compensate = " "\n', "compensate", "is blank", "a value"),
    (JOB + 'cwd = " "\n', "cwd", "is blank", "a value"),
    # the way out is how it is written
    (JOB + 'env = { A = ["a"] }\n', "env.A", "must be text, not a list", "as JSON: A = "),
    (JOB + "env = { A = { b = 1 } }\n", "env.A", "must be text, not a table", "as JSON: A = "),
    (JOB + "schedule = 2026-12-24T18:00:00Z\n", "schedule", "not a date with time", 'at = "2026-12-24T18:00:00+00:00"'),
    (JOB + "schedule = 02:30:00\n", "schedule", "not a time", '"30 2 * * *"'),
    (JOB + "timezone = 3\n", "timezone", "not an integer", 'timezone = "Europe/Berlin"'),
    (JOB + 'timezone = ["UTC"]\n', "timezone", "not a list", 'timezone = "Europe/Berlin"'),
    ('[jobs.a]\ncommand = [["a", "b"]]\n', "command[0]", "must be text, not a list", '["program", "argument"]'),
    ('[jobs.a]\ncommand = { run = "x" }\n', "command", "not a table", 'command = "'),
    (STEP + "needs = 3\n", "needs", "must be a list", 'needs = ["load"]'),
    (STEP + "needs = [1]\n", "needs[0]", "must be a name", '"1"'),
    ('[[jobs.a.steps]]\nname = 5\ncommand = "x"\n', "name", "must be a name", '"5"'),
    (JOB + "overlap = true\n", "overlap", '"buffer_all", "cancel_other"', 'overlap = "skip"'),
    (JOB + 'overlap = "never"\n', "overlap", '"buffer_all", "cancel_other"', 'overlap = "skip"'),
    (JOB + "retry = { non_retryable_exit_codes = [-1] }\n", "retry.non_retryable_exit_codes[0]", "not -1", "= ["),
    (JOB + "retry = -9\n", "retry", "at least 0, not -9", "retry = 3"),
    (JOB + 'timeout = "0s"\n', "timeout", "not `0s`", "a time"),
    (JOB + "keep = 5\n", "keep", "must be a table", "keep = { runs = 100"),
    (JOB + 'params = ["a"]\n', "params", "must be a table", "params = {"),
    (JOB + 'inherit_env = "AWS_*"\n', "inherit_env", "a list", '["AWS_*"]'),
    (JOB + 'pause_on_failure = "yes"\n', "pause_on_failure", "not text", "without quotes: true"),
    ('[[jobs]]\nname = "a"\ncommand = "x"\n', "jobs", "not a list", "[jobs.NAME]"),
    ('[jobs."ünï"]\ncommand = "x"\n', "", "is not a name", ": uni"),
    ('[jobs."naïve café"]\ncommand = "x"\n', "", "is not a name", ": naive-cafe"),
    # schedules
    (JOB + 'schedule = "0 3 * * FRY"\n', "schedule", "FRY", 'did you mean "fri"?'),
    (JOB + 'schedule = "0 3 1 JNA *"\n', "schedule", "JNA", 'did you mean "jan"?'),
    (JOB + 'schedule = "@dayly"\n', "schedule", "@dayly", 'did you mean "@daily"?'),
    (JOB + 'schedule = "0 3 mon * *"\n', "schedule", "mon is no day-of-month", "the day-of-week is the fifth field"),
    (JOB + 'schedule = "0 3 * * mon fri"\n', "schedule", "6 fields", '"0 3 * * mon,fri"'),
    (JOB + 'timeout = "1.5h"\n', "timeout", "is not a duration", '"1h30m"'),
    (JOB + 'timeout = "PT5M"\n', "timeout", "is not a duration", '"5m"'),
    (JOB + 'timeout = "-5s"\n', "timeout", "is not a duration", "leave the sign out"),
    (JOB + 'log_limit = "64M"\n', "log_limit", "is not a size", '"64MiB"'),
    (JOB + 'log_limit = "1.5 gb"\n', "log_limit", "is not a size", '"1500MB"'),
    (STEP + STEP.replace('"s"', '"t"') + 'needs = ["S"]\n', "needs[0]", "no step S", "did you mean `s`?"),
    (JOB + 'schedule = "0 3 * * wen-thr"\n', "schedule", "wen-thr", 'did you mean "wed-thu"?'),
    (JOB + 'schedule = "every day at 3am"\n', "schedule", "in words", '"0 3 * * *"'),
    (JOB + 'schedule = "weekdays at 9"\n', "schedule", "in words", '"0 9 * * mon-fri"'),
    (JOB + 'schedule = "every monday at 9:30 pm"\n', "schedule", "in words", '"30 21 * * mon"'),
    (JOB + 'schedule = "every 5 minutes"\n', "schedule", "in words", '{ every = "5m" }'),
    (JOB + 'schedule = "02:30"\n', "schedule", "in words", '"30 2 * * *"'),
    (JOB + 'schedule = "hourly"\n', "schedule", "in words", '"@hourly"'),
]


@pytest.mark.parametrize(("text", "key", "said", "way"), MEANING)
def test_what_means_nothing(text: str, key: str, said: str, way: str) -> None:
    [problem] = problems(text)
    assert problem.key == key, str(problem)
    assert said in problem.message
    assert way in problem.hint
    assert problem.excerpt is not None


def test_a_name_of_another_script_is_no_name_of_its_remains() -> None:
    [problem] = problems('[jobs."日本-x"]\ncommand = "x"\n')
    assert problem.hint.endswith("begins with a letter or digit")


@pytest.mark.parametrize(
    "text",
    [
        JOB + "password = hunter2\n",
        JOB + 'pasword = "hunter2"\n',
        JOB + "[jobs.a.env]\nFOO = hunter2\n",
        JOB + '[jobs.a.env]\nFOO = "hunter2 "x""\n',
        JOB + '[jobs.a.env]\nFOO = "\\hunter2"\n',
        JOB + "[jobs.a.env]\nFOO = [\n  'hunter2',\n  3\n]\n",
        JOB + '[jobs.a.env]\nFOO = """\nhunter2 \\q\n"""',
        JOB + '[jobs.a.env]\nFOO = """\nhunter2\n',
        JOB + "env = { FOO = hunter2 }\n",
        JOB + "env = {\n  FOO = 'x',\n  BAR = hunter2\n}\n",
        JOB + "env = { FOO = 5, BAR = 'hunter2' }\n",
        JOB + "env.FOO = hunter2\n",
        JOB + "params.api_key = hunter2\n",
        JOB + "params = { n = nan, api_key = 'hunter2' }\n",
        "[defaults.env]\nA = hunter2\n",
        "[defaults]\nenv = { A = hunter2 }\n",
        "token 'hunter2'\n",
        "export TOKEN='hunter2'\n",
        "TOKEN: hunter2\n",
        STEP + "[jobs.a.steps.env]\nA = hunter2\n",
        STEP + "env = { A = 'x', A = 'hunter2' }\n",
        "[jobs.a.env]\n" + "".join(f"A{i} = 'x'\n" for i in range(20_000)) + "B = 1 # hunter2\n",
    ],
)
def test_what_may_be_a_secret_is_not_repeated(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "jobs.toml"
    file.write_text(text)
    for words in (["validate", str(file)], ["validate", "--json", str(file)], ["--file", str(file), "list"]):
        assert main(words) == 2
        printed = "".join(capsys.readouterr())
        assert "jobs.toml" in printed
        assert "hunter2" not in printed


def test_the_line_stands_below_the_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "jobs.toml"
    file.write_text(JOB + '\tdescription = "日本 "x""\n')
    assert main(["validate", str(file)]) == 2
    error, hint, line, carets = capsys.readouterr().out.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert line == '  3 | description = "日本 "x""'
    assert carets == "    | " + " " * 20 + "^"  # two columns for each of the two wide letters
    assert main(["validate", "--json", str(file)]) == 2
    [problem] = json.loads(capsys.readouterr().out)
    assert (problem["line"], problem["column"], problem["source"]) == (3, 20, 'description = "日本 "x""')


def test_what_tomllib_takes_has_no_fault() -> None:
    """Where it does not understand something, it would name the wrong place."""
    texts = [path.read_text() for path in (*ROOT.glob("*.toml"), *ROOT.glob("examples/**/*.toml"))]
    texts += re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    texts += [
        "a = [\n  1, # one\n  [2, 3],\n]\nb = { c = 1,\n  d = [ { e = 2 } ], }\n",
        "a.b = 1\na.c = 2\n[d.e]\nf = 1\n[d]\ng = 2\n[[h.i]]\n[h.i.j]\n[[h.i]]\n[h.i.j]\nk = 1\n",
        'a = """\\\n  x ""y"" \\\n  z"""\nb = \'\'\'it\'s\'\'\'\'\nc = "\\u00e9\\U0001F600\\"\\\\"\n"d e".\'f\' = 1\n',
        "a = +1_000\nb = 0xdead_beef\nc = 0o755\nd = 1e5\ne = -0.5E-2\nf = inf\ng = 1979-05-27 07:32:00.5Z\n",
        "a = 07:32:00\n",
        "a = 1\r\n[b] # c\r\n  c = 'x' # d\r\n",
    ]
    assert len(texts) > 8
    for text in texts:
        assert not isinstance(document.read(text.encode()), Problem)
        assert first_fault(text) is None, text


def test_whatever_is_left_out_is_told_with_a_line_and_a_way_out() -> None:
    """The kind: a fault that nobody thought of."""
    text = (
        '[jobs.a]\nschedule = { cron = "0 3 * * *", jitter = "5m" }\nenv = { A = "1" }\n'
        'tags = ["x",\n "y"]\ntimeout = "3s" # c\ncommand = """\necho\n"""\n[[jobs.a.b.steps]]\n"d e" = \'f\'\n'
    )
    refused = 0
    for at in range(len(text)):
        for instead in ("", '"', "'", "[", "}", ",", "=", "\n", "\\", "0"):
            changed = text[:at] + instead + text[at + 1 :]
            read = document.read(changed.encode())
            if isinstance(read, Problem):
                refused += 1
                assert read.line, changed
                assert read.hint, changed
                assert read.excerpt is not None, (changed, str(read))
    assert refused > 500

"""What the documents say is so: their commands run, their definitions are valid, their tables are those of the code.

The examples have a test each: end_to_end/test_examples.py, test_examples_daemon.py, test_examples_workflows.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from jobctl.cli.codes import EXIT_CODES
from jobctl.cli.table import TABLE
from jobctl.core import kinds
from jobctl.core.definition.schema import FILE, JOB, STEP
from jobctl.core.run.history import TRANSITIONS, EventType

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/jobctl"
DOCUMENTS = {str(path.relative_to(ROOT)): path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
DEFINITIONS = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [ROOT / "jobs.example.toml", *ROOT.glob("examples/*/jobs.toml")]
}
README, ARCHITECTURE = DOCUMENTS["README.md"], DOCUMENTS["docs/architecture.md"]

# A job of jobs.example.toml -> statuses and numbers of attempts of its steps, in a run without parameters.
RUNS = {
    "hello": {"main": ("succeeded", 1)},
    "greet": {"main": ("succeeded", 1)},
    "backup": {"pack": ("succeeded", 1), "verify": ("succeeded", 1), "report": ("succeeded", 1)},
    "retries": {"call": ("succeeded", 3)},
    "batches": {"work": ("succeeded", 2)},
    "release": {
        "docs": ("succeeded", 1),
        "package": ("succeeded", 1),
        "lint": ("failed", 1),
        "announce": ("skipped", 1),
        "publish": ("succeeded", 1),
        "tell": ("skipped", 0),
        "clean": ("succeeded", 1),
    },
    "thumbnails": {"find": ("succeeded", 1), "picture": ("succeeded", 0), "index": ("succeeded", 1)},
    "convert": {"convert": ("succeeded", 1), "upload": ("succeeded", 1)},
    "trial": {"main": ("succeeded", 3)},
    "invitation": {
        "later": ("succeeded", 0),
        "room": ("succeeded", 1),
        "answer": ("succeeded", 0),
        "consent": ("succeeded", 0),
    },
    "order": {"order": ("skipped", 1)},
    "welcome": {"account": ("succeeded", 0), "letter": ("succeeded", 1)},
    "account": {"create": ("succeeded", 1), "mail": ("succeeded", 1)},
}


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder with what somebody who has read the README would have: the examples."""
    folder = tmp_path / "scratch"
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "jobs.example.toml", folder)
    return folder


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of somebody who works in that folder, which is the home folder too."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("JOBCTL_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "JOBCTL_STATE_DIR": str(folder / "state"),
    }


def call(folder: Path, *command: str, text: str = "") -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command in that folder."""
    done = subprocess.run(
        command, cwd=folder, env=surroundings(folder), input=text, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


def blocks(document: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without heads and emphasis."""
    section = document.split(f"\n{heading}\n")[1].split("\n## ")[0]
    found = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip(" |`") for cell in row] for row in found if set("".join(row)) != {"-"}][1:]


@pytest.mark.parametrize("name", [name for name, text in DOCUMENTS.items() if blocks(text, "sh")])
def test_commands_of_documents_run(name: str, scratch: Path) -> None:
    code, output, errors = call(scratch, "sh", "-eu", text="".join(blocks(DOCUMENTS[name], "sh")))
    assert code == 0, output + errors


def test_commands_for_a_server_run_beside_a_daemon(scratch: Path) -> None:
    assert call(scratch, "jobctl", "init")[0] == 0
    daemon = subprocess.Popen(
        ["jobctl", "daemon"], cwd=scratch, env=surroundings(scratch), stderr=subprocess.PIPE, text=True
    )
    try:
        assert daemon.stderr is not None
        assert "ready" in daemon.stderr.readline()
        code, output, errors = call(scratch, "sh", "-eu", text="".join(blocks(README, "sh server")))
        assert code == 0, output + errors
    finally:
        daemon.terminate()
        daemon.communicate(timeout=60)
    [detached] = re.findall(r"^(flaky-\w{6})$", output, re.MULTILINE)
    assert call(scratch, "jobctl", "daemon", "--once")[0] == 0  # what the daemon left
    assert call(scratch, "jobctl", "status", detached, "--exit-status")[0] == 0


def test_the_crontab_becomes_the_definition_below_it(scratch: Path) -> None:
    [crontab], definition = blocks(README, "crontab"), blocks(README, "toml")[-1]
    code, output, errors = call(scratch, "jobctl", "import", "crontab", "-", text=crontab)
    assert (code, output) == (0, definition), errors


@pytest.mark.parametrize("name", [name for name, text in DOCUMENTS.items() if blocks(text, "toml")])
def test_definitions_of_documents_are_valid(name: str, scratch: Path) -> None:
    for definition in blocks(DOCUMENTS[name], "toml"):
        code, _, errors = call(scratch, "jobctl", "validate", "-", text=definition)
        assert code == 0, errors


def test_the_durable_scripts_of_the_concepts_run(scratch: Path) -> None:
    concepts = DOCUMENTS["docs/concepts.md"].split("## Durable scripts")[1]
    [definition], [script] = blocks(concepts, "toml"), blocks(concepts, "python")
    (scratch / "script.py").write_text(script)
    python = f'[jobs.python]\ncommand = ["{sys.executable}", "script.py"]\n'
    (scratch / "jobs.toml").write_text(definition + python)
    for job, log, suspensions in (
        ("reminder", "opened\nreminded account-7, 1\nreminded account-7, 2\n", 4),
        ("python", "opened\n", 2),
    ):
        (scratch / "log").unlink(missing_ok=True)
        code, output, errors = call(scratch, "jobctl", "--json", "run", job)
        assert code == 0, errors
        [step] = json.loads(output.splitlines()[-1])["steps"]
        assert [attempt["status"] for attempt in step["attempts"]] == ["suspended"] * suspensions + ["succeeded"]
        assert (scratch / "log").read_text() == log


def mentioned() -> list[str]:
    """Commands in running text, in blocks that no test runs, and in the comments of definitions."""
    found = []
    for text in DOCUMENTS.values():
        found += re.findall(r"`(jobctl [^`]+)`", re.sub(r"\s+", " ", text))
        found += re.findall(r"^(jobctl .*?)(?:  .*)?$", "".join(blocks(text, "sh crontab")), re.MULTILINE)
    for text in DEFINITIONS.values():
        found += re.findall(r"^# +(?:[A-Z]+=\w+ )?(jobctl .*?)(?:  .*)?$", text, re.MULTILINE)
    return sorted(set(found))


@pytest.mark.parametrize("line", mentioned())
def test_commands_in_running_text_exist(line: str) -> None:
    # What stands behind `--` is another command's.
    words = [word for word in shlex.split(line.partition(" -- ")[0]) if word != "|"][1:]
    said = f" {' '.join(words)} "
    name = max((name for name in TABLE if f" {name} " in said), key=len, default="")
    rest = said.partition(f" {name} ")[2].split() if name else words
    assert not TABLE[name].group or all(word.startswith("-") for word in rest)
    options = {*TABLE[""].by_name, *TABLE[name].by_name}
    assert {word.split("=")[0] for word in words if word.startswith("-")} <= options


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    text = DOCUMENTS[name]
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    missing = [link for link in links if not ((ROOT / name).parent / link).exists()]
    files = re.findall(r"`((?:tests|examples|docs|src)/[\w./-]+)`", text)
    assert missing + [file for file in files if not (ROOT / file).exists()] == []


def test_the_picture_is_of_this_example() -> None:
    picture = (ROOT / "docs/picture.svg").read_text().replace("&#160;", " ")
    for text in ("jobctl run hello", "Killed", "jobctl resume hello", "succeeded in"):
        assert text in picture


# -- set-up --------------------------------------------------------------------------------------------------------


def test_the_first_command_sets_up_and_runs_a_job(tmp_path: Path) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        pytest.skip("python3-venv is not installed")
    copy = tmp_path / "jobctl"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    base = Path(getattr(sys, "_base_executable", sys.executable)).parent
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("JOBCTL_", "PYTHON"))}
    environment.update(PATH=f"{base}:{os.environ['PATH']}", JOBCTL_STATE_DIR=str(tmp_path / "state"))
    done = subprocess.run(
        ["sh", "-c", blocks(README, "sh setup")[0]],
        cwd=copy,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "No matching distribution" in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "next attempt in" in said
    assert "is taken up again" in said
    assert re.search(r"hello-\w{6} succeeded", said)


def test_the_second_command_is_what_ci_runs() -> None:
    _, tests = blocks(README, "sh setup")
    assert re.search(rf"^ *{re.escape(tests.strip())} \|\| code=\$\?$", (ROOT / ".ci/run").read_text(), re.MULTILINE)


# -- the annotated definitions -------------------------------------------------------------------------------------


def test_the_annotated_file_is_valid(scratch: Path) -> None:
    code, output, errors = call(scratch, "jobctl", "--json", "validate", "jobs.example.toml")
    assert code == 0, errors
    assert json.loads(output) == []


def test_the_annotated_file_shows_every_key_that_works() -> None:
    text = DEFINITIONS["jobs.example.toml"]
    keys = {*FILE.keys, *JOB.keys, *STEP.keys}
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} == set()


def test_every_job_of_the_annotated_file_has_an_expected_run() -> None:
    assert set(re.findall(r"^\[jobs\.(\w+)\]", DEFINITIONS["jobs.example.toml"], re.MULTILINE)) == set(RUNS)


@pytest.mark.parametrize("job", RUNS)
def test_a_job_of_the_annotated_file_runs(job: str, scratch: Path) -> None:
    code, output, errors = call(scratch, "jobctl", "--json", "--file", "jobs.example.toml", "run", job)
    assert code == 0, errors
    run = json.loads(output.splitlines()[-1])
    assert {step["name"]: (step["status"], len(step["attempts"])) for step in run["steps"]} == RUNS[job]


# -- tables --------------------------------------------------------------------------------------------------------


def test_the_exit_codes_are_those_of_the_code() -> None:
    said = {row[1].replace(" ", "_"): int(row[0]) for row in rows(README, "## Exit codes")}
    assert {status: said[status] for status in EXIT_CODES} == EXIT_CODES


def test_the_kinds_of_steps_and_their_keys_are_those_of_the_table() -> None:
    text = DOCUMENTS["docs/kinds.md"].split("\n## ")[0]
    table = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    said = [(row[0], row[1], row[2], (row[3] if len(row) > 3 else "").strip(" |")) for row in table]

    def keys(names: Iterable[str]) -> str:
        return " ".join(f"`{name}`" for name in names)

    assert said == [
        (row.kind.value, keys(row.names), row.way.value, keys(sorted(row.beside))) for row in kinds.KINDS.values()
    ]
    everywhere = {key for key, spec in STEP.keys.items() if not spec.beside} - {*kinds.NAMES}
    [sentence] = [part for part in text.split("\n\n") if part.startswith("`name`")]
    assert everywhere == {*re.findall("`([a-z_]+)`", sentence.partition(" are for all")[0])}


def test_the_map_is_the_tree() -> None:
    """What it names exists, and every file has its line; cli/, one file per command, has one."""
    drawn = ARCHITECTURE.split("src/jobctl/\n")[1].split("```")[0]
    named = set()
    folders: list[str] = []  # those that we are in
    for indent, name in re.findall(r"^( +)([\w.]+(?:/|\.py|\.sql))(?: |$)", drawn, re.MULTILINE):
        del folders[len(indent) // 2 - 1 :]
        named.add("".join(folders) + name)
        if name.endswith("/"):
            folders.append(name)
    files = [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.sql")]
    tree = {str(path.relative_to(SOURCE)) for path in files if not path.name.startswith("__")}
    assert {name for name in named if not (SOURCE / name).exists()} == set()
    assert {name for name in tree - named if not name.startswith("cli/")} == set()


def test_the_events_are_those_of_the_code() -> None:
    assert [row[0] for row in rows(ARCHITECTURE, "## 6. The events")] == [str(kind) for kind in EventType]


def test_the_life_of_a_run_is_that_of_the_code() -> None:
    said = {
        (None if status == "-" else status, event): after
        for statuses, event, after in rows(ARCHITECTURE, "## 7. The life of a run")
        for status in statuses.split(", ")
        if event != "run_ended"
    }
    assert said == {(status and str(status), str(event)): str(after) for (status, event), after in TRANSITIONS.items()}


def test_an_attempt_has_the_environment_that_is_documented(scratch: Path) -> None:
    (scratch / "jobs.toml").write_text(
        """
        [defaults]
        env = { A = "defaults", B = "defaults", C = "defaults", D = "defaults" }
        [jobs.look]
        params = { day = "monday" }
        env_file = "env"
        env = { C = "job", D = "job" }
        retry = { maximum_attempts = 2, initial_interval = "10ms" }
        [[jobs.look.steps]]
        name = "look"
        env = { D = "step" }
        command = 'env; echo 1 >> "$JOBCTL_HEARTBEAT"; [ "$JOBCTL_ATTEMPT" = 2 ] && echo x=1 >> "$JOBCTL_OUTPUT"'
        compensate = "env"
        [[jobs.look.steps]]
        name = "fail"
        command = "exit 1"
        """
    )
    (scratch / "env").write_text("B=file\nC=file\nD=file\n")
    _, output, _ = call(scratch, "jobctl", "--json", "run", "look")
    look = json.loads(output.splitlines()[-1])["steps"][0]
    logs = [look["attempts"][-1]["log"], look["compensation"]["attempts"][0]["log"]]
    forward, undo = (dict(line.split("=", 1) for line in Path(log).read_text().splitlines()) for log in logs)

    assert [forward[name] for name in "ABCD"] == ["defaults", "file", "job", "step"]
    section = ARCHITECTURE.split("## 5.")[1].split("## 6.")[0]
    said = {name.replace("<NAME>", "DAY") for name in re.findall(r"`(JOBCTL_[A-Z_]+(?:<NAME>)?)`", section)}
    only_undo = {"JOBCTL_STEP_STATUS", "JOBCTL_OUTPUT_DAY"}
    ours = {name for name in forward if name.startswith("JOBCTL_")}
    only_items = {"JOBCTL_ITEM", "JOBCTL_ITEM_INDEX"}  # tests/engines/local/test_items.py
    only_notices = {
        "JOBCTL_STATUS",
        "JOBCTL_REASON",
        "JOBCTL_TRIGGER",
        "JOBCTL_MISSED",
    }  # tests/engines/local/test_notifications.py
    assert ours == said - only_undo - only_items - only_notices - {"JOBCTL_FIRE_TIME", "JOBCTL_"}
    assert {name for name in undo if name.startswith("JOBCTL_")} - ours == {"JOBCTL_STEP_STATUS", "JOBCTL_OUTPUT_X"}
    # A shell adds some of its own.
    inherited = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"}
    others = {name for name in forward if not name.startswith(("JOBCTL_", "LC_"))}
    assert others - inherited - set("ABCD") <= {"PWD", "SHLVL", "_"}


def test_the_files_that_a_run_goes_through_are_there() -> None:
    named = set(re.findall(r"`([a-z_/]+\.py)`", DOCUMENTS["docs/a-runs-day.md"]))
    assert {name for name in named if not (ROOT / "src" / "jobctl" / name).exists()} == set()
    assert (
        {str(kind) for kind in EventType} >= set(re.findall(r"\*\*`(\w+)`", DOCUMENTS["docs/a-runs-day.md"])) != set()
    )

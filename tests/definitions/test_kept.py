"""What is kept of definitions files is what stands in them; when it is not believed; that it is never missed."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobctl.core.errors import DefinitionError
from jobctl.core.model import Queue, encode, encode_in_order
from jobctl.definitions import files as definitions
from jobctl.definitions import kept

ROOT = Path(__file__).parents[2]
DEFINITIONS = [ROOT / "jobs.example.toml", *sorted(ROOT.glob("examples/*/jobs.toml"))]
FILE = """\
[queues.slow]
concurrency = 2
priority = 7

[jobs.a]
schedule = { every = "1h" }
queue = "slow"
params = { z = "1", day = { type = "date" }, many = { type = "list", default = ["x"] } }
env = { Z = "1", A = "2" }
[[jobs.a.steps]]
name = "first"
job = "b"
[[jobs.a.steps]]
name = "second"
command = ["true", "{{ params.z }}"]

[jobs.b]
command = "true"
"""
SECRET = """\
[jobs.a]
[[jobs.a.steps]]
name = "child"
job = "quiet"

[jobs.quiet]
command = "curl"
env = { TOKEN = "hunter22" }
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The definitions files whose text was looked at."""
    seen: list[str] = []
    understand = definitions.understand
    monkeypatch.setattr(definitions, "understand", lambda path, *more: (seen.append(path), understand(path, *more))[1])
    return seen


def _write(folder: Path, text: str = FILE, name: str = "jobs.toml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def _entry(state: Path) -> Path:
    (found,) = (state / "cache").iterdir()
    return found


@pytest.mark.parametrize("file", DEFINITIONS, ids=lambda path: path.parent.name)
def test_what_is_kept_is_what_the_file_says(file: Path, state: Path, reads: list[str]) -> None:
    read = definitions.read_files([str(file)])
    reads.clear()
    first, second = (kept.catalog([str(file)], str(state)) for _ in range(2))
    assert first == read
    assert list(second.jobs) == list(read.jobs)
    assert dict(second.jobs) == dict(read.jobs)
    assert second.queues == read.queues
    for name, job in read.jobs.items():
        assert encode(second.jobs[name]) == encode(job)
        assert encode_in_order(second.jobs[name]) == encode_in_order(job)
    assert reads[0] == str(file)
    # A second time only for jobs that have secrets.
    assert len(reads) == 1 + (None in json.loads(_entry(state).read_text().split("\n")[2]).values())


def test_a_file_is_understood_once(state: Path, reads: list[str], tmp_path: Path) -> None:
    file = _write(tmp_path)
    first = kept.catalog([file], str(state))
    again = kept.catalog([file], str(state))
    assert reads == [file]
    assert again.jobs["a"] == first.jobs["a"]
    assert again.jobs["a"].children == {"b": first.jobs["b"]}
    assert again.queues == {"slow": Queue("slow", 2, 7)}
    assert "c" not in again.jobs
    with pytest.raises(KeyError):
        again.jobs["c"]
    assert os.stat(_entry(state)).st_mode & 0o777 == 0o600
    assert os.stat(_entry(state).parent).st_mode & 0o777 == 0o700


def _one_bit(word: bytes) -> Callable[[Path], object]:
    def damage(entry: Path) -> None:
        data = bytearray(entry.read_bytes())
        data[data.index(word)] ^= 1
        entry.write_bytes(data)

    return damage


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda file, _: file.write_text(FILE.replace("1h", "2h")), id="other content"),
        pytest.param(lambda file, _: file.parent.joinpath("moved").write_text(""), id="nothing"),
        pytest.param(lambda file, _: os.utime(file, ns=(0, 0)), id="other time"),
        pytest.param(lambda _, patch: patch.setenv("TZ", "Asia/Tokyo"), id="other zone"),
        pytest.param(lambda _, patch: patch.setattr("jobctl.__version__", "99"), id="other version"),
        pytest.param(lambda _, patch: patch.setattr("sys.hexversion", 1), id="other Python"),
        pytest.param(lambda _, patch: patch.setattr(kept, "_rules", lambda: [1, 2]), id="other rules"),
    ],
)
def test_it_is_read_again_when_what_it_depends_on_is_another(
    change: Callable[..., object],
    state: Path,
    reads: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    file = Path(_write(tmp_path))
    kept.catalog([str(file)], str(state))
    change(file, monkeypatch)
    for _ in range(2):
        assert list(kept.catalog([str(file)], str(state)).jobs) == ["a", "b"]
    same = "nothing" in request.node.name or "other time" in request.node.name
    assert len(reads) == (1 if same else 2)
    assert len(list((state / "cache").iterdir())) == 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda entry: entry.write_text("{"), id="no JSON"),
        pytest.param(lambda entry: entry.write_text("[]\n[]"), id="other JSON"),
        pytest.param(lambda entry: entry.write_bytes(entry.read_bytes()[:-1]), id="cut off"),
        pytest.param(lambda entry: entry.write_bytes(b"[" * 200_000 + b"\n"), id="deep"),
        pytest.param(_one_bit(b"every 1h"), id="a bit of what is kept"),
        pytest.param(_one_bit(b"second"), id="a bit of a definition"),
        pytest.param(lambda entry: entry.write_bytes(b""), id="empty"),
        pytest.param(lambda entry: os.truncate(entry, kept.LARGEST + 1), id="oversized"),
        pytest.param(lambda entry: entry.chmod(0o666), id="writable by others"),
        pytest.param(
            lambda entry: os.chown(entry, 65534, -1),
            id="somebody else's",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away"),
        ),
        pytest.param(lambda entry: (entry.unlink(), os.mkfifo(entry)), id="a pipe"),
        pytest.param(lambda entry: (entry.unlink(), entry.symlink_to("/dev/zero")), id="a device"),
        pytest.param(lambda entry: entry.unlink(), id="gone"),
        pytest.param(lambda entry: shutil.rmtree(entry.parent), id="all gone"),
    ],
)
def test_what_is_no_entry_of_ours_is_replaced(
    damage: Callable[[Path], object], state: Path, reads: list[str], tmp_path: Path
) -> None:
    file = _write(tmp_path)
    expected = definitions.read_files([file])
    reads.clear()
    kept.catalog([file], str(state))
    entry = _entry(state)
    damage(entry)
    assert kept.catalog([file], str(state)) == expected
    assert dict(kept.catalog([file], str(state)).jobs) == expected.jobs
    assert len(reads) == 2
    assert _entry(state) == entry
    assert entry.is_file()


def test_a_folder_where_nothing_can_be_written_changes_nothing(state: Path, reads: list[str], tmp_path: Path) -> None:
    file = _write(tmp_path)
    (state / "cache").write_text("")  # a folder of this name cannot be made, by root neither
    for _ in range(2):
        assert list(kept.catalog([file], str(state)).jobs) == ["a", "b"]
    assert len(reads) == 2


def test_a_full_disk_changes_nothing_and_leaves_nothing(small_disk: Path, reads: list[str], tmp_path: Path) -> None:
    file = _write(tmp_path)
    full = small_disk / "full"
    (small_disk / "cache").mkdir()
    with full.open("wb", buffering=0) as target:
        try:
            while True:
                target.write(b"x" * 4096)
        except OSError:
            pass
    for _ in range(2):
        assert list(kept.catalog([file], str(small_disk)).jobs) == ["a", "b"]
    assert len(reads) == 2
    assert list((small_disk / "cache").iterdir()) == []


def test_without_a_state_folder_nothing_is_kept(state: Path, tmp_path: Path) -> None:
    state.rmdir()
    for folder in (str(state), ""):
        assert list(kept.catalog([_write(tmp_path)], folder).jobs) == ["a", "b"]
    assert not state.exists()


def _call_often(file: str, state: str, expected: int) -> None:
    for _ in range(60):
        if len(kept.catalog([file], state).jobs["a"].steps) != expected:
            os._exit(1)


def test_two_processes_at_once_are_in_nobodys_way(state: Path, tmp_path: Path) -> None:
    one, other = _write(tmp_path), _write(tmp_path, SECRET, "other.toml")
    # Both names are given the same entry.
    processes = [
        multiprocessing.get_context("fork").Process(target=_call_often, args=(file, str(state), steps))
        for file, steps in ((one, 2), (one, 2), (other, 1))
    ]
    for process in processes:
        process.start()
    for _ in range(30):
        shutil.rmtree(state / "cache", ignore_errors=True)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]


def test_secrets_are_not_kept(state: Path, reads: list[str], tmp_path: Path) -> None:
    file = _write(tmp_path, SECRET)
    first = kept.catalog([file], str(state))
    again = kept.catalog([file], str(state))
    assert "hunter22" not in _entry(state).read_text()
    assert len(reads) == 1
    assert again.jobs["quiet"].env == {"TOKEN": "hunter22"}
    assert again.jobs["a"] == first.jobs["a"]
    assert again.jobs["a"].children["quiet"].env == {"TOKEN": "hunter22"}
    assert len(reads) == 2


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ('[jobs.a]\ncommand = "true"\n', "a job of this name is also defined in"),
        ('[queues.slow]\nconcurrency = 3\n[jobs.c]\ncommand = "true"\n', "is defined differently in another file"),
        ('[jobs.c]\ncomand = "true"\n', "comand"),
    ],
)
def test_what_is_wrong_is_said_as_if_nothing_were_kept(second: str, said: str, state: Path, tmp_path: Path) -> None:
    files = [_write(tmp_path), _write(tmp_path, second, "second.toml")]
    for file in files:
        try:
            kept.catalog([file], str(state))
        except DefinitionError:
            pass
    problems = []
    for call in (lambda: definitions.read_files(files), *[lambda: kept.catalog(files, str(state))] * 2):
        with pytest.raises(DefinitionError) as caught:
            call()
        problems.append([str(problem) for problem in caught.value.problems])
    assert problems[0] == problems[1] == problems[2]
    assert said in problems[0][0]


def test_two_files_are_one_catalog(state: Path, reads: list[str], tmp_path: Path) -> None:
    files = [_write(tmp_path), _write(tmp_path, '[jobs.c]\ncommand = "true"\nqueue = "slow"\n', "second.toml")]
    (tmp_path / "second.toml").write_text('[jobs.c]\ncommand = "true"\n')
    expected = definitions.read_files(files)
    reads.clear()
    for _ in range(2):
        found = kept.catalog(files, str(state))
        assert (list(found.jobs), dict(found.jobs), found.queues) == (["a", "b", "c"], expected.jobs, expected.queues)
    assert len(reads) == 2


def test_a_file_that_is_broken_keeps_the_others_kept(state: Path, reads: list[str], tmp_path: Path) -> None:
    good, bad = _write(tmp_path), _write(tmp_path, "[jobs", "bad.toml")
    with pytest.raises(DefinitionError):
        kept.catalog([good, bad], str(state))
    kept.catalog([good], str(state))
    assert reads == [good, bad]


def test_of_many_entries_the_oldest_go(state: Path, tmp_path: Path) -> None:
    for number in range(kept.MOST + 5):
        file = _write(tmp_path, FILE, f"{number}.toml")
        kept.catalog([file], str(state))
        if number == 0:
            os.utime(first := _entry(state), ns=(0, 0))
    assert len(list((state / "cache").iterdir())) == kept.MOST
    assert not first.exists()


def test_an_entry_is_three_lines_of_json(state: Path, tmp_path: Path) -> None:
    kept.catalog([_write(tmp_path)], str(state))
    head, body, texts = _entry(state).read_text().split("\n")
    assert json.loads(head)[0] == kept.jobctl.__version__
    assert re.fullmatch("[0-9a-f]{64}", json.loads(head)[-1])
    assert [job["job"] for job in json.loads(body)["jobs"]] == ["a", "b"]
    assert list(json.loads(texts)) == ["a", "b"]


@pytest.mark.parametrize("command", ["validate", "doctor", "status --check"])
def test_who_checks_neither_asks_nor_writes(command: str, state: Path, tmp_path: Path) -> None:
    _write(tmp_path)
    environ = {**os.environ, "JOBCTL_STATE_DIR": str(state), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "jobctl", *command.split()], env=environ, capture_output=True, check=False)
    assert not (state / "cache").exists()

"""What a command writes into its attempt's files is bounded by what is read of them, also while it goes on writing."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import Daemons

from jobctl.process import attempt, sizes

MIB = 1024 * 1024


@pytest.mark.parametrize("lines", [100, 20_000, 400_000])
def test_of_heartbeats_the_last_line_is_kept(tmp_path: Path, lines: int) -> None:
    base = str(tmp_path / "main.1")
    path = Path(base + ".heartbeat")
    path.write_text("".join(f"{number}\n" for number in range(lines)) + "half a li")
    os.utime(path, ns=(5, 7_000_000))
    before = attempt.read_cursor(str(path))
    sizes.keep(base, 0)
    assert path.stat().st_size <= 64 * 1024 + 1
    assert attempt.read_cursor(str(path)) == before == str(lines - 1)
    assert path.stat().st_mtime_ns == 7_000_000  # to cut it is no sign of life


def test_an_output_file_that_is_too_large_stays_too_large(tmp_path: Path) -> None:
    base = str(tmp_path / "main.1")
    path = Path(base + ".output")
    path.write_bytes(b"a=b\n" * MIB)
    for _ in range(2):
        sizes.keep(base, 0)
        assert path.stat().st_size == MIB + 1
        with pytest.raises(attempt.FileError, match="the limit"):
            attempt.read_outputs(str(path))


@pytest.mark.parametrize("kind", ["folder", "link", "missing"])
def test_what_is_no_file_is_left(tmp_path: Path, kind: str) -> None:
    base = str(tmp_path / "main.1")
    other = tmp_path / "other"
    other.write_bytes(b"x" * 3 * MIB)
    for suffix in (*sizes.MOST, ".log"):
        if kind == "folder":
            os.mkdir(base + suffix)
        elif kind == "link":
            os.symlink(other, base + suffix)
    sizes.keep(base, 4096)
    assert other.stat().st_size == 3 * MIB


@pytest.mark.parametrize(
    ("file", "most"),
    [("HEARTBEAT", 64 * 1024), ("OUTPUT", MIB), ("FAILURE", 64 * 1024)],
    ids=["heartbeat", "output", "failure"],
)
def test_a_flood_is_cut_while_it_goes_on(home: Callable[[str], Daemons], file: str, most: int) -> None:
    """`yes` left 547 MiB of heartbeats, and 309 MiB of outputs."""
    place = home(
        f"[jobs.x]\ncommand = 'yes >> $JOBCTL_{file} & until [ -e go ]; do sleep 0.02; done; kill $!; exit 3'\n"
    )
    process = place.start("run", "x")
    seen: list[int] = []

    def shrank() -> bool:
        for path in place.state.glob(f"runs/*/main.1.{file.lower()}"):
            seen.append(path.stat().st_size)
        return len(seen) > 1 and seen[-1] < seen[-2]

    place.until(shrank)
    place.go()
    process.communicate(timeout=30)
    assert process.returncode == 1
    (path,) = place.state.glob(f"runs/*/main.1.{file.lower()}")
    assert path.stat().st_size <= most + 1


def test_a_log_is_looked_at_soon_and_often_while_it_grows_fast(home: Callable[[str], Daemons]) -> None:
    """Between two looks, a second apart, a log grew by gigabytes."""
    place = home("[jobs.x]\nlog_limit = '1MiB'\ncommand = 'yes & until [ -e go ]; do sleep 0.02; done; kill $!'\n")
    process = place.start("run", "x", "--quiet")
    seen: list[int] = []

    def shrank() -> bool:
        for path in place.state.glob("runs/*/main.1.log"):
            seen.append(path.stat().st_size)
        return sum(after < before for before, after in itertools.pairwise(seen)) > 3

    place.until(shrank)
    place.go()
    process.communicate(timeout=30)
    (path,) = place.state.glob("runs/*/main.1.log")
    assert path.stat().st_size <= MIB


# what fills the folder of its run (it is known from JOBCTL_OUTPUT) -> the files are seen whatever they are called
FILLS = {
    "a file": "yes >> fill",
    "a file in a folder": "mkdir -p a/b && yes >> a/b/fill",
    "many files": "n=0; while :; do n=$((n+1)); head -c 100000 /dev/zero > fill.$n; done",
    "its log": "yes",
}


@pytest.mark.parametrize("what", FILLS)
def test_a_run_whose_files_pass_its_limit_has_failed_and_is_cleaned_up(
    home: Callable[[str], Daemons], what: str
) -> None:
    place = home(f"""
[jobs.x]
disk_limit = "4MiB"
log_limit = "1GiB"
kill_grace = "100ms"
retry = 5
[[jobs.x.steps]]
name = "before"
command = "true"
compensate = "echo undone >> undone"
[[jobs.x.steps]]
name = "fills"
command = '''cd "${{JOBCTL_OUTPUT%/*}}"; {FILLS[what]}'''
[[jobs.x.steps]]
name = "clears"
when = "always"
command = '''head -c 8000000 /dev/zero > "${{JOBCTL_OUTPUT%/*}}/more"; sleep 0.3; echo cleared >> cleared'''
""")
    code, output = place.call("run", "x")
    assert code == 1
    assert "the files of the run take more than its disk_limit of 4 MiB" in output
    document = place.document()
    assert document is not None
    assert [len(step["attempts"]) for step in document["steps"]] == [1, 1, 1]  # again it would not come further
    assert (place.lines("undone"), place.lines("cleared")) == (["undone"], ["cleared"])


def test_what_others_have_written_is_no_runs(home: Callable[[str], Daemons]) -> None:
    place = home('[jobs.x]\ndisk_limit = "1MiB"\ncommand = "head -c 9000000 /dev/zero > mine; sleep 0.4"\n')
    assert place.call("run", "x")[0] == 0


def test_a_file_with_holes_takes_what_it_has(tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as file:
        file.truncate(100 * MIB)
    os.symlink("/", tmp_path / "link")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x" * MIB)
    assert MIB <= sizes.taken(str(tmp_path)) < 2 * MIB
    assert sizes.taken(str(tmp_path / "gone")) == 0

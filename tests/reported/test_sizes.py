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

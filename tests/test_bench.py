"""The benchmarks: each figure's code runs, in a tiny size, and gives numbers that can be. Speed is not asked for."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

# What each row must hold: its beginning, its unit, and the least and the most that its value can be anywhere.
EXPECTED: dict[str, list[tuple[str, str, float, float]]] = {
    "parallel": [("2 runs x 10 steps", "steps/s", 1, 50_000)],
    "chain": [("one run of 5 steps", "steps/s", 1, 20_000)],
    "items": [("20 foreach items", "items/s", 1, 50_000)],
    "startup": [
        ("jobctl --version", "ms", 1, 60_000),
        ("jobctl --help", "ms", 1, 60_000),
        ("jobctl status", "ms", 1, 60_000),
        ("jobctl status, with a cron schedule", "ms", 1, 60_000),
        ("jobctl run, one step", "ms", 1, 60_000),
        ("jobctl step x -- true", "ms", 1, 60_000),
        ("jobctl heartbeat 7", "ms", 1, 60_000),
    ],
    "memory": [("jobctl run", "MiB", 5, 500)],
    "heartbeats": [("500 of a shell loop", "ms", 0.1, 60_000), ("events that 500 add", "rows", 0, 0)],
    "logs": [("logs --tail 20 of 1 MB", "ms", 1, 60_000), ("logs --tail 20 of 1 MB, peak RSS", "MiB", 5, 500)],
    # What one job more costs is a difference: in so small a size it may be below nothing.
    "validate": [("100 jobs", "s", 0.001, 60), ("each of 100 jobs", "ms", -1000, 1000)],
    "database": [("a run of 10 steps", "bytes", 500, 20_000)],
    "lateness": [
        ("5 jobs due at once, p50", "ms", 0.1, 60_000),
        ("5 jobs due at once, p99", "ms", 0.1, 60_000),
        ("5 jobs due at once, the first", "ms", 0.1, 60_000),
    ],
    "detach": [("run --detach: exit to first line", "ms", -60_000, 60_000)],  # it may be there before the exit
    "two_daemons": [
        ("two daemons, 2 firings a second, 1 s, p50", "ms", 0.1, 60_000),
        ("two daemons, 2 firings a second, 1 s, p99", "ms", 0.1, 60_000),
        ("two daemons, 2 firings a second, 1 s: twice or missing", "firings", 0, 0),
    ],
    "saga": [("2 runs x 3 steps, one fails, two compensations", "steps/s", 1, 100_000)],
    "sleepers": [
        ("1,000 runs sleep: RSS", "MiB", 5, 500),
        ("1,000 runs sleep: processor time", "%", 0, 100),
        ("1,000 runs sleep, 10 due at once: the last starts after", "s", 0, 60),
    ],
    "idle": [
        ("10 schedules, none due: RSS", "MiB", 5, 500),
        ("10 schedules, none due: wake-ups", "/s", 0, 1000),
        ("10 schedules, none due: processor time", "%", 0, 100),
    ],
    "schedules": [
        ("100 schedules: start to ready", "s", 0.01, 60),
        ("100 schedules: RSS", "MiB", 5, 500),
        ("100 schedules: each next fire time", "us", 0.1, 100_000),
    ],
    "adoption": [
        ("5 attempts that run: start", "s", 0.01, 60),
        ("5 attempts that run: ready", "s", 0, 60),
    ],
    "keeper": [
        ("memory (PSS)", "MiB", 1, 60),
        ("memory of an attempt", "KiB", -5_000, 5_000),
        ("killed with 5 attempts: all known", "s", 0, 60),
        ("killed with 5 attempts: the next", "s", 0.001, 60),
    ],
    "history": [
        ("1,000 runs: status", "ms", 1, 60_000),
        ("1,000 runs: history --limit 20", "ms", 1, 60_000),
        ("1,000 runs: schedule next", "ms", 1, 60_000),
    ],
    "pruning": [("200 of 2,000 runs removed", "ms", -60_000, 60_000)],
    "growth": [
        (what, unit, least, most)
        for what, unit, least, most in (
            ("jobs: validate, each", "us", 100, 10_000_000),
            ("jobs: validate, memory", "MiB", 5, 500),
            ("runs: carry out, each", "ms", 0.1, 60_000),
            ("runs: carry out, memory", "MiB", 5, 500),
            ("steps of a run: decide, each", "us", 0.1, 100_000),
            ("steps of a run: decide, memory", "MiB", 5, 500),
            ("steps of a run: carry out, each", "ms", 0.1, 60_000),
            ("steps of a run: carry out, memory", "MiB", 5, 500),
            ("runs of history: status", "ms", 1, 60_000),
            ("runs of history: status, memory", "MiB", 5, 500),
            ("runs of history: record an event", "ms", 0.001, 60_000),
        )
        for _ in (5, 10)  # each at both sizes, one after the other
    ],
}


def measured(tmp_path: Path, *args: str, **variables: str) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
    """A call of the command, and the rows it wrote."""
    output = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--size", "tiny", "--dir", str(tmp_path), "--json", str(output), *args],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done, json.loads(output.read_text())["rows"] if output.exists() else []


@pytest.mark.parametrize("figure", EXPECTED)
def test_each_figure_gives_plausible_numbers(figure: str, tmp_path: Path) -> None:
    done, rows = measured(tmp_path, figure)
    assert done.returncode in (0, 1), done.stderr
    assert [row["skipped"] for row in rows] == [None] * len(rows)
    assert [row["figure"] for row in rows] == [figure] * len(EXPECTED[figure])
    for row, (what, unit, least, most) in zip(rows, EXPECTED[figure], strict=True):
        assert row["what"].startswith(what)
        assert row["unit"] == unit
        assert least <= row["value"] <= most, row
        if row["reference"]:
            assert row["ratio"] == pytest.approx(row["value"] / row["reference_value"])  # of one pair
        assert row["what"] in done.stdout, "the table shows what the JSON holds"
    assert list(tmp_path.glob("work-*")) == [], "nothing is left behind"


def test_other_tools_that_are_not_there_are_left_out_with_the_reason(tmp_path: Path) -> None:
    make = tmp_path / "make"
    # Without the real one the figure must work too: this one does its work in no time.
    make.write_text("#!/bin/sh\nexit 0\n")
    make.chmod(0o755)
    done, rows = measured(tmp_path, "others", "--no-install", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode in (0, 1), done.stderr
    by_name = {row["reference"]: row for row in rows}
    assert by_name.pop("make -j2, through sh")["value"] > 0
    assert {name: row["skipped"] for name, row in by_name.items()} == {
        "DBOS on SQLite": "not installed",
        "Huey, fsync": "not installed",
        "APScheduler": "not installed",
        "doit -n 2": "not installed",
    }


@pytest.mark.parametrize(
    ("there", "reason"),
    [((), "there is no cron here"), (("cron",), "there is no unshare here")],
)
def test_without_a_cron_nothing_is_started_beside_it(there: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    for name in there:
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    done, rows = measured(tmp_path, "cron", PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [row["skipped"] for row in rows] == [reason]


def test_a_figure_that_does_not_exist_is_named_with_those_that_do(tmp_path: Path) -> None:
    done, rows = measured(tmp_path, "chian")
    assert done.returncode == 2
    assert rows == []
    assert re.search("no figure 'chian'; there are: parallel, chain, items, others", done.stderr)


@pytest.mark.parametrize(
    ("measured", "compared", "goal", "ratio", "ok"),
    [
        # A pair in which a disturbance hit one of the two does not decide.
        ([90, 95, 20], [100, 100, 100], ("ratio", ">=", 0.85), 0.9, True),
        # One that hit both of a pair is none.
        ([90, 9, 90], [100, 10, 100], ("ratio", ">=", 0.85), 0.9, True),
        ([80, 80, 90], [100, 100, 100], ("ratio", ">=", 0.85), 0.8, False),
        ([20, 30, 22], [10, 10, 10], ("ratio", "<=", 2), 2.2, False),
        ([20, 30, 20], [10, 10, 10], ("ratio", "<=", 2), 2.0, True),
        ([4.9], [], ("value", "<=", 5), None, True),
        ([5.1], [], ("value", "<=", 5), None, False),
        ([350], [300], ("difference", "<=", 100), 350 / 300, True),
        ([410], [300], ("difference", "<=", 100), 410 / 300, False),
        ([50], [], ("difference", "<=", 100), None, None),
        ([5.1], [1], None, 5.1, None),
        ([], [], ("value", "<=", 5), None, None),
    ],
)
def test_the_verdict_is_that_of_the_median_pair(
    measured: list[float],
    compared: list[float],
    goal: tuple[str, str, float] | None,
    ratio: float | None,
    ok: bool | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    figure = importlib.import_module("bench.figure")
    row = figure.Row("x", "y", "ms", measured, "z", compared, figure.Goal(*goal) if goal else None)
    assert row.ratio == (None if ratio is None else pytest.approx(ratio))
    assert row.ok is ok


def test_candidates_take_turns_and_every_other_round_goes_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    measure = importlib.import_module("bench.measure")
    order: list[str] = []

    def candidate(name: str) -> Any:
        def measure_it() -> float:
            order.append(name)
            return len(order)

        return measure_it

    found = measure.in_turns(3, candidate("a"), candidate("b"))
    assert "".join(order) == "abbaab"
    assert found == [[1, 4, 5], [2, 3, 6]]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["/bin/sh", "-c", "echo that is wrong >&2; exit 3"], "exit code 3: that is wrong"),
        (["/bin/sh", "-c", "kill -9 $$"], "exit code -9"),
    ],
)
def test_a_process_that_fails_is_no_measurement(
    command: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    measure = importlib.import_module("bench.measure")
    figure = importlib.import_module("bench.figure")
    with pytest.raises(figure.SkippedError, match=says):
        measure.processes([["/bin/true"], command], 1, folder=tmp_path, environment={})


def test_what_is_measured_keeps_its_bytecode_and_sees_nobodys_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    measure = importlib.import_module("bench.measure")
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "JOBCTL_DEBUG", "JOBCTL_FILE", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, "1")
    found = measure.measured_environment(tmp_path)
    ours = {key: value for key, value in found.items() if key.startswith(("PYTHON", "JOBCTL_", "XDG_"))}
    assert ours == {
        "JOBCTL_STATE_DIR": f"{tmp_path}/state",
        "JOBCTL_FILE": f"{tmp_path}/jobs.toml",
        "XDG_CONFIG_HOME": f"{tmp_path}/config",
    }
    assert found["PATH"] == os.environ["PATH"]


def result(*rows: dict[str, Any]) -> str:
    """A result file with such rows, each with what it says of its own."""
    nothing = dict.fromkeys(("value", "reference", "reference_value", "ratio", "goal", "ok", "skipped", "at"))
    machine = {
        "processors": 2,
        "processor": "CPU",
        "system": "Linux-6",
        "file_system": "ext4",
        "flush_ms": 1.5,
        "python": "3.11.7",
        "sqlite": "3.40.1",
        "load_before": 0.1,
    }
    document = {
        "measured_at": "2026-11-21T10:00:00+00:00",
        "size": "full",
        "machine": machine,
        "rows": [nothing | {"unit": "ms"} | row for row in rows],
    }
    return json.dumps(document)


CHAIN = {"figure": "chain", "what": "one run", "value": 243.2, "reference": "bare loop", "reference_value": 286.0}
GROWN = {"figure": "growth", "what": "runs: each", "reference": "of 10"}


@pytest.mark.parametrize(
    ("rows", "figures", "growth"),
    [
        (
            [CHAIN | {"ratio": 0.85, "goal": ">= 0.65 x", "ok": True}],
            "| `chain`: one run | 243 ms | bare loop: 286 ms | 0.85 x | >= 0.65 x | ok |",
            None,
        ),
        (
            [CHAIN | {"ratio": 0.5, "goal": ">= 0.65 x", "ok": False}],
            "| `chain`: one run | 243 ms | bare loop: 286 ms | 0.50 x | >= 0.65 x | **missed** |",
            None,
        ),
        (
            [{"figure": "others", "what": "steps", "reference": "Huey", "skipped": "not installed"}],
            "| `others`: steps |  | Huey |  |  | not measured: not installed |",
            None,
        ),
        (
            [
                GROWN | {"at": 10, "value": 2.0, "reference_value": 2.0, "ratio": 1.0},
                GROWN | {"at": 1000, "value": 2.2, "reference_value": 2.0, "ratio": 1.1},
                {"figure": "growth", "what": "runs", "at": 100_000, "skipped": "takes hours"},
                {"figure": "growth", "what": "runs", "at": 1_000_000, "skipped": "takes hours"},
            ],
            None,
            "| what | 10 | 1,000 | ratio to |\n| --- | ---: | ---: | --- |\n"
            "| runs: each | 2 ms (1.00 x) | 2.2 ms (1.10 x) | of 10 |\n\n"
            "Not measured: runs of 100,000 and 1,000,000: takes hours.",
        ),
    ],
)
def test_tables_are_written_between_their_markers(
    rows: list[dict[str, Any]], figures: str | None, growth: str | None, tmp_path: Path
) -> None:
    document, output = tmp_path / "x.md", tmp_path / "bench.json"
    document.write_text(
        "before\n<!-- bench:figures -->\nold\n<!-- /bench -->\nbetween\n"
        "<!-- bench:growth -->\nold\n<!-- /bench -->\nafter\n"
    )
    output.write_text(result(*rows))
    for _ in range(2):  # a second time changes nothing
        done, _ = measured(tmp_path, "--write", str(document))
        assert done.returncode == 0, done.stderr
        text = document.read_text()
        assert text.startswith("before\n<!-- bench:figures -->\n")
        assert text.endswith("<!-- /bench -->\nafter\n")
        for table, name in ((figures, "figures"), (growth, "growth")):
            block = text.partition(f"<!-- bench:{name} -->\n")[2].partition("<!-- /bench -->")[0]
            if table is None:
                assert block == "old\n", "what was not measured stays as it was"
            else:
                assert f"\n{table}\n" in block
                assert "2 x CPU, Linux-6, ext4 that takes 1.5 ms for an `fdatasync`" in block
                assert "old" not in block


@pytest.mark.parametrize(
    ("document", "found", "says"),
    [
        ("nothing", result(CHAIN), "there is no place for a table: it goes between <!-- bench:figures -->"),
        ("<!-- bench:figures -->", result(CHAIN), "there is no place for a table"),
        ("<!-- bench:figures --><!-- /bench -->", "{", "measure first: python -m bench --json"),
        ("<!-- bench:figures --><!-- /bench -->", None, "measure first: python -m bench --json"),
    ],
)
def test_a_document_without_a_place_or_a_result_stays_as_it_is(
    document: str, found: str | None, says: str, tmp_path: Path
) -> None:
    (tmp_path / "x.md").write_text(document)
    if found is not None:
        (tmp_path / "bench.json").write_text(found)
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--write", str(tmp_path / "x.md"), "--json", str(tmp_path / "bench.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "x.md").read_text() == document


def test_the_verdict_names_what_is_missed_and_what_was_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    figure, report = importlib.import_module("bench.figure"), importlib.import_module("bench.report")
    goal = figure.Goal("value", "<=", 5)
    rows = [
        figure.Row("a", "reached", "ms", [4.0], goal=goal),
        figure.Row("b", "slow", "ms", [6.0], goal=goal),
        figure.Row("c", "absent", reference="Huey", goal=goal, skipped="not installed"),
        figure.Row("d", "without a goal", "ms", [7.0]),
    ]
    assert report.verdict(rows) == (
        "1 of 3 goals are reached\nmissed: b: slow, <= 5\nnot measured: c: absent, <= 5 Huey"
    )
    assert report.verdict(rows[3:]) == "nothing of this has a goal"


def test_sizes_are_compared_with_the_smallest_where_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    figure, growth = importlib.import_module("bench.figure"), importlib.import_module("bench.growth")
    rows = [
        figure.Row("growth", "a", "ms", [1.0, 2.0, 9.0], at=10),
        figure.Row("growth", "a", "ms", [4.0], at=1000),  # fewer rounds, since each takes longer
        figure.Row("growth", "b", "ms", [3.0], "bare", [1.0], at=1000),
        figure.Row("growth", "a", at=1_000_000, skipped="takes hours"),
    ]
    found = list(growth._beside_the_smallest(rows))
    assert [(row.reference, row.ratio, row.skipped) for row in found] == [
        ("of 10", 1.0, ""),
        ("of 10", 2.0, ""),
        ("bare", 3.0, ""),
        ("", None, "takes hours"),
    ]


def test_measurements_without_a_partner_are_refused_where_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    figure = importlib.import_module("bench.figure")
    with pytest.raises(ValueError, match="x: 2 measurements beside 1"):
        figure.Row("growth", "x", "ms", [1.0, 2.0], "bare", [1.0])

"""The figures as a table for people and as JSON, with the machine they were measured on."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.figure import Row, Size
from jobctl import __version__
from jobctl.host.settings import filesystem

_BUSY = 0.5  # load average at the start: from here on others are at work
_IN_MEMORY = ("tmpfs", "ramfs")
_FLUSHES = 50
_HEADERS = ("figure", "what", "jobctl", "reference", "ratio", "(lowest - highest)", "goal", "")
_RIGHT = (2, 4)


def machine(folder: Path) -> dict[str, Any]:
    """What the numbers depend on, beside jobctl."""
    mounts = Path("/proc/self/mountinfo")
    return {
        "jobctl": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "file_system": filesystem(str(folder.resolve()), mounts.read_bytes() if mounts.exists() else b""),
        "flush_ms": round(_flush_ms(folder / "flush"), 3),
        "load_before": round(os.getloadavg()[0], 2),
    }


def heading(machine: Mapping[str, Any], size: Size) -> str:
    """The machine in a line, and what makes its numbers worth less."""
    lines = [
        f"jobctl {machine['jobctl']}, Python {machine['python']}, SQLite {machine['sqlite']},"
        f" {machine['processors']} x {machine['processor']}, {machine['system']},"
        f" {machine['file_system'] or 'unknown file system'} that takes {machine['flush_ms']:.3g} ms for an fdatasync,"
        f" size: {size}"
    ]
    if machine["load_before"] > _BUSY:
        lines.append(f"note: the load is {machine['load_before']}: others are at work, read the ratios only")
    if machine["file_system"] in _IN_MEMORY:
        lines.append("note: this is a file system in memory, where a commit costs nothing: name a disk with --dir")
    return "\n".join(lines)


def table(rows: Sequence[Row]) -> str:
    """Plain text, as wide as it has to be."""
    lines = [_HEADERS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADERS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in _RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def verdict(rows: Sequence[Row]) -> str:
    """How many goals are reached, and each of those that are not by its name."""
    asked = [row for row in rows if row.goal]
    if not asked:
        return "nothing of this has a goal"
    lines = [f"{sum(row.ok is True for row in asked)} of {len(asked)} goals are reached"]
    for title, ok in (("missed", False), ("not measured", None)):
        lines += [
            f"{title}: {row.figure}: {row.what}, {row.goal} {row.reference}".rstrip() for row in asked if row.ok is ok
        ]
    return "\n".join(lines)


def number(value: float) -> str:
    """As many digits as mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def write(path: Path, rows: Sequence[Row], machine: Mapping[str, Any], size: Size) -> None:
    """The JSON beside the table: each row with all its measurements."""
    document = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": ["python", "-m", "bench", *sys.argv[1:]],
        "size": size,
        "machine": machine,
        "rows": [row.document() for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _cells(row: Row) -> tuple[str, ...]:
    reference = row.reference
    if row.reference_value is not None:
        reference += f": {number(row.reference_value)}"
    return (
        row.figure,
        row.what + (f", {row.at:,}" if row.at else ""),
        "" if row.value is None else f"{number(row.value)} {row.unit}",
        reference,
        "" if row.ratio is None else f"{row.ratio:.2f}",
        f"({min(row.ratios):.2f} - {max(row.ratios):.2f})" if row.ratios else "",
        str(row.goal or ""),
        _verdict(row),
    )


def _verdict(row: Row) -> str:
    if row.skipped:
        return f"not measured: {row.skipped}"
    return {True: "ok", False: "MISSED", None: ""}[row.ok]


def _processor() -> str:
    """Its name as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _flush_ms(path: Path) -> float:
    """What the disk takes for a promise: a page written and flushed (median), in ms."""
    found = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_FLUSHES):
            begin = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            found.append((time.perf_counter() - begin) * 1000)
    path.unlink()
    return median(found)

"""The figures as a table for people and as JSON, with the machine they were measured on."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figure import Row, Size
from jobctl import __version__
from jobctl.settings import filesystem

_BUSY = 0.5  # load average at the start: from here on others are at work
_IN_MEMORY = ("tmpfs", "ramfs")
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
        "processors": os.cpu_count(),
        "file_system": filesystem(str(folder.resolve()), mounts.read_bytes() if mounts.exists() else b""),
        "load_before": round(os.getloadavg()[0], 2),
    }


def heading(machine: Mapping[str, Any], size: Size) -> str:
    """The machine in a line, and what makes its numbers worth less."""
    lines = [
        f"jobctl {machine['jobctl']}, Python {machine['python']}, SQLite {machine['sqlite']},"
        f" {machine['processors']} processors, {machine['file_system'] or 'unknown file system'}, size: {size}"
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
        reference += f": {_number(row.reference_value)}"
    return (
        row.figure,
        row.what,
        "" if row.value is None else f"{_number(row.value)} {row.unit}",
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


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"

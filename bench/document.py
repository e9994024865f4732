"""The tables of a result in a document, between markers: no number is copied by hand. Measures nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.report import number

_GROWTH = "growth"
_END = "<!-- /bench -->"
_VERDICTS = {True: "ok", False: "**missed**", None: ""}


def write_tables(document: Path, result: Path) -> None:
    """Replace what stands between `<!-- bench:NAME -->` and `<!-- /bench -->`; NAME: figures | growth.

    A table of which nothing was measured stays as it was. SystemExit, with a sentence, when the result cannot be read
    or the document has no place for it.
    """
    try:
        found = json.loads(result.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{result}: {error}; measure first: python -m bench --json {result}") from None
    text = document.read_text()
    growth = [row for row in found["rows"] if row["figure"] == _GROWTH]
    figures = [row for row in found["rows"] if row["figure"] != _GROWTH]
    for name, rows, table in (("figures", figures, _figures), ("growth", growth, _growth)):
        if rows:
            lines = [_measured(found), "", *table(rows), ""]
            text = _replaced(text, f"<!-- bench:{name} -->", "\n".join(lines), document)
    document.write_text(text)


def _replaced(text: str, begin: str, block: str, document: Path) -> str:
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(_END)
    if not found or not closed:
        raise SystemExit(f"{document}: there is no place for a table: it goes between {begin} and {_END}")
    return f"{before}{begin}\n{block}{_END}{after}"


def _measured(found: dict[str, Any]) -> str:
    machine = found["machine"]
    busy = f" The load at the start was {machine['load_before']}: others were at work."
    return (
        f"Measured on {found['measured_at'][:10]}, size `{found['size']}`: {machine['processors']} x"
        f" {machine['processor']}, {machine['system']}, {machine['file_system']} that takes"
        f" {machine['flush_ms']:.3g} ms for an `fdatasync`, Python {machine['python']}, SQLite {machine['sqlite']}."
        + (busy if machine["load_before"] > 0.5 else "")
    )


def _figures(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each row."""
    lines = ["| figure | jobctl | reference | ratio | goal | |", "| --- | ---: | ---: | ---: | --- | --- |"]
    for row in rows:
        reference = row["reference"] or ""
        if row["reference_value"] is not None:
            reference += f": {number(row['reference_value'])} {row['unit']}"
        cells = (
            f"`{row['figure']}`: {row['what']}",
            "" if row["value"] is None else f"{number(row['value'])} {row['unit']}",
            reference,
            "" if row["ratio"] is None else f"{row['ratio']:.2f} x",
            row["goal"] or "",
            f"not measured: {row['skipped']}"
            if row["skipped"]
            else {True: "ok", False: "**missed**"}.get(row["ok"], ""),
        )
        lines.append(_line(cells))
    return lines


def _growth(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each thing that was measured, a column for each size; below it why a size is missing."""
    sizes = sorted({row["at"] for row in rows if not row["skipped"]})
    lines = [
        _line(("what", *(f"{size:,}" for size in sizes), "ratio to")),
        "| --- |" + " ---: |" * len(sizes) + " --- |",
    ]
    measured = [row for row in rows if not row["skipped"]]
    for what in {row["what"]: None for row in measured}:
        same = {row["at"]: row for row in measured if row["what"] == what}
        cells = [
            f"{number(row['value'])} {row['unit']} ({row['ratio']:.2f} x)" if row else ""
            for row in map(same.get, sizes)
        ]
        lines.append(_line((what, *cells, same[min(same)]["reference"])))
    missing: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["skipped"]:
            missing.setdefault((row["what"], row["skipped"]), []).append(f"{row['at']:,}" if row["at"] else "all")
    for (what, reason), sizes_of_it in missing.items():
        lines += ["", f"Not measured: {what} of {' and '.join(sizes_of_it)}: {reason}."]
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

"""`python -m bench [FIGURE …]`: measures, prints the table, writes the JSON. What is measured stands in the others.

`--write FILE` puts the tables of that JSON into a document instead.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from bench import (
    calls,
    daemon_cron,
    daemon_firing,
    daemon_history,
    daemon_recovery,
    daemon_size,
    document,
    earlier,
    growth,
    keeper,
    others,
    report,
    steps,
    workflows,
)
from bench.figure import Bench, Row, Size, SkippedError

FIGURES: dict[str, Callable[[Bench], list[Row]]] = {
    function.__name__: function
    for function in (
        steps.parallel,
        steps.chain,
        steps.items,
        others.others,
        calls.startup,
        calls.memory,
        calls.heartbeats,
        calls.logs,
        calls.validate,
        steps.database,
        workflows.saga,
        workflows.sleepers,
        daemon_firing.lateness,
        daemon_firing.detach,
        daemon_firing.two_daemons,
        daemon_size.idle,
        daemon_size.schedules,
        daemon_recovery.adoption,
        keeper.keeper,
        daemon_history.history,
        daemon_history.pruning,
        daemon_cron.cron,
        growth.growth,
        earlier.earlier,
    )
}


def main() -> int:
    """0 when every goal that was measured is reached, 1 when one is missed or broken, 2 for an unknown figure."""
    asked = _arguments()
    if asked.write:
        document.write_tables(Path(asked.write), Path(asked.output))
        return 0
    names = list(FIGURES) if asked.figures in ([], ["all"]) else asked.figures
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jobctl-bench"
    work = Path(asked.dir or cache)
    work.mkdir(parents=True, exist_ok=True)
    before = Path(asked.earlier).resolve() if asked.earlier else None
    size = Size(asked.size)
    place = Path(tempfile.mkdtemp(prefix="work-", dir=work))
    machine = report.machine(place)
    print(report.heading(machine, size), file=sys.stderr)
    rows: list[Row] = []
    broken = False
    try:
        for name in names:
            print(f"measuring {name} …", file=sys.stderr)
            folder = place / name
            folder.mkdir(mode=0o700)
            try:
                rows += FIGURES[name](Bench(folder, size, cache, not asked.no_install, before))
            except SkippedError as reason:
                rows.append(Row(name, _about(name), skipped=str(reason)))
            except Exception as error:
                # A figure that breaks must not cost the others their minutes.
                traceback.print_exc()
                rows.append(Row(name, _about(name), skipped=f"broken: {error!r}"))
                broken = True
    finally:
        # Not before: for half a minute after many files were removed ext4 takes several times as long to make one.
        shutil.rmtree(place, ignore_errors=True)
    report.write(Path(asked.output), rows, machine, size)
    print(f"{report.heading(machine, size)}\n\n{report.table(rows)}\n\n{report.verdict(rows)}")
    print(f"written: {asked.output}", file=sys.stderr)
    return 1 if broken or any(row.ok is False for row in rows) else 0


def _about(name: str) -> str:
    return (FIGURES[name].__doc__ or "").strip()


def _arguments() -> argparse.Namespace:
    about = "\n".join(f"  {name:11} {_about(name)}" for name in FIGURES)
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure jobctl's figures, each beside its reference.",
        epilog=f"figures:\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="which ones, or all (default)")
    parser.add_argument("--size", choices=list(Size), default=Size.FULL, help="tiny only shows that the code works")
    parser.add_argument("--quick", dest="size", action="store_const", const=Size.QUICK, help="--size quick")
    parser.add_argument(
        "--json", dest="output", default="build/bench.json", metavar="FILE", help="the result (default: %(default)s)"
    )
    parser.add_argument("--write", metavar="FILE", help="measure nothing: put the result's tables into a document")
    parser.add_argument("--dir", help="where to work: on a disk, or commits cost nothing (default: the user's cache)")
    parser.add_argument("--no-install", action="store_true", help="leave out other tools that are not there yet")
    parser.add_argument("--earlier", metavar="FOLDER", help="a checkout of an earlier version, with its .venv")
    asked = parser.parse_args()
    unknown = [name for name in asked.figures if name not in FIGURES and asked.figures != ["all"]]
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are: {', '.join(FIGURES)}")
    return asked


sys.exit(main())

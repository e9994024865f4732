"""A power cut at every sync: what was acknowledged is there, the database is sound, and the next daemon goes on."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from homes import PATIENCE, Daemons, built
from powercut import Disk, Record, cuts, read
from records import BEGIN, END, unfinished

from jobctl.core.run.history import EventType, replay
from jobctl.store.codec import from_row
from jobctl.store.store import Store

pytestmark = pytest.mark.faults

JOB = f"""
[jobs.x]
inherit_env = ["LD_PRELOAD", "POWER_*"]
overlap = "allow_all"
schedule = {{ every = "1s" }}
retry = {{ maximum_attempts = 5, initial_interval = "1ms" }}
[[jobs.x.steps]]
name = "a"
command = '{BEGIN}; echo k=v > $JOBCTL_OUTPUT; {END}'
[[jobs.x.steps]]
name = "b"
needs = []
command = '{BEGIN}; echo half > $JOBCTL_HEARTBEAT; {END}; [ $JOBCTL_ATTEMPT -ge 2 ]'
[[jobs.x.steps]]
name = "c"
needs = ["a", "b"]
command = '{BEGIN}; {END}'
"""
# The write-ahead log moves into the database at every turn in which nobody else is there, and not after 4 MiB.
EAGER = """
import sys
from jobctl.cli.main import main
from jobctl.engines.local.worker import duties
from jobctl.store import database
database.LOG_LIMIT = 1
duties.LOOK_MS = 20
sys.exit(main())
"""


def test_what_was_acknowledged_survives_a_power_cut(home: Callable[..., Daemons], tmp_path: Path) -> None:
    place = home(JOB)
    journal = tmp_path / "journal"
    place.environment |= {
        "LD_PRELOAD": str(built(Path(__file__).with_name("power.c"), tmp_path)),
        "POWER_FOLDER": str(place.state),
        "POWER_LOG": str(journal),
    }
    eager = (sys.executable, "-c", EAGER)
    for _ in range(2):  # makes the store; its first event is promised as any other
        assert place.call("run", "x", "--json", program=eager)[0] == 0
    place.daemon(program=eager)
    calls = [place.start("run", "x", "--json", *more, program=eager) for more in [(), ("--detach",)] * 4]
    for call in calls:
        call.communicate(timeout=PATIENCE)
    place.until(lambda: not unfinished(place) and place.lines("marks"))
    place.running[-1].terminate()
    assert place.running[-1].wait(PATIENCE) == 143

    records = read(journal)
    there = list(cuts(records))
    at_stake = set(there)
    assert len(at_stake) > 100
    assert sum(record.path.endswith(".db") for record in records if record.kind == "S") >= 5  # checkpoints
    some = set(there[:: len(there) // 6])
    disk = Disk(place.state)
    promised: list[Record] = []
    image = tmp_path / "image"
    for number, record in enumerate(records):
        if number in at_stake:
            for seed in (None, number, -number):
                disk.leave(image, seed, only="jobctl.db")
                _is_sound(image, promised)
                shutil.rmtree(image)
            if number in some:
                place = home(JOB)
                disk.leave(place.state, number)
                _goes_on(place)
        disk.do(record)
        if record.kind == "A":
            promised.append(record)
    assert sum(record.data.count(b"\n") for record in promised) > 100


def _is_sound(image: Path, promised: list[Record]) -> None:
    documents, begun = _said(promised)
    if not (image / "jobctl.db").exists():
        assert not documents  # there is no store yet, and nothing was promised
        assert not begun
        return
    with closing(sqlite3.connect(image / "jobctl.db")) as db:
        db.execute("PRAGMA synchronous = OFF")  # closing it must not wait for a disk
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        runs = dict(db.execute("SELECT name, id FROM runs"))
        status = dict(db.execute("SELECT id, status FROM runs"))
        rows = db.execute("SELECT run, at, type, step, number, data FROM events ORDER BY run, seq").fetchall()
    histories = {number: [from_row(row[1:]) for row in rows if row[0] == number] for number in status}
    for number, events in histories.items():
        assert replay(events).status == status[number]
    for document in documents:
        if "seq" in document:
            event = histories[runs[document["run"]]][document["seq"] - 1]
            assert (event.type.value, event.step) == (document["type"], document.get("step", ""))
        else:
            assert document["id"] in runs
            assert document.get("status") in (None, "queued", "running", status[runs[document["id"]]])
    for run, step, attempt in begun:
        started = {(e.step, e.number) for e in histories[runs[run]] if e.type is EventType.ATTEMPT_STARTED}
        assert (step, int(attempt)) in started


def _said(promised: list[Record]) -> tuple[list[dict[str, Any]], list[list[str]]]:
    """What calls have printed as JSON, and of the commands that have begun: run, step, attempt. That a command begins
    says that this is recorded."""
    texts: dict[int, str] = {}
    for record in promised:
        texts[record.pid] = texts.get(record.pid, "") + record.data.decode()
    documents: list[dict[str, Any]] = []
    begun = []
    for text in texts.values():
        if text[0] in "+-":
            begun += [line.split()[1:] for line in text.splitlines()]
            continue
        while text.strip():
            try:
                document, end = json.JSONDecoder().raw_decode(text)
            except ValueError:
                break  # the rest has not been said yet
            documents.append(document)
            text = text[end:].lstrip()
    return documents, begun


def _goes_on(place: Daemons) -> None:
    """The machine is up again: all runs that there are come to their end."""
    # The disk of the machine that died, found by another inode here.
    assert place.call("adopt", "--original-is-gone")[0] in (0, 1, 3)  # 1: it has no store yet
    assert place.call("schedule", "pause", "x")[0] == 0
    place.daemon()
    place.until(lambda: not unfinished(place))
    assert {row.status for row in place.rows()} <= {"succeeded"}
    with Store(str(place.state)) as store:
        assert store.quick_check() == []
    place.close()

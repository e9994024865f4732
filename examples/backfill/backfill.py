"""The commands of the backfill job: source FOLDER ROWS, copy FOLDER BATCH, compare FOLDER.

The order in `copy` is what makes it safe: first the batch is committed, then the cursor says so. Killed between the
two, the next attempt does that batch once more - and the target's primary key makes the second time do nothing.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path

TABLE = "CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL)"


def source(folder: str, rows: str) -> None:
    with opened(folder, "source.db") as db, db:  # all rows, or none
        if db.execute("SELECT count(*) FROM items").fetchone()[0] == 0:
            # Every third id is missing, as in tables that have lived.
            made = ((i * 3 // 2, f"item {i}", i * 7919 % 10_000) for i in range(1, int(rows) + 1))
            db.executemany("INSERT INTO items VALUES (?, ?, ?)", made)


def copy(folder: str, batch: str) -> None:
    cursor = int(os.environ.get("JOBCTL_CURSOR", "0"))
    print(f"going on after id {cursor}" if cursor else "starting at the beginning", flush=True)
    with (
        opened(folder, "source.db") as old,
        opened(folder, "target.db") as new,
        open(os.environ["JOBCTL_HEARTBEAT"], "a", buffering=1) as heartbeat,
    ):
        while rows := old.execute("SELECT * FROM items WHERE id > ? ORDER BY id LIMIT ?", (cursor, batch)).fetchall():
            with new:
                new.executemany("INSERT INTO items VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING", rows)
            cursor = rows[-1][0]
            print(cursor, file=heartbeat)


def compare(folder: str) -> None:
    with opened(folder, "target.db") as db:
        db.execute("ATTACH ? AS old", (f"{folder}/source.db",))
        missing = db.execute("SELECT count(*) FROM (SELECT * FROM old.items EXCEPT SELECT * FROM items)").fetchone()[0]
        rows = db.execute("SELECT count(*) FROM items").fetchone()[0]
        wanted = db.execute("SELECT count(*) FROM old.items").fetchone()[0]
    if missing or rows != wanted:
        sys.exit(f"{rows} rows instead of {wanted}, {missing} missing or different")
    print(f"{rows} rows, all the same")


@contextlib.contextmanager
def opened(folder: str, name: str):
    Path(folder).mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(Path(folder, name))) as db:
        db.execute(TABLE)
        yield db


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"source": source, "copy": copy, "compare": compare}[command](*arguments)

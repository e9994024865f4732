"""The commands of the migration job: backup DATABASE TARGET, migrate DATABASE FOLDER, check DATABASE FOLDER.

A database's version (user_version) is how many files of the folder, in order of name, have been applied to it.
Exit code 65: a migration is wrong, and trying again will not make it right. 75: the database is locked.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from pathlib import Path

WRONG, TRY_AGAIN = 65, 75  # EX_DATAERR, EX_TEMPFAIL of sysexits.h


def backup(database: str, target: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def migrate(database: str, folder: str) -> None:
    with contextlib.closing(sqlite3.connect(database, timeout=5)) as db:
        for number, path in enumerate(sorted(Path(folder).glob("*.sql")), 1):
            if number <= version(db):
                continue
            print(f"applying {path.name}", flush=True)
            # One transaction for the migration and the version that says so: it is applied once, or not at all.
            db.executescript(f"BEGIN IMMEDIATE;\n{path.read_text()}\n;PRAGMA user_version = {number}; COMMIT;")


def check(database: str, folder: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as db:
        wanted = len(list(Path(folder).glob("*.sql")))
        if version(db) != wanted:
            sys.exit(f"the database has version {version(db)}, not {wanted}")
        print(f"version {wanted}")


def version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    try:
        {"backup": backup, "migrate": migrate, "check": check}[command](*arguments)
    except sqlite3.Error as error:
        print(f"{command}: {error}")
        sys.exit(TRY_AGAIN if "locked" in str(error) else WRONG)

"""The services behind a trip's payment, over one ledger: charge CUSTOMER FARE, pay DRIVER FARE, report FARE; what
undoes each of them: refund, take-back, withdraw; and for people: list.

A step's idempotency key is the key of its entry, so that an attempt that repeats one which was cut short books nothing
twice. An undo books the opposite of what it finds, and nothing is booked any more where an undo has been.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path

TABLE = "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, trip TEXT, account TEXT, amount INTEGER)"
BOOK = "INSERT INTO entries VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
REFUSED = 77  # EX_NOPERM of sysexits.h


def charge(customer: str, fare: str) -> None:
    book(customer, -int(fare))


def pay(driver: str, fare: str) -> None:
    book(driver, int(fare) * 8 // 10)


def report(fare: str) -> None:
    book("company", int(fare) - int(fare) * 8 // 10)


def book(account: str, amount: int) -> None:
    key, step = os.environ["JOBCTL_IDEMPOTENCY_KEY"], os.environ["JOBCTL_STEP"]
    with ledger() as db:
        undone = db.execute("SELECT 1 FROM entries WHERE key = ?", (f"{key}!undo",)).fetchone()
        if undone or os.environ["JOBCTL_PARAM_REFUSES"] == step:
            print(f"{step}: refused" + (", the trip was rolled back" if undone else ""))
            sys.exit(REFUSED)
        db.execute(BOOK, (key, os.environ["JOBCTL_RUN"], account, amount))
    print(f"{account}: {amount:+}")


def undo() -> None:
    key = os.environ["JOBCTL_IDEMPOTENCY_KEY"]  # that of what is undone, with !undo behind it
    with ledger() as db:
        found = db.execute("SELECT account, amount FROM entries WHERE key = ?", (key.removesuffix("!undo"),))
        account, amount = found.fetchone() or ("nobody", 0)
        db.execute(BOOK, (key, os.environ["JOBCTL_RUN"], account, -amount))
    print(f"{account}: {-amount:+}")


def list_() -> None:
    with ledger() as db:
        for account, amount in db.execute("SELECT account, sum(amount) AS s FROM entries GROUP BY 1 HAVING s != 0"):
            print(f"{account}: {amount:+}")


@contextlib.contextmanager
def ledger():
    """The ledger for one transaction: nobody else books meanwhile, and all of it is booked, or nothing."""
    Path("data").mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect("data/ledger.db", timeout=30, isolation_level=None)) as db:
        db.execute(TABLE)
        db.execute("BEGIN IMMEDIATE")
        with db:
            yield db


COMMANDS = {
    "charge": charge,
    "refund": undo,
    "pay": pay,
    "take-back": undo,
    "report": report,
    "withdraw": undo,
    "list": list_,
}

if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    COMMANDS[command](*arguments)

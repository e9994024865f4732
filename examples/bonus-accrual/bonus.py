"""The commands of the bonus jobs: users, choose RULE USERS, add POINTS NAMES; and for people: list.

A bonus is booked under the run's id, so that an attempt that repeats one which was cut short adds nothing twice.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sqlite3
import sys
from datetime import date
from pathlib import Path

TABLE = (
    "CREATE TABLE IF NOT EXISTS bonuses"
    " (run TEXT, name TEXT, job TEXT, fire_time TEXT, points INTEGER, PRIMARY KEY (run, name))"
)
# The year that the run is for, also when it is late. A run by hand is for today.
YEAR = int(os.environ.get("JOBCTL_FIRE_TIME", date.today().isoformat())[:4])
RULES = {
    "ordered": lambda user: int(user["orders"]) > 0,
    "regular": lambda user: int(user["orders"]) >= 10,
    "loyal": lambda user: YEAR - int(user["since"]) >= 5,
}


def users() -> None:
    with open("users.csv", encoding="utf-8") as file:
        hand_on("users", json.dumps(list(csv.DictReader(file))))


def choose(rule: str, found: str) -> None:
    hand_on("chosen", ",".join(user["name"] for user in json.loads(found) if RULES[rule](user)))


def add(points: str, names: str) -> None:
    run, job = os.environ["JOBCTL_RUN"], os.environ["JOBCTL_JOB"]
    fire_time = os.environ.get("JOBCTL_FIRE_TIME")  # not set in a run that was started by hand
    with opened() as db, db:  # all of them, or none
        booked = [(run, name, job, fire_time, int(points)) for name in names.split(",") if name]
        db.executemany("INSERT INTO bonuses VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", booked)
    print(f"{points} points for {names or 'nobody'}")


def list_() -> None:
    with opened() as db:
        for name, points in db.execute("SELECT name, sum(points) FROM bonuses GROUP BY name ORDER BY name"):
            print(f"{name}: {points}")


@contextlib.contextmanager
def opened():
    Path("data").mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect("data/bonuses.db", timeout=30)) as db:
        db.execute(TABLE)
        yield db


def hand_on(key: str, value: str) -> None:
    print(value)
    with open(os.environ["JOBCTL_OUTPUT"], "a", encoding="utf-8") as output:
        print(f"{key}={value}", file=output)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"users": users, "choose": choose, "add": add, "list": list_}[command](*arguments)

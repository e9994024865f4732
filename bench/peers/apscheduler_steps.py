"""N jobs of /bin/true in APScheduler with its SQLite job store, 8 at a time. Run by others.py; prints seconds."""

# mypy: ignore-errors
# Runs where the tool is installed, and jobctl is not.

from __future__ import annotations

import subprocess
import sys
import threading
import time

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MISSED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler


def step():
    subprocess.run(["/bin/true"], check=True)


class Count:
    def __init__(self, left):
        self.left = left
        self.bad = 0
        self.done = threading.Event()
        self.lock = threading.Lock()

    def __call__(self, event):
        with self.lock:
            self.left -= 1
            self.bad += event.code != EVENT_JOB_EXECUTED
            if not self.left:
                self.done.set()


if __name__ == "__main__":
    # The job store finds a function by its module's name.
    from apscheduler_steps import step as stored

    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(url="sqlite:///jobs.db")},
        executors={"default": ThreadPoolExecutor(8)},
        job_defaults={"misfire_grace_time": None},
    )
    scheduler.start()
    number = int(sys.argv[1])
    count = Count(number)
    scheduler.add_listener(count, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED)
    begin = time.perf_counter()
    for _ in range(number):
        scheduler.add_job(stored)
    count.done.wait()
    seconds = time.perf_counter() - begin
    scheduler.shutdown()
    assert not count.bad
    print(seconds)

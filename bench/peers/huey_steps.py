"""N tasks of /bin/true in Huey on SQLite, every commit on disk, 8 workers. Run by others.py; prints seconds."""

# mypy: ignore-errors
# Runs where the tool is installed, and jobctl is not.

from __future__ import annotations

import subprocess
import sys
import time

from huey import SqliteHuey

huey = SqliteHuey("bench", filename="huey.db", fsync=True)


@huey.task()
def step():
    return subprocess.run(["/bin/true"], check=True).returncode


consumer = huey.create_consumer(workers=8, initial_delay=0.001, max_delay=0.005, backoff=1.0, check_worker_health=False)
begin = time.perf_counter()
consumer.start()
results = [step() for _ in range(int(sys.argv[1]))]
codes = [result.get(blocking=True, backoff=1.0, max_delay=0.002, preserve=True) for result in results]
seconds = time.perf_counter() - begin
consumer.stop(graceful=True)
assert not any(codes)
print(seconds)

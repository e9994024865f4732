"""N steps of /bin/true in DBOS on SQLite: workflows of 10, 8 in flight. Run by others.py; prints seconds."""

# mypy: ignore-errors
# Runs where the tool is installed, and jobctl is not.

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque

from dbos import DBOS

DBOS(
    config={
        "name": "bench",
        "system_database_url": "sqlite:///dbos.db",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
def step():
    return subprocess.run(["/bin/true"], check=True).returncode


@DBOS.workflow()
def workflow(steps):
    return [step() for _ in range(steps)]


DBOS.launch()
left = int(sys.argv[1]) // 10
assert left * 10 == int(sys.argv[1])
begin = time.perf_counter()
running = deque()
while left or running:
    while left and len(running) < 8:
        running.append(DBOS.start_workflow(workflow, 10))
        left -= 1
    assert not any(running.popleft().get_result())
seconds = time.perf_counter() - begin
DBOS.destroy()
print(seconds)

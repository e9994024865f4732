"""N tasks of /bin/true in doit, two at a time, all forgotten before. Run by others.py; prints seconds."""

# mypy: ignore-errors
# Runs where the tool is installed, and jobctl is not.

from __future__ import annotations

import sys
import time

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain


def task_step():
    for number in range(int(sys.argv[1])):
        yield {"name": str(number), "actions": ["/bin/true"]}


if __name__ == "__main__":
    main = DoitMain(ModuleTaskLoader({"task_step": task_step, "DOIT_CONFIG": {"verbosity": 0, "reporter": "zero"}}))
    begin = time.perf_counter()
    code = main.run(["run", "-n", "2"])
    seconds = time.perf_counter() - begin
    assert code == 0
    print(seconds)

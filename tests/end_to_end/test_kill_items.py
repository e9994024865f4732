"""`jobctl run` of a step with items, killed at its commits and starts: each item is done once."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from homes import Home

JOB = """
[[jobs.x.steps]]
name = "make"
command = '''echo 'l=["a", "b", "c", "d"]' > $JOBCTL_OUTPUT'''
[[jobs.x.steps]]
name = "each"
foreach = "{{ steps.make.outputs.l }}"
max_parallel = 2
command = '''echo "+ $JOBCTL_ITEM $JOBCTL_ATTEMPT" >> marks; sleep 0.02; echo "- $JOBCTL_ITEM $JOBCTL_ATTEMPT" >> marks
echo "v=$JOBCTL_ITEM" > $JOBCTL_OUTPUT; [ "$JOBCTL_ITEM$JOBCTL_ATTEMPT" != c1 ]'''
retry = { maximum_attempts = 2, initial_interval = "5ms" }
[[jobs.x.steps]]
name = "all"
command = ["sh", "-c", 'echo "$0" >> given', "{{ steps.each.outputs.v }}"]
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("call", ["fdatasync", "epoll_wait"], ids=["commit", "wait"])
def test_killed_at_the_nth_system_call(tmp_path: Path, call: str) -> None:
    killed = 0
    for instant in range(1, 30, 2):
        home = Home(tmp_path / str(instant), JOB)
        try:
            strace = ("strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}")
            code, output = home.call("run", "x", before=(*strace, "-e", f"inject={call}:signal=KILL:when={instant}"))
            if code == 0:  # so many there were not
                break
            assert code in (-signal.SIGKILL, 137), output
            killed += 1
            document = home.document()
            if document is None:
                assert home.lines("marks") == []
                continue
            if document["status"] != "succeeded":
                home.until(lambda home=home: (home.document() or {})["interrupted"])
                code, output = home.call("resume", "x")
                assert code == 0, output
            attempts = ["a 1", "b 1", "c 1", "c 2", "d 1"]
            marks = home.lines("marks")
            assert sorted(mark for mark in marks if mark[0] == "+") == [f"+ {attempt}" for attempt in attempts]
            assert sorted(mark for mark in marks if mark[0] == "-") == [f"- {attempt}" for attempt in attempts]
            assert home.lines("given") == ['["a","b","c","d"]']
            assert home.processes() == []
        finally:
            home.close()
    assert killed > 3

"""`jobctl run` of a job with child runs, two levels deep, killed at every commit: resumed, or taken by a daemon."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from homes import Home

from jobctl.core.run.rows import RunRow
from jobctl.store.store import Store

STEP = 'echo "+ $JOBCTL_RUN $JOBCTL_STEP" >> marks; sleep 0.02; echo "- $JOBCTL_STEP $JOBCTL_ATTEMPT" >> marks'
JOBS = f"""
[jobs.x]
[[jobs.x.steps]]
name = "a"
command = '{STEP}; echo who=anna > $JOBCTL_OUTPUT'
[[jobs.x.steps]]
name = "kid"
job = "y"
params = {{ who = "{{{{ steps.a.outputs.who }}}}" }}
[[jobs.x.steps]]
name = "beside"
needs = ["a"]
job = "z"
[[jobs.x.steps]]
name = "b"
needs = ["kid", "beside"]
env = {{ GIVEN = "{{{{ steps.kid.outputs.sent }}}} {{{{ steps.beside.outputs.z }}}}" }}
command = '{STEP}; echo "$GIVEN" >> given'
[jobs.y]
params = {{ who = {{}} }}
[[jobs.y.steps]]
name = "mail"
command = '{STEP}; echo "sent=$JOBCTL_PARAM_WHO" > $JOBCTL_OUTPUT; [ $JOBCTL_ATTEMPT = 2 ]'
retry = {{ maximum_attempts = 2, initial_interval = "20ms" }}
[[jobs.y.steps]]
name = "deep"
job = "z"
[jobs.z]
[[jobs.z.steps]]
name = "z"
command = '{STEP}; echo z=1 > $JOBCTL_OUTPUT'
"""
ATTEMPTS = ["a 1", "b 1", "mail 1", "mail 2", "z 1", "z 1"]


def _rows(home: Home) -> list[RunRow]:
    if not (home.state / "jobctl.db").exists():
        return []
    with Store(str(home.state)) as store:
        return store.history(limit=100)


def _check(home: Home) -> None:
    rows = _rows(home)
    assert sorted((row.job, row.status) for row in rows) == [(job, "succeeded") for job in ("x", "y", "z", "z")]
    ended = [mark[2:] for mark in home.lines("marks") if mark[0] == "-"]
    assert sorted(ended) == ATTEMPTS
    assert len([mark for mark in home.lines("marks") if mark[0] == "+"]) == len(ATTEMPTS)
    assert home.lines("given") == ["anna 1"]
    assert home.processes() == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("then", ["resume", "daemon"])
@pytest.mark.parametrize("part", [0, 1])
def test_killed_at_every_commit(tmp_path: Path, then: str, part: int) -> None:
    killed = 0
    for instant in range(1 + part, 60, 2):
        home = Home(tmp_path / str(instant), JOBS)
        try:
            strace = ("strace", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync")
            code, output = home.call("run", "x", before=(*strace, "-e", f"inject=fdatasync:signal=KILL:when={instant}"))
            if code == 0:  # so many there were not
                _check(home)
                break
            killed += 1
            if not _rows(home):
                continue
            if any(row.finished_at is None for row in _rows(home)):
                words = ("resume", "x") if then == "resume" else ("daemon", "--once")
                code, output = home.call(*words)
                assert code == 0, output
            _check(home)
        finally:
            home.close()
    assert killed > 4

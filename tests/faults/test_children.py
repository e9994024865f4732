"""Commands that behave as badly as commands can, side by side under one daemon: each gets the end that is its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from homes import PATIENCE, Daemons
from records import TICK

pytestmark = pytest.mark.faults

KILL_SOON = 'kill_grace = "200ms"\nstep_timeout = { start_to_close = "1s" }\n'
MB = 1_000_000

# Name: keys; how its attempts end (status, exit code, signal, what its error says); bytes its log may have at most.
JOBS: dict[str, tuple[str, list[tuple[str, int | None, str | None, str]], int]] = {
    "ignores-sigterm": (
        f"{KILL_SOON}command = \"trap '' TERM INT HUP; while :; do sleep 0.1; done\"",
        [("timed_out", None, "SIGKILL", "start_to_close")],
        1000,
    ),
    "leaves-its-session": (
        f"{KILL_SOON}command = \"trap '' TERM; (setsid sh -c 'sleep 600 & sleep 600' &); sleep 600\"",
        [("timed_out", None, "SIGKILL", "start_to_close")],
        1000,
    ),
    "leaves-and-fails": ('command = "setsid sleep 600 & exit 3"', [("failed", 3, None, "exit code 3")], 0),
    "holds-stdout": ('command = "sleep 3 & echo out; exit 0"', [("succeeded", 0, None, "")], 4),
    "closes-everything": (
        'command = "exec 0<&- 1>&- 2>&- 3>&- 4>&-; exit 4"',
        [("failed", 4, None, "exit code 4")],
        0,
    ),
    "floods": ('log_limit = "1MiB"\ncommand = "head -c 1000000000 /dev/zero"', [("succeeded", 0, None, "")], 2 * MB),
    "never-ends-a-line": (
        f"log_limit = \"64KiB\"\n{KILL_SOON}command = \"yes '' | tr -d '\\\\n' & exec cat /dev/zero\"",
        [("timed_out", None, "SIGTERM", "start_to_close")],
        MB,
    ),
    "prints-anything": (
        "command = \"printf 'a\\\\033[2Jb\\\\033]0;t\\\\007c\\\\233d\\\\000\\\\n'; "
        'head -c 9000 /dev/urandom; echo; echo end"',
        [("succeeded", 0, None, "")],
        30_000,
    ),
    "stops-itself": (
        f'{KILL_SOON}command = "kill -STOP $$; exit 5"',
        [("timed_out", None, "SIGTERM", "start_to_close")],
        1000,
    ),
    # Everybody else's, too: nothing is lost by it.
    "kills-its-keeper": (
        'command = "kill -9 $PPID; sleep 1; exit 6"',
        [("failed", 6, None, "exit code 6")],
        0,
    ),
    "kills-its-group": (
        'retry = { maximum_attempts = 2, initial_interval = "1ms" }\ncommand = "[ $JOBCTL_ATTEMPT = 2 ] || kill -9 0"',
        [("failed", None, "SIGKILL", "killed by SIGKILL"), ("succeeded", 0, None, "")],
        0,
    ),
    "removes-its-files": (
        "command = 'rm -rf \"${JOBCTL_OUTPUT%/*}\"; exit 0'",
        [("succeeded", 0, None, "")],
        0,
    ),
    "lies-in-its-files": (
        'command = \'mkfifo "$JOBCTL_OUTPUT"; head -c 3000 /dev/urandom > "$JOBCTL_HEARTBEAT"\'',
        [("failed", None, None, "not a file")],
        1000,
    ),
}


def test_children_that_behave_badly(home: Callable[..., Daemons]) -> None:
    place = home(TICK + "".join(f"[jobs.{name}]\n{keys}\n" for name, (keys, _, _) in JOBS.items()))
    daemon = place.daemon()
    names = {job: place.detach(job) for job in JOBS}
    for job, name in names.items():
        place.until(lambda name=name: place.run_document(name)["finished_at"])
        document = place.run_document(name)
        attempts: list[dict[str, Any]] = document["steps"][0]["attempts"]
        _, expected, most = JOBS[job]
        assert [(a["status"], a["exit_code"], a["signal"]) for a in attempts] == [e[:3] for e in expected], document
        for attempt, (*_, says) in zip(attempts, expected, strict=True):
            assert says in (attempt["error"] or ""), document
            if Path(attempt["log"]).exists():
                assert Path(attempt["log"]).stat().st_size <= most, document
    place.until(lambda: not place.processes())  # of what succeeded the children may live on, and one does for a while
    assert daemon.poll() is None
    fired = [row.fire_time or 0 for row in place.rows("tick")]
    assert sorted(fired) == list(range(min(fired), max(fired) + 1, 1_000))
    shown = _on_a_terminal(place, "logs", names["prints-anything"])
    assert b"\x1b[2J" not in shown
    assert b"\x1b]0" not in shown
    assert b"\\x1b[2J" in shown
    assert b"end" in shown


# Twenty processes, each of which makes the next in a session of its own and is gone: whoever looks finds others than
# those that live by then. Counted, so that it ends by itself if nobody can stop it.
HYDRA = """
trap '' TERM
[ "$1" -gt 0 ] && setsid sh hydra $(($1 - 1)) 2>/dev/null &
"""


def test_processes_that_multiply_are_stopped_all_of_them(home: Callable[..., Daemons]) -> None:
    place = home(
        f'[jobs.hydra]\n{KILL_SOON}command = "for n in $(seq 20); do sh hydra 1500 & done; sleep 600"\n' + TICK
    )
    (place.folder / "hydra").write_text(HYDRA)
    place.daemon()
    name = place.detach("hydra")
    place.until(lambda: place.run_document(name)["finished_at"])
    assert place.run_document(name)["steps"][0]["attempts"][0]["status"] == "timed_out"
    assert place.processes() == []
    seen = len(place.lines("ticks"))
    place.until(lambda: len(place.lines("ticks")) > seen)


def _on_a_terminal(place: Daemons, *args: str) -> bytes:
    ours, theirs = pty.openpty()
    environment = {**place.environment, "PAGER": "cat", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "jobctl", *args],
        cwd=place.folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # the terminal is closed
    os.close(ours)
    assert process.wait(PATIENCE) == 0
    return shown

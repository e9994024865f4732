"""Each file of an attempt, damaged in each way by the command itself: the attempt is told as what it has come to, and
nobody else hears of it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import pytest
from homes import Daemons

import looked
from jobctl.host.host import Host
from jobctl.store.store import Store

# By name: what a command does to the path that $f names.
WAYS = {
    "missing": 'rm -rf "$f"',
    "empty": 'rm -rf "$f"; : > "$f"',
    "pipe": 'rm -rf "$f"; mkfifo "$f"',
    "folder": 'rm -rf "$f"; mkdir "$f"',
    "forbidden": 'rm -rf "$f"; echo x > "$f"; chmod 000 "$f"',
    "loop": 'rm -rf "$f"; ln -s "$f" "$f"',
    "dangling": 'rm -rf "$f"; ln -s "$PWD/nowhere" "$f"',
    "device": 'rm -rf "$f"; ln -s /dev/zero "$f"',
    "huge": 'rm -rf "$f"; head -c 3000000 /dev/zero | tr "\\0" x > "$f"',
    "noise": 'rm -rf "$f"; head -c 3000 /dev/urandom > "$f"',
    "changing": '( while [ ! -e go ]; do echo x=1 >> "$f"; rm -f "$f"; sleep 0.01; done ) & ',
}
FILES = ("log", "heartbeat", "output", "failure", "poll", "suspend", "calls", "journal", "waits", "waits~", "state")
WHOLE = {
    "folder-gone": 'rm -rf "${f%/*}"',
    "folder-is-a-file": 'rm -rf "${f%/*}"; echo x > "${f%/*}"',
    "folder-is-a-pipe": 'rm -rf "${f%/*}"; mkfifo "${f%/*}"',
    "folder-forbidden": 'chmod -R 000 "${f%/*}"',
    "folder-is-a-loop": 'rm -rf "${f%/*}"; ln -s loop "${f%/*}"',
}
HOLD = "until [ -e go ]; do sleep 0.02; done"
TICK = "[jobs.tick]\nschedule = { every = '1s' }\noverlap = 'allow_all'\ncommand = 'echo t >> ticks'\n"
KINDS = {  # how the step goes on, and whether what its files say counts
    "ends": "exit 0",
    "fails": "exit 3",
}


def jobs(file: str) -> dict[str, str]:
    base = 'f="${JOBCTL_OUTPUT%.output}.' + file + '"'
    return {f"{file.replace('~', '-draft')}-{way}": f"{base}\n{act}" for way, act in WAYS.items()}


def definitions(commands: dict[str, str]) -> str:
    text = TICK
    for place, (name, act) in enumerate(commands.items()):
        end = KINDS["fails"] if place % 2 else KINDS["ends"]
        steps = [{"name": "main", "command": f"{act}\n{HOLD}\n{end}"}]
        if place % 2 == 0:
            steps.append({"name": "last", "command": ["echo", "{{ steps.main.stdout }}"]})
        text += f"[jobs.{name}]\ntimeout = '60s'\n"
        for step in steps:
            text += "[[jobs." + name + ".steps]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in step.items())
    return text


@pytest.mark.parametrize("half", [0, 1])
def test_each_file_of_an_attempt_damaged_in_each_way(home: Callable[[str], Daemons], half: int) -> None:
    """The daemon is killed while they run, and the next one takes them over: one was ended by such a run, and the
    next, and the next."""
    commands = {name: act for file in FILES for name, act in jobs(file).items()}
    commands = dict(list(commands.items())[half::2])
    if half:
        commands.update({name: f'f="$JOBCTL_OUTPUT"\n{act}' for name, act in WHOLE.items()})
    place = home(definitions(commands))
    first = place.daemon("--max-concurrent-runs", "300")
    with Store(str(place.state)) as store:
        from jobctl.definitions.files import read_file
        from jobctl.engines.local.submit import enqueue

        found = read_file(str(place.folder / "jobs.toml")).jobs
        for name in commands:
            enqueue(store, found[name], {}, trigger="manual", host=Host())
        place.until(lambda: len([r for r in store.alive() if r.status == "running"]) >= len(commands))
        place.until(lambda: place.lines("ticks"))
        first.send_signal(signal.SIGKILL)
        first.wait()
        second = place.daemon("--max-concurrent-runs", "300")
        ticks = len(place.lines("ticks"))
        place.until(lambda: len(place.lines("ticks")) > ticks)
        for row in store.alive():  # who asks is answered meanwhile
            json.dumps(looked.run_document(store, row))
            looked.reasons(store, row, 0)
        place.go()
        place.until(lambda: not [r for r in store.alive() if r.job != "tick"])
        ticks = len(place.lines("ticks"))
        place.until(lambda: len(place.lines("ticks")) > ticks)
        assert second.poll() is None
        for text in (place.said(0), place.said(1)):
            assert "unexpected" not in text
            assert "cannot go on" not in text
        for name in commands:
            row = store.latest(name)
            assert row is not None
            step = looked.run_document(store, row)["steps"][0]
            assert len(step["attempts"]) == 1, (name, step)  # nothing ran twice
            assert step["status"] in ("succeeded", "failed"), (name, step)
            if "unexpected" in (row.reason or ""):
                raise AssertionError((name, row.reason))
    odd = [name for name in commands if name.startswith(("log-", "folder")) and name != "log-noise"]
    for name in odd:
        _, output = place.call("logs", name)
        assert "Traceback" not in output
        assert "unexpected" not in output, (name, output)
    os.system(f"chmod -R u+rwX {place.state}/runs")  # for whoever removes the folder

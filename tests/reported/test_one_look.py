"""A living run is never called interrupted: whatever ends, begins or is handed on between two looks of who asks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobctl.cli.main import main
from jobctl.core.model import Job, Step, encode
from jobctl.core.run.history import Event, EventType, replay
from jobctl.core.run.newrun import created
from jobctl.core.run.rows import NewRun
from jobctl.engines.local import executor
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.live import taken
from jobctl.host import clock
from jobctl.store.append import Batch
from jobctl.store.store import Store

VIEWS = {
    "why": ["why", "x-1", "--json"],
    "status of it": ["status", "x-1", "--json"],
    "status of the job": ["status", "x", "--json"],
    "status": ["status", "--json"],
    "history": ["history", "x", "--json"],
    "doctor": ["doctor", "--json"],
}


class Life:
    """A run and the executor that has it, which goes its way at a moment that is given."""

    def __init__(self, folder: Path) -> None:
        os.chmod(folder, 0o700)
        self.folder = str(folder)
        self.store = Store(self.folder)
        self.executor = Executor(self.folder, "foreground")
        self.store.register(self.executor.id, os.getpid(), "foreground", clock.now())
        job = Job("x", "/", (Step("main", command="true"),))
        new = NewRun("x-1", "x", encode(job))
        self.events = [created(new, {}, clock.now()), taken(self.executor, clock.now())]
        batch = Batch(0, 0, self.events, replay(self.events), executor=self.executor.id, new=new)
        self.store.append([batch])
        self.run = batch.run_id
        self.others: list[Executor] = []

    def ends(self) -> None:
        """As a foreground run does: its end is recorded, then it is unregistered, then its lock is let go."""
        end = Event(EventType.RUN_ENDED, clock.now(), data={"status": "succeeded"})
        state = replay([*self.events, end])
        self.store.append([Batch(self.run, len(self.events), [end], state, executor=self.executor.id)])
        self.store.unregister(self.executor.id)
        self.executor.close()

    def is_handed_on(self) -> None:
        """It dies, and a daemon takes the run at once."""
        self.executor.close()
        other = Executor(self.folder, "daemon")
        self.others.append(other)
        self.store.register(other.id, os.getpid(), "daemon", clock.now())
        self.store.take([self.run], other.id, other.boot, clock.now(), lambda _: False)

    def is_resumed(self) -> None:
        """It has ended, and somebody asks for another try, which nobody has taken yet."""
        self.ends()
        reopened = Event(EventType.RUN_REOPENED, clock.now(), data={"redo": ["main"]})
        self.store.request(self.run, lambda *_: (reopened, None))


WHAT_HAPPENS: dict[str, Callable[[Life], None]] = {
    "it ends": Life.ends,
    "another takes it": Life.is_handed_on,
    "it ends, and is resumed": Life.is_resumed,
}


@pytest.mark.parametrize("happens", WHAT_HAPPENS)
@pytest.mark.parametrize("view", VIEWS)
def test_between_any_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], view: str, happens: str
) -> None:
    """At each look at an executor's lock, before it and after it; and at each reading of the executors."""
    monkeypatch.chdir(tmp_path)
    looks = [
        (name, n, before) for name in ("alive", "executors", "run") for n in range(1, 5) for before in (True, False)
    ]
    for number, (name, n, before) in enumerate(looks):
        folder = tmp_path / str(number)
        folder.mkdir()
        life = Life(folder)
        with monkeypatch.context() as patched:
            _at(patched, name, n, before, lambda life=life: WHAT_HAPPENS[happens](life))
            main([*VIEWS[view], "--state-dir", str(folder)])
        answer = json.loads(capsys.readouterr().out)
        assert not _interrupted(answer), (name, n, before, answer)
        life.store.close()


def _at(patched: pytest.MonkeyPatch, name: str, n: int, before: bool, act: Callable[[], None]) -> None:
    where: Any = executor if name == "alive" else Store
    really = getattr(where, name)
    count = 0

    def looks(*args: Any) -> Any:
        nonlocal count
        count += 1
        mine = count == n
        if mine and before:
            act()
        found = really(*args)
        if mine and not before:
            act()
        return found

    patched.setattr(where, name, looks)


def _interrupted(answer: Any) -> bool:
    """Whether anything in it says so, in a field or in words."""
    if isinstance(answer, dict):
        if answer.get("interrupted") is True:
            return True
        return any(_interrupted(value) for value in answer.values())
    if isinstance(answer, list):
        return any(map(_interrupted, answer))
    return isinstance(answer, str) and "interrupted" in answer and "none was interrupted" not in answer


def test_one_whose_process_has_died_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What would never say so would never be wrong."""
    life = Life(tmp_path)
    life.executor.close()
    for view, args in VIEWS.items():
        main([*args, "--state-dir", str(tmp_path)])
        assert _interrupted(json.loads(capsys.readouterr().out)), view

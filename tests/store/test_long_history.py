"""What is asked again and again - at every firing, look or `status` - costs the same however long the history is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import looked
from jobctl.core.model import Queue
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.local.worker import dispatcher
from jobctl.engines.local.worker.capacity import Capacity
from jobctl.host.host import Host
from jobctl.store import firings
from jobctl.store.store import Store


def _whose_turn(store: Store) -> None:
    capacity = Capacity(store, "me", 10)
    capacity.set_queues({"q": Queue("q", concurrency=1, priority=2)})
    engine = LocalEngine(store, Executor(store.state_dir, "daemon"), host=Host())
    dispatcher.once(store, engine, capacity, lambda _: None)
    engine.close()


QUESTIONS: dict[str, Callable[[Store], object]] = {
    "what is alive": lambda store: store.alive(),
    "what is awake": lambda store: store.awake(),
    "what wakes next": lambda store: store.next_wake(),
    "what an executor has": lambda store: store.seqs("me"),
    "what is alive of a job": lambda store: firings.alive_runs(store, "job"),
    "what a queued run waits for": lambda store: looked.run_document(store, store.alive()[0]),
    "how far schedules are": lambda store: firings.progress(store, [1]),
    "what was dropped": lambda store: firings.lately_dropped(store, 1_000_000),
    "the latest of a job": lambda store: store.latest("job"),
    "what can be forgotten, a page": lambda store: firings.forget(store, 1_000_000),
    "the jobs that have run": lambda store: store.jobs(),
    "the latest of all": lambda store: store.history(limit=5),
    "whose turn it is": _whose_turn,
}

LONG = """
WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {runs})
INSERT INTO {table} SELECT {values} FROM n
"""


def _store(folder: Path, runs: int) -> Store:
    """With so many runs that are over, a fire time for each, and one run that is queued."""
    folder.mkdir()
    store = Store(str(folder))
    with store.transaction() as db:
        db.execute("INSERT INTO schedules (job, key, file, active, progress) VALUES ('job', 'k', '/f', 1, 5)")
        db.execute("INSERT INTO definitions (digest, job, body) VALUES ('d', 'job', '{\"steps\": []}')")
        columns = "id, name, job, definition, status, seq, trigger, created_at, finished_at, priority"
        values = "i, 'job-' || i, 'job', 1, 'succeeded', 0, 'schedule', i, i + 1, 0"
        db.execute(LONG.format(runs=runs, table=f"runs ({columns})", values=values))
        db.execute(
            LONG.format(runs=runs, table="firings (schedule, fire_time, outcome, run)", values="1, i, 'started', i")
        )
        db.execute(
            f"INSERT INTO runs ({columns}) VALUES (1, 'job-1', 'job', 1, 'queued', 0, 'schedule', {runs}, NULL, 0)"
        )
    return store


def _work(store: Store, question: Callable[[Store], object]) -> int:
    """Steps of SQLite's machine that the answer takes, in tens."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    store._db.set_progress_handler(count, 10)
    question(store)
    store._db.set_progress_handler(None, 0)
    return steps


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_work_does_not_grow_with_the_history(
    question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firings, "_PAGE", 40)
    with _store(tmp_path / "short", 50) as short, _store(tmp_path / "long", 5_000) as long:
        assert _work(long, QUESTIONS[question]) <= _work(short, QUESTIONS[question]) + 20

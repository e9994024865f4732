"""Histories of any kind: whatever stands in the events of one run, the others are as they were."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from histories import CREATED, ENDED, FAILED, STARTED, TAKEN, add
from hypothesis import given
from tests.fuzz import inputs, properties
from tests.fuzz.effort import tries

from jobctl.store.store import Store

SOUND = [CREATED, TAKEN, STARTED, FAILED, ENDED]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """With three runs. The second is the one whose history is overwritten."""
    with Store(str(tmp_path_factory.mktemp("state"))) as found:
        for name in ("x-1", "x-2", "x-3"):
            add(found, name, SOUND)
        yield found


@tries(200)
@given(rows=inputs.event_rows())
def test_histories(store: Store, rows: list[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        db.execute("DELETE FROM events WHERE run = 2")
        for seq, row in enumerate(rows, 1):
            # What is no number SQLite can hold, or may not be there at all, cannot stand in the table either.
            at, kind, *others = row
            db.execute(
                "INSERT INTO events VALUES (2, ?, ?, ?, ?, ?, ?)",
                (seq, 0 if at is None else at, 0 if kind is None else kind, *others),
            )
        db.execute("UPDATE runs SET seq = ? WHERE id = 2", (len(rows),))
        db.execute("COMMIT")
    found = store.history()
    assert [row.name for row in found] == ["x-3", "x-2", "x-1"]
    assert [properties.history(store, row) for row in found][::2] == [True, True]

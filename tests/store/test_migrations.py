"""How a database comes to be: alone, in a crowd, after a crash, out of an older one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from jobctl.core.errors import StoreError
from jobctl.store import migrations, schema
from jobctl.store.store import Store

SCHEMA = Path(migrations.__file__).with_name("schema.sql")


def _schema(db: sqlite3.Connection) -> set[tuple[str, str, str]]:
    rows = db.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%sqlite%'").fetchall()
    return {(kind, name, " ".join(sql.split())) for kind, name, sql in rows}


def _by_hand() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.executescript(SCHEMA.read_text())
    return db


def test_migrating_an_empty_database_gives_the_schema(tmp_path: Path) -> None:
    Store(str(tmp_path)).close()
    made = _schema(sqlite3.connect(tmp_path / "jobctl.db"))
    assert made == _schema(_by_hand())
    assert {name for _, name, _ in made} >= {"runs", "events", "attempts", "definitions", "executors"}


def test_an_older_database_of_ours_is_brought_to_the_schema(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "jobctl.db")
    db.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
    db.commit()
    db.close()
    with Store(str(tmp_path)) as opened:
        assert opened.history() == []
    assert _schema(sqlite3.connect(tmp_path / "jobctl.db")) == _schema(_by_hand())


def test_the_constants_that_stand_twice_are_the_same() -> None:
    assert (schema.APPLICATION_ID, schema.VERSION) == (migrations.APPLICATION_ID, migrations.VERSION)


def test_every_guarantee_has_a_sentence_above_it() -> None:
    lines = SCHEMA.read_text().splitlines()
    for above, line in pairwise(lines):
        if line.startswith("CREATE"):
            assert above.startswith("-- "), line


def test_eight_processes_at_once_make_one_database(tmp_path: Path) -> None:
    body = (
        "import sys; from jobctl.store import migrations; from jobctl.store.store import Store; print('ready');"
        "sys.stdout.flush(); sys.stdin.readline();"
        f"store = Store({str(tmp_path / 'state')!r}); print(store.identity()); store.close()"
    )
    (tmp_path / "state").mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", body], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(8)
    ]
    for one in crowd:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in crowd:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    told = [one.communicate(timeout=60)[0] for one in crowd]
    assert len(set(told)) == 1
    assert told[0].strip()
    assert [one.returncode for one in crowd] == [0] * 8
    assert sorted(p.name for p in (tmp_path / "state").iterdir()) == ["jobctl.db", "jobctl.id"]


@pytest.mark.parametrize("leftover", [b"", b"half a database", b"SQLite format 3\0" + bytes(2000)])
def test_a_half_made_database_of_a_dead_process_is_in_nobodys_way(tmp_path: Path, leftover: bytes) -> None:
    (tmp_path / "jobctl.db.new").write_bytes(leftover)
    (tmp_path / "jobctl.db.new-wal").write_bytes(leftover)
    with Store(str(tmp_path)) as opened:
        assert opened.quick_check() == []
    assert not (tmp_path / "jobctl.db.new").exists()


def test_a_log_whose_database_is_gone_is_not_a_first_use(tmp_path: Path) -> None:
    body = (
        "import os; from jobctl.store.store import Store; from histories import add;"
        f"store = Store({str(tmp_path)!r}); add(store, 'x-000001'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", body], cwd=Path(__file__).parent, check=False)
    assert (tmp_path / "jobctl.db-wal").stat().st_size > 0
    kept = tmp_path / "kept"
    (tmp_path / "jobctl.db").rename(kept)
    with pytest.raises(StoreError, match="is gone"):
        Store(str(tmp_path))
    kept.rename(tmp_path / "jobctl.db")
    with Store(str(tmp_path)) as opened:
        assert [run.name for run in opened.history()] == ["x-000001"]


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Store(str(tmp_path)).close()
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "jobctl.db": 0o600,
        "jobctl.id": 0o600,
    }

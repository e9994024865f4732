"""The connection, under everything that happens to its file. Real databases."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from histories import CREATED, DEFINITION, STARTED, TAKEN, add, more

from jobctl.core.errors import NotFoundError, StoreError, StoreUnavailableError
from jobctl.core.run.history import Event, EventType
from jobctl.store import database
from jobctl.store.append import Batch
from jobctl.store.store import Store
from jobctl.store.trouble import LOG_LIMIT

NOBODY = 65534


def _db(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "jobctl.db", isolation_level=None)


def _newer(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 9999")
    db.close()


def _foreign(path: Path) -> None:
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE songs (title)")
    db.close()


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncated(path: Path) -> None:
    os.truncate(path, 4096 + 512)


def _damaged_pages(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("not SQLite\n")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_newer, "newer jobctl (schema 9999"),
        (_foreign, "database of another program"),
        (_garbage, "is not a database"),
        (_text, "is not a database"),
        (_empty, "is empty"),
        (_truncated, "is damaged"),
        (_damaged_pages, "is damaged"),
        (_a_folder, "cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_with_a_way_out(
    tmp_path: Path, harm: Callable[[Path], None], says: str
) -> None:
    with Store(str(tmp_path)) as made:
        for number in range(30):
            add(made, f"x-{number:06}", definition=DEFINITION.replace('"x"', f'"{"x" * 400}{number}"'))
    harm(tmp_path / "jobctl.db")
    with pytest.raises(StoreError) as caught:
        _use(str(tmp_path))
    assert says in caught.value.message
    assert str(tmp_path / "jobctl.db") in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 4


def _use(state_dir: str) -> None:
    with Store(state_dir) as store:
        store.history()
        store.events(1)
        add(store, "x-new")


def test_a_damaged_database_is_found_by_the_check(tmp_path: Path) -> None:
    with Store(str(tmp_path)) as made:
        for number in range(200):
            add(made, f"x-{number:06}", job=f"job{number:03}")
        assert made.quick_check() == []
    size = (tmp_path / "jobctl.db").stat().st_size
    with (tmp_path / "jobctl.db").open("r+b") as file:
        file.seek(size - 4096)
        file.write(b"\xff" * 4096)
    with Store(str(tmp_path)) as opened:
        assert opened.quick_check() != []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach, which pytest's are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        state = Path(name, "state")
        state.mkdir(mode=0o755)
        yield state
        state.chmod(0o755)


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_that_cannot_be_written(open_folder: Path, made: bool) -> None:
    if made:
        with Store(str(open_folder)) as first:
            add(first, "x-000001")
        (open_folder / "jobctl.db").chmod(0o644)
    open_folder.chmod(0o555)
    # root may write everywhere
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        with pytest.raises(StoreError) as caught, Store(str(open_folder)) as opened:
            add(opened, "x-000002")
    finally:
        os.seteuid(before)
    assert caught.value.exit_code == 4
    assert caught.value.hint


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"Not a directory|File exists"):
        Store(str(tmp_path / "file" / "state"))
    with pytest.raises(NotFoundError) as caught:
        Store(str(tmp_path / "nowhere"), create=False)
    assert caught.value.exit_code == 3
    assert "jobctl run" in caught.value.hint
    assert not (tmp_path / "nowhere").exists()


def test_a_database_that_was_upgraded_meanwhile_is_not_written(tmp_path: Path, store: Store) -> None:
    run = add(store, "x-000001")
    _db(tmp_path).execute("PRAGMA user_version = 2000")
    with pytest.raises(StoreError, match="upgraded by another jobctl"):
        store.append([more(store, run, [TAKEN])])
    assert len(store.events(run)) == 1


def test_a_writer_that_holds_the_store_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    with Store(str(tmp_path)) as store:
        run = add(store, "x-000001", [CREATED, TAKEN])
        holder = _db(tmp_path)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked") as caught:
            store.append([more(store, run, [STARTED])])
        assert caught.value.exit_code == 4
        assert store.run(run).status == "running"  # reading goes on
        holder.execute("COMMIT")
        assert store.append([more(store, run, [STARTED])]) == []


def test_a_full_disk_and_room_again(small_disk: Path) -> None:
    with Store(str(small_disk)) as store:
        run = add(store, "x-000001", [CREATED, TAKEN])
        filler = small_disk / "filler"
        _fill(filler)
        big = Event(EventType.RUN_PAUSED, 5, data={"reason": "r" * 30_000})
        with pytest.raises(StoreUnavailableError, match="disk is full") as caught:  # noqa: PT012 - the how manieth
            for _ in range(100):
                store.append([more(store, run, [big])])
        assert caught.value.exit_code == 4
        seq = store.run(run).seq
        assert len(store.events(run)) == seq
        assert store.quick_check() == []
        filler.unlink()
        assert store.append([more(store, run, [big])]) == []
        assert store.run(run).seq == seq + 1


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_the_wal_stays_small_in_a_process_that_writes_much(tmp_path: Path, store: Store) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    state = more(store, run, []).state
    for number in range(600):
        event = Event(EventType.RUN_PAUSED, number, data={"reason": "r" * 20_000})
        assert store.append([Batch(run, 2 + number, [event], state, executor="e1")]) == []
    assert (tmp_path / "jobctl.db-wal").stat().st_size < 3 * LOG_LIMIT


def test_the_wal_stays_small_when_many_short_processes_write_beside_a_long_one(tmp_path: Path, store: Store) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    state = more(store, run, []).state
    sizes = []
    for number in range(120):
        with Store(str(tmp_path)) as short:
            event = Event(EventType.RUN_PAUSED, number, data={"reason": "r" * 100_000})
            assert short.append([Batch(run, 2 + number, [event], state, executor="e1")]) == []
        sizes.append((tmp_path / "jobctl.db-wal").stat().st_size)
    assert max(sizes) < 2 * LOG_LIMIT

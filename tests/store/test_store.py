"""The store under everything that happens to files and between two writers. Real databases."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from histories import CREATED, DEFINITION, ENDED, FAILED, STARTED, TAKEN, add, more

from jobctl.core.errors import JobctlError, NotFoundError, StoreError, StoreUnavailableError, UnwritableError
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.rows import NewRun
from jobctl.store import database, errors
from jobctl.store.append import Batch
from jobctl.store.store import Store
from jobctl.store.trouble import LOG_LIMIT

NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(str(tmp_path)) as opened:
        yield opened


def _db(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "jobctl.db", isolation_level=None)


# -- a store that cannot be used -----------------------------------------------------------------------------------


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


# -- two writers ---------------------------------------------------------------------------------------------------


def test_of_two_writers_one_reads_again(tmp_path: Path, store: Store) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    other = Store(str(tmp_path))
    mine, theirs = more(store, run, [STARTED]), more(other, run, [ENDED])
    assert other.append([theirs]) == []
    assert store.append([mine]) == [mine]
    assert [event.type for event in store.events(run)] == ["run_created", "run_taken", "run_ended"]
    assert store.run(run).seq == 3
    assert store.run(run).status == "failed"
    assert _db(tmp_path).execute("SELECT count(*) FROM attempts").fetchone() == (0,)
    other.close()


def test_a_refused_run_does_not_hold_up_the_others_of_its_turn(store: Store) -> None:
    one, two = add(store, "x-000001", [CREATED, TAKEN]), add(store, "x-000002", [CREATED, TAKEN])
    stale, good = more(store, one, [ENDED], seq=1), more(store, two, [STARTED, FAILED, ENDED])
    assert store.append([stale, good]) == [stale]
    assert store.run(one).status == "running"
    assert store.run(two).status == "failed"


def test_a_turn_that_cannot_be_written_leaves_nothing_half_written(tmp_path: Path, store: Store) -> None:
    one = add(store, "x-000001", [CREATED, TAKEN])
    good, clash = more(store, one, [STARTED]), Batch(0, 0, [CREATED], more(store, one, []).state, executor=None)
    clash.new = NewRun("x-000001", "x", DEFINITION)  # a name that is taken
    with pytest.raises(StoreError):
        store.append([good, clash])
    assert store.run(one).seq == 2
    assert len(store.events(one)) == 2
    assert _db(tmp_path).execute("SELECT count(*) FROM attempts").fetchone() == (0,)
    assert store.append([good]) == []


def test_many_writers_append_one_after_the_other(tmp_path: Path, store: Store) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    body = (
        "from jobctl.core.run.history import Event, EventType; from jobctl.store.store import Store;"
        f"store = Store({str(tmp_path)!r});"
        f"[store.request({run}, lambda row, state: (Event(EventType.RUN_PAUSED, 5), None)) for _ in range(25)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", body]) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(store.events(run)) == 102
    assert store.run(run).seq == 102


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


@pytest.mark.parametrize("interrupted_by", ["pause", "end"])
def test_a_request_that_comes_while_a_run_is_taken_is_not_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch, interrupted_by: str
) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    read, did = store.events, list[int]()

    def events(run_id: int, *, after: int = 0, upto: int | None = None) -> list[Event]:
        if not did:
            did.append(1)
            event = ENDED if interrupted_by == "end" else Event(EventType.RUN_PAUSED, 2_000)
            seen = read(run_id)
            store.append([more(store, run_id, [event], seq=len(seen))])
        return read(run_id, after=after, upto=upto)

    monkeypatch.setattr(store, "events", events)
    taken = store.take([run], "e2", "", 3_000, lambda _: False)
    assert taken == ([run] if interrupted_by == "pause" else [])
    assert store.run(run).status == ("paused" if taken else "failed")


# -- full, damaged, large ------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET type = 99 WHERE run = 1 AND seq = 2",
        "UPDATE events SET data = '{' WHERE run = 1 AND seq = 2",
        "UPDATE events SET data = '[]' WHERE run = 1 AND seq = 2",
        "UPDATE events SET at = 'noon' WHERE run = 1 AND seq = 2",
        "UPDATE events SET type = 14, data = '{}' WHERE run = 1 AND seq = 2",
        "DELETE FROM events WHERE run = 1 AND seq = 1",
    ],
)
def test_a_damaged_event_breaks_its_run_and_no_other(tmp_path: Path, store: Store, damage: str) -> None:
    one, two = add(store, "x-000001", [CREATED, TAKEN]), add(store, "x-000002", [CREATED, TAKEN])
    _db(tmp_path).execute(damage)
    for act in (
        lambda run: store.state(store.run(run)),
        lambda run: store.request(run, lambda *_: (Event(EventType.RUN_PAUSED, 5), None)),
        lambda run: store.take([run], "e2", "", 5, lambda _: False),
    ):
        with pytest.raises(StoreError) as caught:
            act(one)
        assert not isinstance(caught.value, StoreUnavailableError)
        assert caught.value.hint
        act(two)
    assert len(store.history()) == 2
    assert store.find("x-000002").id == two


def test_a_missing_definition_is_said(tmp_path: Path, store: Store) -> None:
    add(store, "x-000001")
    db = _db(tmp_path)
    db.execute("DELETE FROM definitions")
    with pytest.raises(StoreError, match="missing"):
        store.definition(store.find("x-000001").definition)


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


# -- what is asked of it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a-aaaaaa", "a-aaaaaa"),
        ("a-aaa", "a-aaaaaa"),
        ("a", "a-bbbbbb"),  # the job's latest, though its other run begins with it too
        ("a-b", "a-bbbbbb"),
        ("ab", "ab-aaaaaa"),
        ("ab-c", None),
        ("", None),
        ("a-", "beginning of several runs: a-aaaaaa, a-bbbbbb"),
        ("zz", None),
        ("%", None),
        ("a-\udcff", None),
        ("a\0", None),
    ],
)
def test_what_people_type_for_a_run(store: Store, text: str, found: str | None) -> None:
    for name, job in (("a-aaaaaa", "a"), ("a-bbbbbb", "a"), ("ab-aaaaaa", "ab")):
        add(store, name, job=job)
    if found is not None and " " not in found:
        assert store.find(text).name == found
        return
    with pytest.raises(NotFoundError) as caught:
        store.find(text)
    assert (found or "there is no run") in caught.value.message
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_the_history_and_its_filters(store: Store) -> None:
    tagged = DEFINITION[:-1] + ',"tags":["nightly","db"]}'
    for number, (job, definition, end) in enumerate(
        [("a", DEFINITION, ENDED), ("b", tagged, None), ("a", tagged, ENDED), ("b", DEFINITION, None)]
    ):
        events = [CREATED._replace(at=1_000 * number), TAKEN, *([end] if end else [])]
        add(store, f"{job}-{number}", events, job=job, definition=definition)

    def names(**how: object) -> list[str]:
        return [row.name for row in store.history(**how)]  # type: ignore[arg-type]

    assert names() == ["b-3", "a-2", "b-1", "a-0"]
    assert names(limit=2) == ["b-3", "a-2"]
    assert names(job="a") == ["a-2", "a-0"]
    assert names(statuses=["failed"]) == ["a-2", "a-0"]
    assert names(statuses=["running", "failed"], job="b") == ["b-3", "b-1"]
    assert names(since=1_000, until=3_000) == ["a-2", "b-1"]
    assert names(tag="nightly") == ["a-2", "b-1"]
    assert names(tag="night") == []
    assert names(job="a", statuses=["failed"], since=1, tag="db") == ["a-2"]
    assert store.jobs() == ["a", "b"]
    assert [row.name for row in store.alive()] == ["b-1", "b-3"]
    latest = store.latest("a")
    assert latest is not None
    assert latest.name == "a-2"
    assert store.latest("c") is None


def test_the_same_definition_is_kept_once(store: Store) -> None:
    rows = [store.run(add(store, f"x-{number}")) for number in range(3)]
    assert len({row.definition for row in rows}) == 1
    assert store.definition(rows[0].definition) == DEFINITION


def test_attempts_are_rows_that_queries_can_read(tmp_path: Path, store: Store) -> None:
    undo = [
        Event(EventType.UNDO_STARTED, 1_004, "main", 1),
        Event(EventType.UNDO_ENDED, 1_005, "main", 1),
    ]
    add(store, "x-000001", [CREATED, TAKEN, STARTED, FAILED, *undo, ENDED])
    rows = _db(tmp_path).execute("SELECT step, number, status, exit_code, started_at, finished_at FROM attempts")
    assert rows.fetchall() == [
        ("main", 1, "failed", 3, 1_002, 1_003),
        ("main!undo", 1, "succeeded", 0, 1_004, 1_005),
    ]


def test_an_executor_is_known_with_the_first_thing_it_writes(store: Store) -> None:
    store.register("e1", 17, "foreground", 5)
    assert store.executors() == {}
    add(store, "x-000001", [CREATED, TAKEN])
    assert store.executors() == {"e1": (17, "foreground", 5)}
    assert [run for run, _ in store.seqs("e1")] == [1]
    store.unregister("e1")
    assert store.executors() == {}


def test_a_run_that_is_over_belongs_to_nobody(store: Store) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    assert store.run(run).executor == "e1"
    store.append([more(store, run, [ENDED])])
    assert store.run(run).executor is None
    assert store.take([run], "e2", "", 5, lambda _: False) == []


@pytest.mark.parametrize(("alive", "taken"), [(True, False), (False, True)])
def test_a_run_is_taken_from_the_dead_only(store: Store, alive: bool, taken: bool) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    assert store.take([run], "e2", "", 5, lambda _: alive) == ([run] if taken else [])
    assert store.run(run).executor == ("e2" if taken else "e1")


def test_a_run_that_is_gone_is_said(store: Store) -> None:
    with pytest.raises(NotFoundError, match="gone"):
        store.run(17)


def test_every_error_of_sqlites_has_a_sentence() -> None:
    error: JobctlError = errors.explain(sqlite3.OperationalError("something new"), "/x/jobctl.db")
    assert "something new" in error.message
    assert error.hint
    assert error.exit_code == 4


def test_names_of_runs_can_be_read_aloud_and_do_not_repeat(store: Store) -> None:
    names: set[str] = set()
    for _ in range(2_000):  # drawn without a look, one in five hundred times two of so many would be the same
        names.add(store.unused_name("backup", names))
    assert len(names) == 2_000
    assert all(name.startswith("backup-") and len(name) == len("backup-") + 6 for name in names)
    assert not set("".join(name[7:] for name in names)) & set("ilou")


@pytest.mark.parametrize("name", ["", "../x", "a b", "x~1", "-x", "naïve"])
def test_no_run_is_called_what_is_no_id(store: Store, name: str) -> None:
    with pytest.raises(UnwritableError, match="a run cannot be called"):
        add(store, name, [CREATED])
    assert store.history() == []

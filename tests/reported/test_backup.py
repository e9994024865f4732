"""The machine died, all goes on: what is recorded is written to one file while everything goes on, and becomes a state
folder again - or is refused, and nothing has changed.

What others promise and this one did not: SQLite's .backup, pg_basebackup, etcd snapshot save and restore; pg_dump with
damaged blocks left out.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import JOBCTL, PATIENCE, Daemons, strace

from jobctl.core.run.history import Event
from jobctl.store.store import Store

LOAD = """
[jobs.tick]
schedule = { every = "1s" }
command = "echo $JOBCTL_RUN $JOBCTL_FIRE_TIME >> ticks; echo at=$JOBCTL_FIRE_TIME >> $JOBCTL_OUTPUT"

[jobs.hold]
retry = { maximum_attempts = 3, initial_interval = "1ms" }
command = "echo $JOBCTL_ATTEMPT $JOBCTL_IDEMPOTENCY_KEY >> marks; until test -e go; do sleep 0.02; done"

[jobs.once]
steps = [
  { name = "pay", compensate = "echo undo >> paid", command = "echo pay >> paid; exec sleep 600" },
]

[jobs.asked]
steps = [{ name = "ask", approval = "Go on?" }, { name = "after", command = "echo after >> marks" }]

[jobs.nap]
steps = [{ name = "nap", sleep = "1h" }, { name = "up", command = "echo up >> marks" }]
"""


def _members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isreg()}  # type: ignore[union-attr]


def _histories(state: Path) -> dict[str, list[Event]]:
    with Store(str(state), create=False) as store:
        return {row.name: store.events(row.id) for row in store.history(limit=100_000)}


def _unpacked(backup: Path, to: Path) -> Path:
    """By hand, with the tool that everybody has."""
    to.mkdir(mode=0o700)
    subprocess.run(["tar", "-xf", backup, "-C", to], check=True)
    return to


# -- under load --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_hand", [False, True], ids=["restore", "tar, and adopt"])
def test_the_machine_dies_and_everything_that_was_recorded_goes_on(
    home: Callable[[str], Daemons], by_hand: bool
) -> None:
    place = home(LOAD)
    daemon = place.daemon()
    names = {job: place.detach(job) for job in ("hold", "once", "asked", "nap")}
    place.until(lambda: place.lines("marks") and place.lines("paid") and len(place.lines("ticks")) >= 2)
    place.until(lambda: all(place.rows(job)[0].status == "running" for job in names))
    code, output = place.call("backup", "backup.tar.gz", "--json")
    assert code == 0, output
    told = json.loads(output)
    assert told["open_runs"] >= 4
    assert {f"{names['hold']}/main.1", f"{names['once']}/pay.1"} <= set(told["running"])
    seen = len(place.lines("ticks"))
    place.until(lambda: len(place.lines("ticks")) > seen)  # it goes on, and that is not in the backup
    daemon.kill()
    daemon.wait()
    place.end_all()
    known = _histories(_unpacked(place.folder / "backup.tar.gz", place.folder / "looked at"))
    place.state.rename(place.folder / "dead")

    other = place.folder / "other"
    if by_hand:
        _unpacked(place.folder / "backup.tar.gz", other)
        place.put_state(other)
        assert place.call("adopt", "--original-is-gone")[0] == 0
    else:
        place.put_state(other)
        code, output = place.call("restore", "backup.tar.gz")
        assert code == 0, output
        assert "may be done again" in output
        assert f"{names['hold']}/main.1" in output
        restored = _histories(other)
        assert restored == known
        assert {oct(path.stat().st_mode & 0o77) for path in (other, *other.rglob("*"))} == {"0o0"}
    place.go()
    place.daemon()
    assert place.call("approve", names["asked"])[0] == 0
    assert place.call("retry-now", names["nap"])[0] == 0
    for job in ("hold", "asked", "nap"):
        place.until(lambda job=job: place.rows(job)[0].status == "succeeded")
    place.until(lambda: place.rows("once")[0].status == "failed")  # it has no retry: what was done is undone
    attempts = place.run_document(names["hold"])["steps"][0]["attempts"]
    assert [(one["status"], "lost" in (one["error"] or "")) for one in attempts] == [
        ("failed", True),
        ("succeeded", False),
    ]
    assert place.lines("paid") == ["pay", "undo"]
    assert [line for line in place.lines("marks") if line[0].isdigit()] == [
        f"{number} {names['hold']}/main" for number in (1, 2)
    ]
    after = _histories(other)
    assert {name: after[name][: len(events)] for name, events in known.items()} == known
    first = max(line.split()[1] for line in place.lines("ticks")[: len(known)])
    place.until(lambda: max(line.split()[1] for line in place.lines("ticks")) > first)
    code, output = place.call("doctor")
    assert (code, "history is missing" in output) == (0, False), output


def test_what_has_begun_since_is_not_in_it(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'echo said; echo a=1 >> $JOBCTL_OUTPUT; echo 3 >> $JOBCTL_HEARTBEAT'\n")
    for _ in range(2):
        assert place.call("run", "x")[0] == 0
    names = [row.name for row in place.rows()]
    with sqlite3.connect(place.state / "jobctl.db") as db:  # as if it had been begun a moment later
        db.execute("DELETE FROM runs WHERE name = ?", (names[1],))
    (place.state / "runs" / names[0] / "link").symlink_to("/etc/passwd")
    os.mkfifo(place.state / "runs" / names[0] / "pipe")
    code, output = place.call("backup", "b.tar", "--no-logs")
    assert code == 0, output
    assert "2 things in the folders of runs left out" in output
    held = _members(place.folder / "b.tar")
    assert {name for name in held if name.startswith("runs/")} == {
        f"runs/{names[0]}/main.1.{kind}" for kind in ("output", "heartbeat")
    }
    assert next(iter(held)) == "backup.json"
    assert json.loads(held["backup.json"])["runs"] == 1
    assert (place.folder / "b.tar").stat().st_mode & 0o777 == 0o600


def test_who_writes_waits_for_no_backup_and_the_log_gets_small_again(home: Callable[[str], Daemons]) -> None:
    """Whoever takes the backup may be slow: the database is read in one go before."""
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    slow = subprocess.Popen(
        [*JOBCTL, "backup", "-"], cwd=place.folder, env=place.environment, stdout=subprocess.PIPE, bufsize=0
    )
    assert slow.stdout is not None
    assert slow.stdout.read(1) == b"b"  # of backup.json; nobody takes the rest
    assert place.call("run", "x")[0] == 0
    with Store(str(place.state)) as store:
        store.checkpoint(whole=True)
        assert not store.log_is_held
    assert (place.state / "jobctl.db-wal").exists() is False or (place.state / "jobctl.db-wal").stat().st_size == 0
    rest, _ = slow.communicate(timeout=PATIENCE)
    assert slow.returncode == 0
    (place.folder / "slow.tar").write_bytes(b"b" + rest)
    assert json.loads(_members(place.folder / "slow.tar")["backup.json"])["runs"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_backup_that_is_broken_off_leaves_what_was_there(home: Callable[[str], Daemons], number: int) -> None:
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    assert place.call("backup", "b.tar")[0] == 0
    before = (place.folder / "b.tar").read_bytes()
    # Held up where it writes: the archive's own file is locked, and a pipe would have been refused.
    process = place.start(
        "backup", "b.tar", before=("strace", "-qq", "-o", "/dev/null", "-e", "inject=fsync:delay_exit=3000000")
    )
    place.until(lambda: any(path.stat().st_size for path in place.folder.glob(".jobctl-draft-*/file")))
    [pid] = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert {oct(path.stat().st_mode & 0o77) for path in place.folder.glob(".jobctl-draft-*")} == {"0o0"}
    assert place.call("backup", "c.tar")[0] == 0  # beside it; the draft of one that lives is left alone
    assert len(list(place.folder.glob(".jobctl-draft-*"))) == 1
    assert pid > 1
    os.kill(pid, number)
    process.communicate(timeout=PATIENCE)
    assert (place.folder / "b.tar").read_bytes() == before
    assert sorted(path.name for path in place.folder.glob("*b.tar*")) == ["b.tar"]
    assert list(place.folder.glob(".jobctl-draft-*")) == []


@pytest.mark.parametrize("where", ["b.tar", "-"])
def test_what_a_killed_backup_leaves_is_removed_by_the_next(home: Callable[[str], Daemons], where: str) -> None:
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    folder = place.folder if where != "-" else place.state
    left = folder / f".jobctl-draft-{'0' * 16}"
    left.mkdir(mode=0o700)
    (left / "db").touch()
    (folder / ".jobctl-draft-of mine").mkdir()
    (folder / f".jobctl-draft-{'1' * 16}").symlink_to(place.state)
    done = subprocess.run([*JOBCTL, "backup", where], cwd=place.folder, env=place.environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert not left.exists()
    assert (folder / ".jobctl-draft-of mine").is_dir()
    assert (place.state / "jobctl.db").exists()


@pytest.mark.parametrize("name", ["b.tar.new", "b.tar.new.db"])
def test_what_somebody_has_put_under_a_foreseeable_name_is_not_touched(
    home: Callable[[str], Daemons], name: str
) -> None:
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    victim = place.folder / "victim"
    victim.write_text("mine")
    (place.folder / name).symlink_to(victim)
    assert place.call("backup", "b.tar")[0] == 0
    assert (victim.read_text(), (place.folder / name).is_symlink()) == ("mine", True)


TARGETS = ["state/jobctl.db", "state/new.tar", "state/runs/b.tar", "link/b.tar", "to-db", "jobs.toml", ""]


@pytest.mark.parametrize("target", TARGETS)
def test_a_backup_takes_the_place_of_nothing_but_a_backup(home: Callable[[str], Daemons], target: str) -> None:
    """The live store, and the definitions, had become a backup."""
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    (place.folder / "link").symlink_to(place.state)
    (place.folder / "to-db").symlink_to(place.state / "jobctl.db")
    before = (place.folder / "jobs.toml").read_bytes()
    code, output = place.call("backup", target)
    assert (code, "hint: " in output) == (2, True), output
    assert (place.folder / "jobs.toml").read_bytes() == before
    code, output = place.call("backup", "--force", target)
    assert code == (0 if target == "jobs.toml" else 2), output
    assert place.call("history")[0] == 0 or target == "jobs.toml"
    assert sorted(path.name for path in place.state.glob("*.tar")) == []


def test_what_cannot_be_read_is_told_and_no_success(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'echo said'\n")
    assert place.call("run", "x")[0] == 0
    [run] = [row.name for row in place.rows()]
    path = str(place.state / "runs" / run / "main.1.log")
    fails = (
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-P",
        path,
        "-e",
        "trace=openat",
        "-e",
        "inject=openat:error=EIO",
    )
    process = place.start("backup", "b.tar", "--json", before=fails)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, output
    text = output if isinstance(output, str) else output.decode()
    assert f"runs/{run}/main.1.log" in json.loads(text[text.index("{") :])["unread"][0]
    assert place.call("restore", "b.tar")[0] == 1  # it is whole: it is refused for the folder that is not empty
    place.put_state(place.folder / "other")
    assert place.call("restore", "b.tar")[0] == 0


def test_a_full_disk_is_said_in_a_sentence_that_names_the_file(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    process = place.start(
        "backup", "b.tar", before=("strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fsync:error=ENOSPC")
    )
    output, errors = process.communicate(timeout=PATIENCE)
    said = f"{output!s}{errors!s}"
    assert process.returncode == 1, said
    assert "b.tar cannot be written" in said
    assert "Traceback" not in said
    assert list(place.folder.glob("*b.tar*")) == []


@pytest.mark.parametrize("words", [("status",), ("run", "x"), ("daemon", "--once"), ("doctor",), ("backup", "b.tar")])
def test_after_a_restore_that_was_cut_short_nothing_begins_in_silence(
    home: Callable[[str], Daemons], one_backup: Path, words: tuple[str, ...]
) -> None:
    place = home("[jobs.x]\ncommand = 'true'\n")
    (place.state / "restore.new").mkdir(parents=True)
    place.state.chmod(0o700)
    code, output = place.call(*words)
    assert (code != 0, "a restore into" in output, "run it again" in output) == (True, True, True), output
    assert place.call("restore", str(one_backup))[0] == 0
    assert not (place.state / "restore.new").exists()
    assert place.call("status")[0] == 0


@pytest.mark.parametrize("name", ["", ".", "a device"])
def test_what_cannot_be_restored_is_said_with_a_way_out(home: Callable[[str], Daemons], name: str) -> None:
    place = home("")
    code, output = place.call("restore", "/dev/null" if name == "a device" else name)  # it is only read
    assert (code, "cannot be restored" in output, "hint: name what" in output) == (1, True, True), output


# -- what is refused ---------------------------------------------------------------------------------------------------


def _with(backup: Path, *more: tuple[str, str, bytes], without: str = "", compress: bool = False) -> bytes:
    """A backup with other files in it as well: name, type, content or target."""
    out = io.BytesIO()
    held = _members(backup)
    end = held.pop("end.json")
    held.pop(without, None)
    with tarfile.open(fileobj=out, mode="w:gz" if compress else "w") as tar:
        for name, data in held.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for name, kind, data in more:
            entry = tarfile.TarInfo(name)
            entry.type = kind.encode()
            if kind == "0":
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            else:
                entry.linkname = data.decode()
                tar.addfile(entry)
        entry = tarfile.TarInfo("end.json")
        data = json.dumps({"files": json.loads(end)["files"] + len(more) - bool(without)}).encode()
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _changed(backup: Path, name: str, change: Callable[[bytes], bytes]) -> bytes:
    held = _members(backup)
    held[name] = change(held[name])
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for one, data in held.items():
            entry = tarfile.TarInfo(one)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _newer_schema(backup: Path) -> bytes:
    data = bytearray(_members(backup)["jobctl.db"])
    data[60:64] = (999).to_bytes(4, "big")  # user_version, by SQLite's file format
    import hashlib

    first = _changed(backup, "jobctl.db", lambda _: bytes(data))
    again = backup.with_name("newer.tar")
    again.write_bytes(first)

    def digest(text: bytes) -> bytes:
        about = json.loads(text)
        about["database"]["sha256"] = hashlib.sha256(data).hexdigest()
        return json.dumps(about).encode()

    return _changed(again, "backup.json", digest)


def _about(**changes: object) -> Callable[[bytes], bytes]:
    return lambda text: json.dumps({**json.loads(text), **changes}).encode()


def _format(text: bytes) -> bytes:
    return json.dumps({**json.loads(text), "format": 2}).encode()


def _foreign(backup: Path) -> bytes:
    path = backup.with_name("songs.db")
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE songs (title)")
    return path.read_bytes()


OUTSIDE = "leads out of the folder"
NO_FILE = "is no file"
NO_BACKUP = "it is no backup of jobctl"
REFUSED: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "nothing": (lambda _: b"", "it is no tar"),
    "text": (lambda _: b"hello\n" * 1000, "it is no tar"),
    "a tar of something else": (lambda b: _with(b, without="backup.json"), NO_BACKUP),
    "backup.json that is no JSON": (lambda b: _changed(b, "backup.json", lambda _: b"{"), NO_BACKUP),
    "backup.json with a database that is a text": (
        lambda b: _changed(b, "backup.json", _about(database="x")),
        NO_BACKUP,
    ),
    "backup.json of no time": (lambda b: _changed(b, "backup.json", _about(made_at="yesterday")), NO_BACKUP),
    "a format without end": (lambda b: _changed(b, "backup.json", _about(format=float("inf"))), NO_BACKUP),
    "an end that is no JSON": (lambda b: _changed(b, "end.json", lambda _: b"garbage"), "cut off"),
    "an end that is a list": (lambda b: _changed(b, "end.json", lambda _: b"[]"), "cut off"),
    "a newer format": (lambda b: _changed(b, "backup.json", _format), "newer jobctl"),
    "a newer schema": (_newer_schema, "newer jobctl (schema 999"),
    "another database": (_foreign, "no database of jobctl"),
    "no database": (lambda b: _with(b, without="jobctl.db"), "cut off"),
    "cut in a file": (lambda b: b.read_bytes()[:9_000], "cut off"),
    "cut between two files": (lambda b: b.read_bytes()[: b.read_bytes().rindex(b"end.json")], "cut off"),
    "cut, compressed": (lambda b: gzip.compress(b.read_bytes())[:-900], "cut off"),
    "damaged, compressed": (
        lambda b: (lambda data: data[:200] + bytes(byte ^ 1 for byte in data[200:600]) + data[600:])(
            gzip.compress(b.read_bytes())
        ),
        "it is ",
    ),
    "a damaged database": (
        lambda b: _changed(b, "jobctl.db", lambda d: d[:5000] + bytes(byte ^ 1 for byte in d[5000:9000]) + d[9000:]),
        "the database in it is damaged",
    ),
    "a file above": (lambda b: _with(b, ("../evil", "0", b"x")), OUTSIDE),
    "a file above, from below": (lambda b: _with(b, ("runs/x/../../../evil", "0", b"x")), OUTSIDE),
    "an absolute path": (lambda b: _with(b, ("/evil", "0", b"x")), OUTSIDE),
    "a link": (lambda b: _with(b, ("runs", "2", b"/tmp")), NO_FILE),
    "a link for a folder": (lambda b: _with(b, ("runs/y", "2", b"/tmp")), NO_FILE),
    "a hard link": (lambda b: _with(b, ("runs/y/main.1.log", "1", b"/etc/passwd")), NO_FILE),
    "a pipe": (lambda b: _with(b, ("runs/y/main.1.log", "6", b"")), NO_FILE),
    "a device": (lambda b: _with(b, ("runs/y/main.1.log", "3", b"")), NO_FILE),
    "a file of another name": (lambda b: _with(b, ("daemon.lock", "0", b"")), NO_BACKUP),
    "a file too deep": (lambda b: _with(b, ("runs/x/y/z", "0", b"")), NO_BACKUP),
    "a file twice": (lambda b: _with(b, ("jobctl.db", "0", b"")), "is in it twice"),
}


@pytest.fixture(scope="module")
def one_backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = Daemons(tmp_path_factory.mktemp("made"), "[jobs.x]\ncommand = 'echo said'\n")
    assert place.call("run", "x")[0] == 0
    assert place.call("backup", "b.tar")[0] == 0
    return place.folder / "b.tar"


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_backup_is_refused_and_changes_nothing(
    home: Callable[[str], Daemons], one_backup: Path, what: str
) -> None:
    make, says = REFUSED[what]
    place = home("")
    (place.folder / "b.tar").write_bytes(make(one_backup))
    code, output = place.call("restore", "b.tar")
    assert code in (1, 4), output
    assert says in output
    assert "hint: " in output
    assert "b.tar cannot be restored" in output or code == 4
    assert list(place.state.iterdir()) == []
    assert sorted(path.name for path in place.folder.iterdir()) == ["b.tar", "jobs.toml", "state"]


FOLDERS: dict[str, bool] = {
    "": True,
    "lost+found/": True,
    "cache/outline-0.json": True,
    "restore.new/jobctl.db": True,
    "restore.new/moving runs/x/y executors/x": True,
    "runs/x/y": False,
    "jobctl.db": False,
    "notes.txt": False,
}


@pytest.mark.parametrize("there", FOLDERS)
def test_only_an_empty_folder_is_filled(home: Callable[[str], Daemons], one_backup: Path, there: str) -> None:
    place = home("")
    place.state.mkdir(mode=0o700)
    for name in there.split():
        path = place.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.touch()
    before = sorted(place.state.rglob("*"))
    code, output = place.call("restore", str(one_backup))
    if FOLDERS[there]:
        assert code == 0, output
        assert place.call("logs", "x")[1] == "said\n"
        assert not (place.state / "restore.new").exists()
        assert not (place.state / "runs/x").exists()
    else:
        assert (code, "is not empty" in output) == (1, True), output
        assert sorted(place.state.rglob("*")) == before


def test_the_original_is_not_gone_while_somebody_lives_on_it(home: Callable[[str], Daemons]) -> None:
    place = home(LOAD)
    place.daemon()
    name = place.detach("asked")
    assert place.call("backup", "b.tar")[0] == 0
    original = place.state
    place.put_state(place.folder / "other")
    code, output = place.call("restore", "b.tar")
    assert (code, "lives on" in output, "--as-copy" in output) == (1, True, True), output
    assert list(place.state.iterdir()) == []
    code, output = place.call("restore", "b.tar", "--as-copy", "--json")
    assert code == 0, output
    assert (json.loads(output)["as"], json.loads(output)["ended"]) == ("copy", [name])
    place.put_state(original)
    assert place.run_document(name)["status"] == "running"


def test_over_pipes_and_from_one_machine_to_another(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'echo said'\n")
    assert place.call("run", "x")[0] == 0
    program = " ".join(JOBCTL)
    line = f"{program} backup - | gzip | {program} --state-dir other restore -"
    done = subprocess.run(["sh", "-c", line], cwd=place.folder, env=place.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    place.put_state(place.folder / "other")
    assert place.call("logs", "x")[1] == "said\n"


@pytest.mark.parametrize("call", ["mkdir", "rename", "link", "fsync"])
def test_a_restore_that_is_killed_is_done_again_or_is_a_copy(
    home: Callable[[str], Daemons], one_backup: Path, call: str
) -> None:
    """At each of these calls: what is half there is never taken for a state folder, and stands in nobody's way."""
    place = home("")
    for instant in range(1, 9):
        place.put_state(place.folder / f"{call}{instant}")
        place.state.mkdir(mode=0o700)
        process = place.start("restore", str(one_backup), before=strace(call, instant))
        process.communicate(timeout=PATIENCE)
        if process.returncode == 0:
            break
        if not (place.state / "jobctl.db").exists():
            assert place.call("restore", str(one_backup))[0] == 0
        elif "adopt" in place.call("status")[1]:
            assert place.call("adopt", "--original-is-gone")[0] == 0
        assert place.call("logs", "x")[1] == "said\n"
        assert place.call("doctor")[0] == 0


# -- of an older jobctl ------------------------------------------------------------------------------------------------

RELEASED = Path(__file__).parents[1] / "store" / "released"


@pytest.mark.parametrize("schema", sorted(int(folder.name) for folder in RELEASED.iterdir()))
@pytest.mark.parametrize("salvage", [(), ("--salvage",)], ids=["sound", "salvaged"])
def test_a_backup_of_every_schema_is_restored_in_todays(
    home: Callable[[str], Daemons], schema: int, salvage: tuple[str, ...]
) -> None:
    """Made by today's jobctl of an older store, which it leaves as it is."""
    place = home("")
    with tarfile.open(RELEASED / str(schema) / "state.tar.gz") as archive:
        archive.extractall(place.folder, filter="data")
    content = (place.state / "jobctl.db").read_bytes()
    code, output = place.call("backup", "b.tar", *salvage)
    assert code == 0, output
    assert (place.state / "jobctl.db").read_bytes() == content
    with sqlite3.connect(place.state / "jobctl.db") as db:
        known = db.execute("SELECT name, status FROM runs ORDER BY id").fetchall()
    place.state.rename(place.folder / "gone")
    place.put_state(place.folder / "other")
    code, output = place.call("restore", "b.tar")
    assert code == 0, output
    with Store(str(place.state), create=False) as store:
        assert [(row.name, str(row.status)) for row in reversed(store.history(limit=1000))] == known
    code, output = place.call("doctor", "--deep", "--json")
    wrong = [
        check for check in json.loads(output)["checks"] if check["status"] == "fail" and check["name"] != "definitions"
    ]
    assert wrong == []
    assert place.call("daemon", "--once")[0] == 0


# -- a damaged store ---------------------------------------------------------------------------------------------------

MANY = 60


@pytest.fixture
def many(home: Callable[[str], Daemons]) -> Daemons:
    """A home with runs whose rows fill some pages."""
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    with sqlite3.connect(place.state / "jobctl.db") as db:
        for number in range(2, MANY + 1):
            for table, key in (("runs", "id"), ("events", "run"), ("attempts", "run")):
                columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
                changes = {key: str(number), "name": f"'x-{number:06}'"}
                if table == "runs":
                    changes["reason"] = f"'{'r' * 300}'"
                values = ", ".join(changes.get(column, column) for column in columns)
                db.execute(f"INSERT INTO {table} SELECT {values} FROM {table} WHERE {key} = 1")
    with sqlite3.connect(place.state / "jobctl.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return place


def _pages(path: Path, table: str) -> list[int]:
    """The leaves of a table's tree, by the first number in each: those that hold rows."""
    with sqlite3.connect(path) as db:
        try:
            return [
                row[0]
                for row in db.execute(
                    "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path", (table,)
                )
            ]
        except sqlite3.OperationalError:
            pytest.skip("only an SQLite with dbstat")


def _spoil(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


# table -> what is said to be lost, in a word
SPOILT = {
    "runs": "rows of the table runs",
    "events": "history",
    "definitions": "definition",
    "attempts": "rows of attempts of",
    "schedules": "schedules",
    "store": "identity",
    "firings": "firings",
}


@pytest.mark.parametrize("table", SPOILT)
def test_of_a_damaged_store_what_can_be_read_is_saved(many: Daemons, table: str) -> None:
    place = many
    database = place.state / "jobctl.db"
    pages = _pages(database, table)
    _spoil(database, pages[len(pages) // 2])
    code, output = place.call("backup", "b.tar")
    assert (code, "is damaged" in output, "jobctl backup --salvage" in output) == (4, True, True), output
    assert not (place.folder / "b.tar").exists()
    code, output = place.call("backup", "--salvage", "b.tar")
    assert code == 0, output
    assert SPOILT[table] in output
    place.put_state(place.folder / "other")
    code, output = place.call("restore", "b.tar")
    assert code == 0, output
    with Store(str(place.state)) as store:
        assert store.quick_check() == []
        rows = store.history(limit=1000)
    if table == "runs":
        assert MANY / 2 < len(rows) < MANY
        assert {row.name for row in rows} >= {"x-000060", "x-000002"}
    else:
        assert len(rows) == MANY
    code, output = place.call("run", "x")
    assert code == 0, output
    assert place.call("status")[0] == 0
    assert place.call("daemon", "--once")[0] == 0


@pytest.mark.parametrize("way", ["backup", "salvage", "recovered"])
@pytest.mark.parametrize("logs", [False, True], ids=["", "with logs"])
def test_what_ran_by_its_history_is_lost_whatever_the_rows_of_attempts_say(
    home: Callable[[str], Daemons], way: str, logs: bool
) -> None:
    """The rows were asked, which were lost: the attempt was begun a second time, under the same number."""
    place = home(LOAD)
    daemon = place.daemon()
    names = [place.detach("hold"), place.detach("once")]
    place.until(lambda: place.lines("marks") and place.lines("paid"))
    daemon.kill()
    daemon.wait()
    place.end_all()
    old, database = place.state, place.state / "jobctl.db"
    with sqlite3.connect(database) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if way != "salvage":
            db.execute("DELETE FROM attempts")
    file = "b.tar"
    if way == "salvage":
        for page in _pages(database, "attempts"):
            _spoil(database, page)
        code, output = place.call("backup", "--salvage", file)
        assert (code, "rows of attempts of" in output) == (0, True), output
    elif way == "backup":
        assert place.call("backup", file)[0] == 0
    else:
        file = "saved.db"
        shutil.copy(database, place.folder / file)
    place.put_state(place.folder / "other")
    code, output = place.call("restore", file)
    assert code == 0, output
    assert all(name in output for name in names)
    if logs:
        shutil.copytree(old / "runs", place.state / "runs", dirs_exist_ok=True)
    place.go()
    place.daemon()
    place.until(lambda: place.rows("hold")[0].status == "succeeded" and place.rows("once")[0].status == "failed")
    assert [line for line in place.lines("marks") if line[0].isdigit()] == [f"{n} {names[0]}/main" for n in (1, 2)]
    assert place.lines("paid") == ["pay", "undo"]


def test_of_a_database_that_was_cut_what_can_be_read_is_saved(many: Daemons) -> None:
    database = many.state / "jobctl.db"
    os.truncate(database, database.stat().st_size - 8192)
    code, output = many.call("backup", "--salvage", "b.tar")
    assert code == 0, output
    many.put_state(many.folder / "other")
    assert many.call("restore", "b.tar")[0] == 0
    assert len(many.rows("x")) > MANY / 2


def test_when_no_run_can_be_saved_that_is_no_success(many: Daemons) -> None:
    database = many.state / "jobctl.db"
    for table in ("runs", "events", "sqlite_autoindex_runs_1"):
        for page in _pages(database, table):
            _spoil(database, page)
    code, output = many.call("backup", "--salvage", "b.tar")
    assert (code, "rows of the table runs" in output, "hint: " in output) == (1, True, True), output
    assert list(many.folder.glob("*b.tar*")) == []


def test_a_name_that_is_no_text_is_damage_of_the_store_and_told_as_loss(many: Daemons) -> None:
    with sqlite3.connect(many.state / "jobctl.db") as db:
        db.execute("UPDATE runs SET name = CAST(x'78ff' AS TEXT) WHERE id = 7")
    code, output = many.call("backup", "b.tar")
    assert (code, "jobctl.db is damaged" in output, "--salvage" in output) == (4, True, True), output
    assert ".new" not in output
    code, output = many.call("backup", "--salvage", "b.tar")
    assert (code, "no UTF-8" in output) == (0, True), output


MARKS = "PRAGMA auto_vacuum = 2; PRAGMA user_version = {}; PRAGMA application_id = {};"


def _recovered(place: Daemons, by: str) -> Path:
    """What SQLite's .recover makes of the store: of a damaged one, where its tool can do that."""
    database, saved = place.state / "jobctl.db", place.folder / "saved.db"
    if by != "sqlite3":  # as it writes it: of a newer SQLite with the marks of the file, of an older one without
        with sqlite3.connect(database) as origin, sqlite3.connect(saved, isolation_level=None) as copy:
            if by == "marks":
                marks = [origin.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")]
                copy.executescript(MARKS.format(*marks))
            copy.executescript("\n".join(origin.iterdump()))
            copy.execute("CREATE TABLE lost_and_found (rootpgno, pgno, nfield, id, c0, c1)")
        return saved
    pages = _pages(database, "runs")
    _spoil(database, pages[len(pages) // 2])
    if shutil.which("sqlite3") is None:
        pytest.skip("only a sqlite3 that can recover, and there is none")
    script = subprocess.run(["sqlite3", database, ".recover"], capture_output=True, check=False)
    if script.returncode or b"sql error" in script.stderr:
        pytest.skip("only a sqlite3 that can recover")  # as Debian's, which is built without sqlite_dbpage
    subprocess.run(["sqlite3", saved], input=script.stdout, check=True, capture_output=True)
    return saved


@pytest.mark.parametrize(
    ("by", "way"),
    [
        ("sqlite3", "restore"),
        ("sqlite3", "into its place"),
        ("marks", "restore"),
        ("marks", "into its place"),
        ("no marks", "restore"),
    ],
)
def test_what_sqlite_recovers_is_accepted(many: Daemons, by: str, way: str) -> None:
    place = many
    saved = _recovered(place, by)
    if way == "restore":
        old = place.state
        place.put_state(place.folder / "other")
        code, output = place.call("restore", "saved.db")
        assert code == 0, output
        assert f"the original is still in {old}" in output
        shutil.copytree(old / "runs", place.state / "runs")
    else:
        for leftover in place.state.glob("jobctl.db*"):
            leftover.unlink()
        shutil.copy(saved, place.state / "jobctl.db")
        (place.state / "jobctl.db").chmod(0o600)
    code, output = place.call("run", "x")
    assert code == 0, output
    rows = place.rows("x")
    assert len(rows) > MANY / 2
    assert place.run_document(rows[0].name)["status"] == "succeeded"
    assert place.call("doctor")[0] == 0
    with sqlite3.connect(place.state / "jobctl.db") as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_of_what_is_no_database_any_more_nothing_is_saved_and_a_way_is_named(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    (place.state / "jobctl.db").write_bytes(os.urandom(8192))
    code, output = place.call("backup", "--salvage", "b.tar")
    assert (code, "hint: " in output) == (4, True), output
    assert sorted(path.name for path in place.folder.glob("b.tar*")) == []


@pytest.mark.parametrize("words", [("backup",), ("restore",), ("backup", "-", "--json")])
def test_usage(home: Callable[[str], Daemons], words: tuple[str, ...]) -> None:
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    assert place.call(*words)[0] == 2


def test_nothing_to_back_up(home: Callable[[str], Daemons]) -> None:
    place = home("")
    assert place.call("backup", "b.tar")[0] == 3
    (place.state / "runs/x").mkdir(parents=True)
    place.state.chmod(0o700)
    assert place.call("backup", "b.tar")[0] == 4
    assert place.call("restore", "is not there")[0] == 1


@pytest.mark.parametrize("made", ["a device", "a pipe", "a folder", "no folder"])
def test_only_a_file_is_written_and_only_a_file_replaced(home: Callable[[str], Daemons], made: str) -> None:
    """/dev/full had become a file."""
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    target = place.folder / "target"
    if made == "a device":
        if os.geteuid() != 0:
            pytest.skip("only root makes devices")
        os.mknod(target, 0o600 | 0o020000, os.makedev(1, 7))
    elif made == "a pipe":
        os.mkfifo(target)
    elif made == "a folder":
        target.mkdir()
    else:
        target = target / "below"
    before = os.stat(target) if target.exists() else None
    code, output = place.call("backup", str(target))
    assert (code, "hint: " in output) == (2, True), output
    assert (os.stat(target) if target.exists() else None) == before
    assert list(place.folder.glob(".jobctl-draft-*")) == []


def test_what_a_link_leads_to_is_replaced(home: Callable[[str], Daemons]) -> None:
    place = home("[jobs.x]\ncommand = 'true'\n")
    assert place.call("run", "x")[0] == 0
    (place.folder / "link.tar").symlink_to("real.tar")
    for _ in range(2):
        assert place.call("backup", "link.tar")[0] == 0
        assert (place.folder / "link.tar").is_symlink()
        assert json.loads(_members(place.folder / "real.tar")["backup.json"])["runs"] == 1

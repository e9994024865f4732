"""A state folder that is copied, moved, mounted anew, put back: the same one goes on, a copy touches nothing of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from homes import PATIENCE, Daemons

from jobctl.engines.local.adopt import at_home
from jobctl.host import folder
from jobctl.store.store import Store

LOAD = """
[jobs.tick]
schedule = { every = "1s" }
command = "echo $JOBCTL_RUN $JOBCTL_FIRE_TIME >> $JOBCTL_STATE_DIR.ticks"

[jobs.hold]
command = "echo begin >> marks; until test -e go; do sleep 0.02; done; echo end >> marks"

[jobs.asked]
steps = [{ name = "ask", approval = "Go on?" }, { name = "after", command = "true" }]

[jobs.bad]
command = "exit 1"
"""


# -- which folder it is ------------------------------------------------------------------------------------------------


def _renamed(state: Path) -> Path:
    return state.rename(state.with_name("renamed"))


def _parent_renamed(state: Path) -> Path:
    return state.parent.rename(state.parent.with_name("parent")) / state.name


def _linked(state: Path) -> Path:
    real = state.rename(state.with_name("real"))
    state.symlink_to(real)
    return Path(os.path.realpath(state))


def _touched(state: Path) -> Path:
    for path in (state, *state.rglob("*")):
        os.utime(path)
        path.chmod(0o700)
    return state


def _unmarked(state: Path) -> Path:
    (state / folder.MARK).unlink()
    return state


def _copied(state: Path) -> Path:
    subprocess.run(["cp", "-a", state, state.with_name("copy")], check=True)
    return state.with_name("copy")


def _copied_into_its_place(state: Path) -> Path:
    copy = _copied(state)
    shutil.rmtree(state)
    return copy.rename(state)


def _hard_links(state: Path) -> Path:
    subprocess.run(["cp", "-al", state, state.with_name("copy")], check=True)
    return state.with_name("copy")


def _restored(state: Path) -> Path:
    archive = state.with_name("backup.tar")
    with tarfile.open(archive, "w") as file:
        file.add(state, "state")
    shutil.rmtree(state)
    with tarfile.open(archive) as file:
        file.extractall(state.parent, filter="data")
    return state


def _files_moved(state: Path) -> Path:
    other = state.with_name("other")
    other.mkdir(mode=0o700)
    for path in state.iterdir():
        path.rename(other / path.name)
    return other


SAME = (_renamed, _parent_renamed, _linked, _touched, _unmarked)
COPIES = (_copied, _copied_into_its_place, _hard_links, _restored, _files_moved)


def _made(tmp_path: Path) -> Path:
    state = tmp_path / "below" / "state"
    state.mkdir(mode=0o700, parents=True)
    Store(str(state)).close()
    return state


def _is_copy(state: Path) -> bool:
    with Store(str(state), create=False, asks=True) as store:
        return store.copy is not None


@pytest.mark.parametrize("births", [True, False], ids=["births", "no births"])
@pytest.mark.parametrize("how", [*SAME, *COPIES])
def test_a_folder_is_known_wherever_it_lies_and_a_copy_is_not_it(
    tmp_path: Path, how: Callable[[Path], Path], births: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not births:
        monkeypatch.setattr(folder, "born", lambda _: None)
    elif folder.born(str(tmp_path)) is None:
        pytest.skip("this file system knows no births")
    state = _made(tmp_path)
    assert not _is_copy(state)
    # Without births there is nothing else than the mark, and who touches it is asked.
    expected = how in COPIES or (not births and how in (_touched, _unmarked))
    assert _is_copy(how(state)) == expected


def test_a_folder_made_where_births_are_known_is_known_where_they_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may forbid the question."""
    state = _made(tmp_path)
    monkeypatch.setattr(folder, "born", lambda _: None)
    assert not _is_copy(_renamed(state))


def _mount(*words: str) -> None:
    if os.geteuid() != 0 or subprocess.run(["mount", *words], capture_output=True, check=False).returncode != 0:
        if os.environ.get("CI"):
            pytest.fail("nothing can be mounted here")
        pytest.skip("nothing can be mounted here")


@contextmanager
def _mounted(*words: str) -> Iterator[Path]:
    _mount(*words)
    try:
        yield Path(words[-1])
    finally:
        subprocess.run(["umount", "-l", words[-1]], check=True)


def test_a_volume_that_comes_back_under_another_device_number_is_the_same(tmp_path: Path) -> None:
    image, place, other = tmp_path / "image", tmp_path / "place", tmp_path / "other"
    image.write_bytes(bytes(8 << 20))
    if shutil.which("mkfs.ext4", path="/sbin:/usr/sbin:/bin:/usr/bin") is None:
        pytest.skip("there is no mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, env={"PATH": "/sbin:/usr/sbin:/bin:/usr/bin"})
    copy = tmp_path / "clone"
    for folder_ in (place, other):
        folder_.mkdir()
    with _mounted("-o", "loop", str(image), str(place)):
        (place / "state").mkdir(mode=0o700)
        Store(str(place / "state")).close()
        device = place.stat().st_dev
        assert not _is_copy(place / "state")
        subprocess.run(["sync", "-f", str(place)], check=True)
    shutil.copy(image, copy)
    with ExitStack() as stack:
        first = tmp_path / "first"
        first.mkdir()
        filler = tmp_path / "filler"
        filler.write_bytes(bytes(8 << 20))
        subprocess.run(["mkfs.ext4", "-q", str(filler)], check=True, env={"PATH": "/sbin:/usr/sbin:/bin:/usr/bin"})
        stack.enter_context(_mounted("-o", "loop", str(filler), str(first)))  # takes the number that it had
        stack.enter_context(_mounted("-o", "loop", str(copy), str(other)))
        assert other.stat().st_dev != device
        assert not _is_copy(other / "state")


def test_a_container_that_is_started_again_is_the_same(tmp_path: Path) -> None:
    """The folder is in the upper layer of an overlay, which is mounted anew."""
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(tmp_path)], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")  # an overlay upon an overlay cannot be
    try:
        for name in ("lower", "upper", "work", "place"):
            (tmp_path / name).mkdir()
        options = ",".join(f"{key}dir={tmp_path / key}" for key in ("lower", "upper", "work"))
        for _ in range(2):
            with _mounted("-t", "overlay", "overlay", "-o", options, str(tmp_path / "place")) as place:
                (place / "state").mkdir(mode=0o700, exist_ok=True)
                Store(str(place / "state")).close()
                assert not _is_copy(place / "state")
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_moved_to_another_file_system_it_is_a_copy_whose_original_is_gone(tmp_path: Path, small_disk: Path) -> None:
    state = _made(tmp_path)
    shutil.move(state, small_disk / "state")
    with Store(str(small_disk / "state"), create=False) as store:
        assert store.copy is not None
        assert store.copy.of.path == str(state)


@pytest.mark.parametrize("how", [_renamed, _touched, _unmarked])
def test_a_daemon_records_where_its_folder_is_found(tmp_path: Path, how: Callable[[Path], Path]) -> None:
    state = how(_made(tmp_path))
    for _ in range(2):
        with Store(str(state)) as store:
            before = store.folder()
            at_home(store)
            assert store.folder() == folder.look(str(state))
    assert before == folder.look(str(state))  # the second time there was nothing to do


# -- what a copy does --------------------------------------------------------------------------------------------------


@pytest.fixture
def under_load(home: Callable[[str], Daemons]) -> Iterator[tuple[Daemons, str]]:
    """A home whose daemon fires and runs a command, and the run of that."""
    place = home(LOAD)
    place.daemon()
    name = place.detach("hold")
    place.detach("asked")
    place.detach("bad")
    place.until(lambda: place.lines("marks") and place.lines("state.ticks"))
    place.until(lambda: place.rows("bad")[0].finished_at)
    yield place, name
    for state in ("state", "copy"):  # end whoever works on either
        place.put_state(place.folder / state)
        place.end_all()


def _copy(place: Daemons) -> Path:
    copy = place.folder / "copy"
    subprocess.run(["cp", "-a", place.state, copy], check=True)
    return copy


def test_a_copy_touches_nothing_of_the_original_until_it_is_a_store_of_its_own(
    under_load: tuple[Daemons, str],
) -> None:
    """It killed the original's commands, and its schedules fired a second time."""
    place, name = under_load
    original, copy = place.state, _copy(place)
    [step] = [pid for pid in place.processes() if b"go" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    place.put_state(copy)
    for words in (("status",), ("history",), ("why", name), ("schedule", "list"), ("logs", name), ("doctor",)):
        code, output = place.call(*words)
        assert "jobctl adopt" in output, words
        assert "jobctl resume" not in output, words
        assert code in (0, 1), (words, output)
    assert {
        job["next_fire_at"] for job in json.loads(place.call("status", "--json")[1].partition("\n")[2])["jobs"]
    } == {None}
    refused = (
        ("terminate", name),
        ("cancel", name),
        ("resume", name),
        ("pause", name),
        ("approve", "asked"),
        ("resume", "bad"),
        ("resume", "bad", "--detach"),
        ("run", "tick", "--detach", "--require-daemon"),
        ("daemon", "--once"),
        ("run", "tick", "--detach"),
        ("schedule", "trigger", "tick"),
    )
    for words in refused:
        code, output = place.call(*words)
        assert code in (1, 4), (words, output)
        assert "jobctl adopt" in output, words
    assert place.call("run", "tick")[0] == 0  # which is nobody else's
    own = len(place.lines("copy.ticks"))
    daemon = place.daemon_that("stand still")
    seen = len(place.lines("state.ticks"))
    place.until(lambda: len(place.lines("state.ticks")) >= seen + 2)
    assert len(place.lines("copy.ticks")) == own
    code, output = place.call("adopt", "--original-is-gone")
    assert code == 1, output
    assert "lives" in output
    assert place.call("adopt")[0] == 2
    code, output = place.call("adopt", "--as-copy")
    assert code == 0, output
    place.until(lambda: len(place.lines("copy.ticks")) > own)
    document = place.run_document(name)
    assert (document["status"], document["reason"]) == ("terminated", "copied")
    assert place.run_document("asked")["status"] == "terminated"
    assert Path(f"/proc/{step}").exists()
    assert place.call("status", "--json")[0] == 0
    assert place.call("adopt", "--as-copy")[0] == 1
    daemon.terminate()
    assert daemon.wait(PATIENCE) == 143
    assert place.call("doctor")[0] == 0

    place.put_state(original)
    place.go()
    place.until(lambda: place.run_document(name)["status"] == "succeeded")
    assert place.lines("marks") == ["begin", "end"]
    assert place.run_document("asked")["status"] == "running"


def test_a_copy_whose_original_is_gone_goes_on_as_the_one(under_load: tuple[Daemons, str]) -> None:
    """Moved to another disk, or put back after a loss: its commands are adopted, its schedules catch up."""
    place, name = under_load
    place.running[0].kill()
    place.running[0].wait()
    copy = _copy(place)
    fired = {line.split()[1] for line in place.lines("state.ticks")}
    shutil.rmtree(place.state)
    place.put_state(copy)
    daemon = place.daemon_that("stand still")
    code, output = place.call("adopt", "--original-is-gone")
    assert code == 0, output
    place.until(lambda: len(place.lines("copy.ticks")) >= 3)
    assert daemon.poll() is None
    place.go()
    place.until(lambda: place.run_document(name)["status"] in ("succeeded", "failed"))
    assert place.lines("marks") == ["begin", "end"]
    again = [line.split()[1] for line in place.lines("copy.ticks")]
    assert len(set(again)) == len(again)
    assert not fired & set(again[1:])  # one may have been under way when the daemon was killed
    assert "adopt" not in place.call("status")[1]


def test_the_original_is_not_gone_while_somebody_lives_on_it(home: Callable[[str], Daemons]) -> None:
    """Also somebody who has come since the copy was made, of whom the copy knows nothing."""
    place = home("[jobs.tick]\nschedule = { every = '1s' }\ncommand = 'true'\n")
    assert place.call("run", "tick")[0] == 0
    original, copy = place.state, _copy(place)
    daemon = place.daemon()
    place.put_state(copy)
    code, output = place.call("adopt", "--original-is-gone")
    assert (code, "the original is not gone" in output) == (1, True), output
    daemon.terminate()
    daemon.wait(PATIENCE)
    assert place.call("adopt", "--original-is-gone")[0] == 0
    place.put_state(original)

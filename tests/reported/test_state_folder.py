"""A state folder whose place others decide about, or that cannot hold a store, is refused; its locks are files."""

from __future__ import annotations

import errno
import fcntl
import grp
import mmap
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobctl.core.errors import StoreError
from jobctl.engines.local import executor
from jobctl.engines.local.worker.turns import alone
from jobctl.host import parents, settings
from jobctl.host.host import Host
from jobctl.store import trial
from jobctl.store.store import Store

OTHER = 54321

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


# -- who else can put another folder there -----------------------------------------------------------------------------

# what is done to a folder above the state folder -> what is said of that; "" where it stays fine
PARENTS: dict[str, tuple[int, int, int, str]] = {  # mode, owner, group
    "ours": (0o755, 0, 0, ""),
    "for us alone": (0o700, 0, 0, ""),
    "anybody's": (0o777, 0, 0, "may write to"),
    "anybody's, as /tmp": (0o1777, 0, 0, ""),
    "anybody's but for our group": (0o707, 0, 0, "may write to"),
    "a group's": (0o775, 0, OTHER, "may write to"),
    "a group's, and sticky": (0o1775, 0, OTHER, ""),
    "our own group's": (0o775, 0, 0, ""),
    "somebody else's": (0o755, OTHER, 0, f"can be swapped by user {OTHER}"),
    "somebody else's, and sticky": (0o1777, OTHER, 0, f"can be swapped by user {OTHER}"),
}


@as_root
@pytest.mark.parametrize("there", [True, False], ids=["there", "to be made"])
@pytest.mark.parametrize("above", [1, 3])
@pytest.mark.parametrize("situation", PARENTS)
def test_whose_folders_are_above(tmp_path: Path, situation: str, above: int, there: bool) -> None:
    """ssh's StrictModes: whoever can rename a folder on the way puts one of their own there."""
    mode, owner, group, said = PARENTS[situation]
    changed = tmp_path / "changed"
    state = changed.joinpath(*("below",) * (above - 1), "state")
    (state if there else state.parent).mkdir(mode=0o700, parents=True)
    os.chown(changed, owner, group)
    changed.chmod(mode)
    if not said:
        assert settings.state_dir_ready(str(state), create=True) == str(state)
        return
    for create in (True, False):
        with pytest.raises(StoreError, match=said) as caught:
            settings.state_dir_ready(str(state), create=create)
        assert str(changed) in caught.value.message
        assert "--state-dir" in caught.value.hint


@as_root
@pytest.mark.parametrize("whose", [0, OTHER])
@pytest.mark.parametrize("target", ["real", "/real", "../{}/real"])
def test_links_on_the_way(tmp_path: Path, whose: int, target: str) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(str(tmp_path / "real") if target == "/real" else target.format(tmp_path.name))
    os.lchown(link, whose, whose)
    path = str(link / "state")
    if whose == 0:
        assert settings.state_dir_ready(path, create=True) == str(tmp_path / "real" / "state")
        return
    with pytest.raises(StoreError, match=f"symlink of user {OTHER}"):
        settings.state_dir_ready(path, create=True)


@as_root
def test_a_link_into_a_folder_that_others_can_swap(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "state").mkdir(parents=True, mode=0o700)
    shared.chmod(0o777)
    (tmp_path / "link").symlink_to(shared / "state")
    with pytest.raises(StoreError, match="may write to"):
        settings.state_dir_ready(str(tmp_path / "link"), create=True)


@pytest.mark.parametrize("members", [[], ["me"], ["me", "you"]])
def test_the_group_that_a_system_gives_each_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: list[str]
) -> None:
    """With a umask of 002, as Debian has it, what one makes is writable for a group with nobody else in it."""
    entry = pwd.struct_passwd(("me", "x", os.geteuid(), tmp_path.stat().st_gid or 1, "", "/", ""))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group(("me", "x", gid, members)))
    (tmp_path / "above").mkdir()
    if os.geteuid() == 0:
        os.chown(tmp_path / "above", 0, 1)
    (tmp_path / "above").chmod(0o775)
    path = str(tmp_path / "above" / "state")
    if "you" in members:
        with pytest.raises(StoreError, match="may write to"):
            settings.state_dir_ready(path, create=True)
    else:
        assert settings.state_dir_ready(path, create=True) == path


@as_root
def test_in_a_user_namespace_roots_folders_are_nobodys_and_stay_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container of a user: / and /tmp belong to whoever is outside of it. That one alone, and there alone."""
    nobody = int(Path("/proc/sys/fs/overflowuid").read_text())
    body = (
        "import os; from jobctl.host import parents;"
        f"print([parents.trusted(uid, os.geteuid()) for uid in (0, {nobody}, {OTHER}, 1)])"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    done = subprocess.run(["unshare", "-U", "--map-user=7", sys.executable, "-c", body], capture_output=True, text=True)
    if "unshare" in done.stderr:
        pytest.skip("no user namespace can be made here")
    assert done.stdout.strip() == "[True, True, False, False]", done.stderr
    assert not parents.trusted(nobody, os.geteuid())


# what can be mounted with a folder of a host, or of several machines, beside what test_settings.py has
@pytest.mark.parametrize(
    "kind", ["virtiofs", "vboxsf", "drvfs", "vmhgfs", "prl_fs", "gfs2", "ocfs2", "fuse.grpcfuse", "fuse.vmhgfs-fuse"]
)
def test_file_systems_of_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    (tmp_path / "mounts").write_bytes(b"1 0 0:1 / / rw - %b x rw\n" % kind.encode())
    monkeypatch.setattr(settings, "MOUNTS", str(tmp_path / "mounts"))
    with pytest.raises(StoreError, match=kind):
        settings.state_dir_ready(str(tmp_path / "state"), create=True)


# -- whether it can hold a store: tried --------------------------------------------------------------------------------


def _nothing(*_: Any) -> None:
    pass


def _failing(number: int) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return call


# what a file system does not do -> what is said
UNFIT: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "no flock": (fcntl, "flock", _failing(errno.EOPNOTSUPP), "flock: "),
    "a flock that locks nothing": (fcntl, "flock", _nothing, "can have the same lock .flock"),
    "no fcntl": (fcntl, "lockf", _failing(errno.ENOLCK), "fcntl: "),
    "a fcntl that locks nothing": (fcntl, "lockf", _nothing, "can have the same lock .fcntl"),
    "no mmap": (mmap, "mmap", _failing(errno.ENODEV), "mmap: "),
    "no pipes": (os, "mkfifo", _failing(errno.EPERM), "no pipes"),
}


@pytest.mark.parametrize("situation", UNFIT)
def test_a_file_system_that_cannot_hold_a_store_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, situation: str
) -> None:
    module, name, does, said = UNFIT[situation]
    with monkeypatch.context() as patched:
        patched.setattr(module, name, does)
        with pytest.raises(StoreError, match=said) as caught:
            trial.check(str(tmp_path))
    assert "cannot hold it" in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_permissions_that_do_not_hold_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a FAT: every file is anybody's."""
    opened = os.open

    def loose(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        fd = opened(path, flags, mode, **more)
        if flags & os.O_CREAT:
            os.fchmod(fd, 0o755)
        return fd

    monkeypatch.setattr(os, "open", loose)
    with pytest.raises(StoreError, match="permissions"):
        trial.check(str(tmp_path))


def test_it_is_tried_once_when_the_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    check = trial.check
    monkeypatch.setattr(trial, "check", lambda folder: tried.append(folder) or check(folder))
    for _ in range(2):
        Store(str(tmp_path)).close()
    assert tried == [str(tmp_path)]


def test_a_folder_that_cannot_hold_it_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "mkfifo", _failing(errno.EPERM))
        with pytest.raises(StoreError, match="no pipes"):
            Store(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    Store(str(tmp_path)).close()


# -- its locks ---------------------------------------------------------------------------------------------------------

SOMETHING_ELSE = ("dangling link", "link", "pipe", "folder")


def _put(path: Path, kind: str) -> None:
    path.parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        target = path.with_name("target")
        if kind == "link":
            target.touch()
        path.symlink_to(target)


@pytest.mark.parametrize("kind", SOMETHING_ELSE)
def test_a_daemons_lock_that_is_something_else(tmp_path: Path, kind: str) -> None:
    """A dangling link made its target."""
    _put(tmp_path / "daemon.lock", kind)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError), alone(str(tmp_path), Host()):  # noqa: PT011 - the daemon says what, and tries again
        pass
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", SOMETHING_ELSE)
def test_an_executors_lock_that_is_something_else_is_held_by_nobody(tmp_path: Path, kind: str) -> None:
    _put(tmp_path / "executors" / "0123abcd.lock", kind)
    assert not executor.alive(str(tmp_path), "0123abcd")

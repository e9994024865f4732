"""A cgroup for each attempt: on a real one, which only root can have delegated to itself."""

from __future__ import annotations

import errno
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hands import Hands, alive, until

from jobctl.process import cgroups, descent


@pytest.fixture
def root() -> Iterator[Path]:
    """A cgroup that is marked as delegated, with this process in it."""
    own = cgroups._own()
    if own is None or os.geteuid() != 0:
        pytest.skip("only root on cgroup v2 can make one")
    home, place = Path(own), Path(own) / f"jobctl-test-{uuid.uuid4().hex[:8]}"
    try:
        place.mkdir()
        os.setxattr(place, "trusted.delegate", b"1")
        (place / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        pytest.skip(f"only where a cgroup can be made: {error}")
    yield place
    (home / "cgroup.procs").write_text(str(os.getpid()))
    (place / "cgroup.kill").write_text("1")
    until(lambda: _removed(place))


def _removed(place: Path) -> bool:
    for folder in sorted(place.rglob("*"), reverse=True):
        if folder.is_dir():
            try:
                folder.rmdir()
            except OSError:
                return False
    try:
        place.rmdir()
    except OSError:
        return False
    return True


@pytest.fixture
def hands(root: Path, tmp_path: Path) -> Iterator[Hands]:
    assert cgroups.delegated() == str(root)
    cgroups.settle()
    one = Hands(tmp_path).make()
    yield one
    one.close()


def _leaves(root: Path) -> list[str]:
    return [one.name for one in root.iterdir() if one.name.startswith("attempt-")]


def test_a_daemon_has_a_leaf_of_its_own(root: Path) -> None:
    (root / "attempt-12").mkdir()  # of an earlier daemon
    cgroups.settle()
    assert str(os.getpid()) in (root / "jobctl" / "cgroup.procs").read_text().split()
    assert cgroups.delegated() == str(root)
    assert _leaves(root) == []
    cgroups.settle()
    assert cgroups.delegated() == str(root)


def test_nothing_is_done_where_nobody_has_said_that_we_may(root: Path) -> None:
    os.removexattr(root, "trusted.delegate")
    cgroups.settle()
    assert cgroups.leaves() is None
    assert not (root / "jobctl").exists()


@pytest.mark.parametrize(
    ("argv", "status", "log"),
    [
        (("/bin/sh", "-c", "echo up; exit 3"), "failed", "up\n"),
        (("sh", "-c", "cat /proc/self/cgroup | grep -c ^0::.*attempt-"), "succeeded", "1\n"),
        (("/bin/sh", "-c", "read x; echo eof; kill -INT $$"), "failed", "eof\n"),
        # glibc's own two signals are ignored in all that posix_spawn makes.
        (
            ("sh", "-c", "grep -E 'Sig(Ign|Blk)' /proc/self/status | cut -f2 | sed s/18.*/000000000/ | sort -u"),
            "succeeded",
            f"{0:016}\n",
        ),
        (("/no/such",), "failed", "jobctl: /no/such: No such file or directory\n"),
        (("{folder}/plain",), "succeeded", "by the shell\n"),
        (("{folder}/strange",), "failed", None),
    ],
)
def test_commands_are_what_they_are_elsewhere(
    root: Path, hands: Hands, argv: tuple[str, ...], status: str, log: str | None
) -> None:
    for name, text in (("plain", "echo by the shell\n"), ("strange", "#!/no/interpreter\n")):
        (hands.folder / name).write_text(text)
        (hands.folder / name).chmod(0o755)
    id = hands.start(*(word.format(folder=hands.folder) for word in argv))
    assert hands.outcome(id).status == status
    if log is not None:
        assert hands.log().decode() == log
    until(lambda: _leaves(root) == [])


ESCAPE = (
    "prlimit --pid $$ --locks=unlimited; env -i setsid sh -c \"setsid sh -c 'trap : TERM; echo \\$\\$ > {name};"
    " while :; do sleep 1; done' &\" & wait; until [ -s {name} ]; do sleep 0.01; done; echo up; sleep 60"
)


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_nothing_escapes_whatever_it_does_and_whoever_else_lives(root: Path, hands: Hands, verb: str) -> None:
    """Neither mark, token, session nor parent are left to what it has made, and others live that could have made it."""
    ids = [
        hands.sh(ESCAPE.format(name=f"one{number}"), number=number, cwd=str(hands.folder), grace=200)
        for number in (1, 2)
    ]
    until(lambda: hands.log(1) and hands.log(2))
    first, second = (int((hands.folder / f"one{number}").read_text()) for number in (1, 2))
    hands.order(verb, id=ids[0], by="cancel", grace=200)
    told = hands.fact("ended", id=ids[0])
    assert not alive(first)
    assert alive(second)
    assert "strays" not in told
    assert len(_leaves(root)) == 1


def test_what_a_successful_command_leaves_lives_on(root: Path, hands: Hands) -> None:
    id = hands.sh("setsid sleep 60 & echo $! > child; exit 0", cwd=str(hands.folder))
    assert hands.outcome(id).status == "succeeded"
    child = int((hands.folder / "child").read_text())
    assert alive(child)
    (leaf,) = _leaves(root)
    hands.sh("echo up; sleep 60", number=2)  # while something runs, it is looked for
    until(lambda: hands.log(2))
    assert leaf in _leaves(root)
    descent.signal_process(child, signal.SIGKILL)
    until(lambda: leaf not in _leaves(root))


def test_cgroups_that_a_command_makes_are_its_own(root: Path, hands: Hands) -> None:
    """A container runtime does: what is in them ends with the attempt, and they are removed."""
    id = hands.sh(
        f"cg={root}$(grep ^0:: /proc/self/cgroup | sed 's/.*\\(.attempt-\\)/\\1/'); mkdir $cg/in; setsid sleep 60 &"
        " echo $! > $cg/in/cgroup.procs && echo $! > child; echo up; sleep 60",
        cwd=str(hands.folder),
    )
    until(hands.log)
    child = int((hands.folder / "child").read_text())
    hands.order("kill", id=id, by="kill")
    hands.end(id)
    assert not alive(child)
    until(lambda: _leaves(root) == [])


def test_a_system_that_makes_no_process_in_a_cgroup_makes_it_without(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobctl.process import kernel

    def refused(*_: object) -> int:
        raise OSError(errno.ENOSYS, "clone3")

    system = kernel.System()
    assert system._leaves is not None
    monkeypatch.setattr(cgroups, "spawn", refused)
    log = os.open(hands.folder / "log", os.O_CREAT | os.O_WRONLY)
    pid = system.spawn([b"/bin/true"], {}, b"/", log, 12, None)
    os.close(log)
    assert os.waitpid(pid, 0)[1] == 0
    assert system._leaves is None


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        (b"0::/system.slice/jobctl.service/attempt-2a\n", 42),
        (b"0::/attempt-2a/in/deeper\n", 42),
        (b"0::/attempt-\n", 0),
        (b"0::/attempt-x\n", 0),
        (b"9:name=systemd:/\n0::/user.slice\n", 0),
        (b"", 0),
    ],
)
def test_the_mark_in_a_path(path: bytes, mark: int) -> None:
    assert cgroups.mark_in(path) == mark


def test_processes_of_a_dead_keeper_are_found_by_their_cgroup(hands: Hands) -> None:
    """Whoever takes over sweeps: token and mark are gone, the cgroup is not."""
    hands.sh(ESCAPE.format(name="one"), cwd=str(hands.folder))
    until(hands.log)
    entry = hands.entry()
    assert entry is not None
    escaped = int((hands.folder / "one").read_text())
    os.kill(descent.checked(hands.keeper), signal.SIGKILL)
    assert escaped in descent.members("no token", entry.mark)
    descent.sweep("no token", entry.mark)
    until(lambda: not alive(escaped))

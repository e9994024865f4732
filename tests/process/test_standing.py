"""What somebody who only looks sees of attempts, keepers, and what is nobody's."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from hands import Hands, until

from jobctl.process import descent, journal, kernel, standing
from jobctl.process.standing import HELD, STOPPED, Standing


def test_nothing_is_said_of_what_runs_and_of_what_has_ended(hands: Hands) -> None:
    id = hands.sh("echo up; until [ -e go ]; do sleep 0.01; done", cwd=str(hands.folder))
    until(hands.log)
    assert _of(hands) == Standing()
    assert standing.stopped(str(hands.place)) == {}
    (hands.folder / "go").touch()
    hands.end(id)
    assert _of(hands) == Standing()
    assert standing.of_attempt(str(hands.place), "gone.1", hands.files().log) == Standing()


def test_a_keeper_that_stands_still(hands: Hands) -> None:
    hands.sh("echo up; sleep 60")
    until(hands.log)
    os.kill(descent.checked(hands.keeper), signal.SIGSTOP)
    try:
        until(lambda: _of(hands).kind)
        assert _of(hands) == Standing(STOPPED, pid=hands.keeper)
        assert standing.stopped(str(hands.place)) == {"e.1": hands.keeper}
    finally:
        os.kill(descent.checked(hands.keeper), signal.SIGCONT)


def test_what_lives_where_its_keeper_was_killed(tmp_path: Path) -> None:
    """In another PID namespace, which nobody here can look into: the lock of the log alone says that it lives."""
    place = tmp_path / "executors"
    place.mkdir()
    log = tmp_path / "main.1.log"
    for namespace, kind in (("another", HELD), (kernel.namespace(), "")):
        journal.Journal(str(place / "e.1"), journal.Header("e.1", "boot1", namespace, 12))
        log.unlink(missing_ok=True)
        fd = kernel.System().open_log(str(log), again=False)
        try:
            assert standing.of_attempt(str(place), "e.1", str(log)).kind == kind
        finally:
            os.close(fd)
        assert standing.of_attempt(str(place), "e.1", str(log)).kind == ""
        (place / "e.1.1.journal").unlink()


def test_what_can_be_put_down_to_nobody(hands: Hands) -> None:
    """Neither mark, token, session nor parent tell whose it is, and two attempts live that could have made it."""
    other = "echo up; until [ -e go ]; do sleep 0.01; done"
    hands.sh(other, cwd=str(hands.folder), number=2)
    until(lambda: hands.log(2))
    hands.sh(
        'prlimit --pid $$ --locks=unlimited; env -i setsid sh -c "setsid sleep 60 & echo \\$! > stray; sleep 0.1" & '
        f"wait; {other}",
        cwd=str(hands.folder),
    )
    until(lambda: hands.log(1))
    stray = int((hands.folder / "stray").read_text())
    until(lambda: standing.strays(str(hands.place)))
    assert standing.strays(str(hands.place)) == [standing.Strays("e.1", [stray])]
    descent.signal_process(stray, signal.SIGKILL)
    until(lambda: not standing.strays(str(hands.place)))


def _of(hands: Hands) -> Standing:
    return standing.of_attempt(str(hands.place), "e.1", hands.files().log)

"""A real keeper with real commands: how they end, what they get, who stops them, what is left of them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from hands import Hands, alive, locked, until

from jobctl.process import descent, frames, keepers
from jobctl.process.journal import Header, Journal
from jobctl.process.keeper import Keeper
from jobctl.process.kernel import System

# -- how commands end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 75, 126, 127, 128, 130, 137, 143, 255])
def test_an_exit_code_is_that_code_and_no_signal(hands: Hands, code: int) -> None:
    hands.sh(f"exit {code}")
    ended = hands.outcome()
    assert (ended.exit_code, ended.signal) == (code, None)
    assert ended.status == ("failed" if code else "succeeded")


@pytest.mark.parametrize("name", ["TERM", "KILL", "INT", "PIPE", "SEGV", "ABRT", "HUP", "QUIT", "USR1", "ALRM", "XCPU"])
def test_death_by_a_signal_is_that_signal_and_no_code(hands: Hands, name: str) -> None:
    hands.sh(f"kill -{name} $$; sleep 60")
    ended = hands.outcome()
    assert (ended.exit_code, ended.signal) == (None, getattr(signal, f"SIG{name}"))
    assert ended.error == f"killed by SIG{name}"


@pytest.mark.parametrize(
    ("argv", "code", "log"),
    [
        (["echo", "a\\nb"], 0, b"a\\nb\n"),  # the program, not a shell's own
        (["printf", "%s|", "", " ", "$HOME", "*", "a'b\"c", "-n"], 0, b"| |$HOME|*|a'b\"c|-n|"),
        (["nosuchprogram"], 127, b"nosuchprogram: No such file"),
        (["/"], 126, b"ermission denied"),
        (["/etc/passwd"], 126, b"ermission denied"),
        (["env", "-i", "echo", "clean"], 0, b"clean\n"),
    ],
)
def test_a_list_command_is_run_as_it_stands(hands: Hands, argv: list[str], code: int, log: bytes) -> None:
    hands.start(*argv)
    assert hands.outcome().exit_code == code
    assert log in hands.log()


@pytest.mark.parametrize(
    ("first", "code", "says"),
    [
        ("#!/nowhere/at-all\n", 127, "interpreter"),
        ("echo no first line\n", 0, ""),  # as a shell runs it
        ("#!/bin/sh\nexit 7\n", 7, "exit code 7"),
    ],
)
def test_a_script_and_what_its_first_line_names(hands: Hands, first: str, code: int, says: str) -> None:
    script = hands.folder / "script"
    script.write_text(first)
    script.chmod(0o755)
    hands.start(str(script))
    ended = hands.outcome()
    assert ended.exit_code == code
    assert says in str(ended.error)


@pytest.mark.parametrize("cwd", ["/nowhere", "/etc/passwd"])
def test_a_working_folder_that_cannot_be_entered(hands: Hands, cwd: str) -> None:
    hands.sh("echo ran", cwd=cwd)
    ended = hands.outcome()
    assert (ended.status, ended.exit_code) == ("failed", 126)
    assert "cwd" in str(ended.error)
    assert cwd.encode() in hands.log()
    assert b"ran" not in hands.log()


@pytest.mark.parametrize("cwd", ["a b", "-P", "$HOME", "é"])
def test_a_working_folder_with_any_name(hands: Hands, cwd: str) -> None:
    (hands.folder / cwd).mkdir()
    hands.start("pwd", cwd=str(hands.folder / cwd))
    hands.end()
    assert hands.log().decode() == f"{hands.folder / cwd}\n"


def test_a_working_folder_is_not_held_on_to(hands: Hands) -> None:
    hands.sh("true", cwd=str(hands.folder))
    hands.end()
    assert os.readlink(f"/proc/{hands.keeper}/cwd") == "/"


@pytest.mark.parametrize(
    ("condition", "status", "code", "number", "ran"),
    [
        ("true", "succeeded", 0, None, True),
        ("exit 1", "skipped", 1, None, False),
        ("exit 2", "failed", 2, None, False),
        ("nosuchprogram", "failed", 127, None, False),
        ("kill -9 $$", "failed", None, 9, False),
        ("exec false", "skipped", 1, None, False),
    ],
)
def test_a_condition(
    hands: Hands, condition: str, status: str, code: int | None, number: int | None, ran: bool
) -> None:
    hands.sh("echo ran", only_if=condition)
    ended = hands.outcome()
    assert (ended.status, ended.exit_code, ended.signal) == (status, code, number)
    assert (b"ran" in hands.log()) is ran
    entry = hands.entry()
    assert entry is not None
    assert entry.ran is ran
    assert entry.end is not None
    assert entry.end.ran is ran


@pytest.mark.parametrize(("size", "says"), [(200_000, "E2BIG"), (3_000_000, "E2BIG")])
def test_what_is_too_long_for_the_system(hands: Hands, size: int, says: str) -> None:
    hands.start("true", "x" * size)
    assert says in str(hands.outcome().error)
    hands.sh("echo fine", number=2)
    assert hands.outcome("x-1/main.2").status == "succeeded"


# -- what commands get -------------------------------------------------------------------------------------------------


def test_output_is_kept_to_the_byte(hands: Hands) -> None:
    data = bytes(range(256)) * 300
    (hands.folder / "data").write_bytes(data)
    hands.sh(f"cat {hands.folder}/data; cat {hands.folder}/data >&2")
    hands.end()
    assert hands.log() == data * 2


def test_stdin_is_at_its_end(hands: Hands) -> None:
    hands.sh("readlink /proc/self/fd/0; cat; echo after")
    hands.end()
    assert hands.log() == b"/dev/null\nafter\n"


@pytest.mark.parametrize("only_if", ["", "true"])
def test_the_environment_is_the_given_one_and_the_working_folder(hands: Hands, only_if: str) -> None:
    # SHELLOPTS and functions are the command's affair: no shell stands between.
    given = {
        "s": "mine",
        "EMPTY": "",
        "LINES2": "a\nb",
        "PWD": "/wrong",
        "OLDPWD": "/x",
        "SHELLOPTS": "noexec",
        "U": "ü",
    }
    hands.start("env", "-0", cwd="/usr", only_if=only_if, environment=given)
    hands.end()
    seen = dict(entry.split("=", 1) for entry in hands.log().decode().split("\0") if entry)
    expected = {"PATH": os.environ["PATH"], descent.TOKEN: hands.token(), **given, "PWD": "/usr"}
    del expected["OLDPWD"]
    assert seen == expected


SIGNALS = """
import signal
wrong = [n for n in signal.valid_signals() if n not in (9, 19, 2, 13, 25) and signal.getsignal(n) != signal.SIG_DFL]
status = open('/proc/self/status').read()
print(wrong, status.split('SigBlk:')[1].split()[0], 0 if signal.getsignal(2) is signal.default_int_handler else 'INT')
"""


def test_signals_are_at_their_defaults_whatever_jobctl_was_started_with(tmp_path: Path) -> None:
    # As under nohup, as a background job of a script, with everything blocked.
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT, signal.SIGPIPE]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        hands = [Hands(tmp_path, "spawned", "e.1").make(), Hands(tmp_path, "forked", "e.2").make()]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number, one in enumerate(hands, start=1):
        one.start(sys.executable, "-c", SIGNALS, number=number)
        one.end(f"x-1/main.{number}")
        assert one.log(number).decode() == "[] 0000000000000000 0\n"
        one.close()


def test_a_step_has_a_session_of_its_own(hands: Hands) -> None:
    hands.sh("cut -d' ' -f5,6 /proc/self/stat")
    hands.end()
    pid = hands.process()
    assert hands.log().decode() == f"{pid} {pid}\n"


@pytest.mark.parametrize("umask", [0o022, 0o002, 0, 0o077, 0o777])
def test_commands_have_the_umask_that_they_are_to_have_and_logs_are_private(tmp_path: Path, umask: int) -> None:
    hands = Hands(tmp_path)
    hands.link = keepers.make()
    hands.links.append(hands.link)
    hands.link.greet(str(hands.place), hands.name, "boot1", umask)
    hands.sh("umask")
    hands.end()
    assert hands.log().decode() == f"{umask:04o}\n"
    for path in [Path(hands.files().log), *hands.place.iterdir()]:
        assert path.stat().st_mode & 0o777 == 0o600
    hands.close()


def test_no_descriptor_is_passed_on(hands: Hands) -> None:
    hands.sh("ls /proc/self/fd")
    hands.end()
    assert set(hands.log().split()) == {b"0", b"1", b"2", b"3"}  # 3: the folder that ls reads


def test_a_keeper_has_what_it_needs_open_and_nothing_else(hands: Hands) -> None:
    """A lock of its maker's would keep a dead executor alive; an output would keep a pipe's reader waiting."""
    hands.fact("hello")
    hands.sh("true")
    hands.end()
    found = [os.readlink(f"/proc/{hands.keeper}/fd/{fd}") for fd in os.listdir(f"/proc/{hands.keeper}/fd")]
    kinds = sorted(one.split(":")[0] if "/" not in one else os.path.basename(one) for one in found)
    assert kinds == ["anon_inode", "e.1.1.journal", "e.1.keeper", *["null"] * 4, *["pipe"] * 4]


# -- the claim ---------------------------------------------------------------------------------------------------------


def test_of_two_keepers_for_one_attempt_the_second_goes_away(hands: Hands, tmp_path: Path) -> None:
    other = Hands(tmp_path, "spawned", "e.2").make()
    hands.sh("echo ran; while [ ! -e end ]; do sleep 0.01; done", cwd=str(hands.folder))
    until(hands.log)
    other.sh("echo ran twice")
    assert other.fact("refused")["errno"] == "17"
    (hands.folder / "end").touch()
    assert hands.outcome().status == "succeeded"
    other.sh("echo ran again")
    assert other.fact("refused")["errno"] == "17"
    assert hands.log() == b"ran\n"
    other.close()


def test_a_log_that_a_keeper_made_and_died_is_no_claim(hands: Hands) -> None:
    Path(hands.files().log).touch()
    hands.sh("echo ran")
    assert hands.outcome().status == "succeeded"


def test_a_log_that_holds_something_is_somebodys(hands: Hands) -> None:
    Path(hands.files().log).write_text("mine\n")
    hands.sh("echo ran")
    assert hands.fact("refused")["errno"] == "17"
    assert hands.log() == b"mine\n"


@pytest.mark.parametrize("kind", ["folder", "fifo", "link"])
def test_what_stands_in_the_place_of_a_log_stops_nothing(hands: Hands, kind: str) -> None:
    path = Path(hands.files().log)
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/etc/passwd")
    hands.sh("echo ran")
    until(lambda: hands.listen() or hands.heard[1:])
    assert hands.heard[1][0] in ("refused", "ended")
    hands.sh("echo ran", number=2)
    assert hands.outcome("x-1/main.2").status == "succeeded"


def test_a_keeper_that_comes_when_its_maker_is_gone_begins_nothing(tmp_path: Path) -> None:
    """Whoever has taken over has looked for it, and begins itself what it was asked for."""
    hands = Hands(tmp_path)
    hands.end_executor()
    hands.make()
    hands.sh("echo ran")
    until(hands.listen)
    assert hands.log() == b""
    assert [path.name for path in hands.place.iterdir()] == ["e.lock"]


def test_a_keeper_whose_name_is_taken_begins_nothing(hands: Hands) -> None:
    hands.sh("echo ran")
    hands.end()
    other = Hands(hands.folder)
    other.make()
    other.sh("echo ran", number=2)
    until(other.listen)
    assert not Path(other.files(2).log).exists()


def test_whether_anything_of_it_lives_is_a_lock(hands: Hands) -> None:
    hands.sh("sh -c 'echo up; until [ -e go ]; do sleep 0.01; done' & exit 0", cwd=str(hands.folder))
    hands.end()
    until(hands.log)
    assert locked(hands.files().log)  # what it left in the background
    (hands.folder / "go").touch()
    until(lambda: not locked(hands.files().log))


# -- deadlines ---------------------------------------------------------------------------------------------------------


def test_a_limit_is_kept_whoever_else_lives(hands: Hands) -> None:
    hands.sh("echo up; sleep 60", limits={"start_to_close": 200, "other": 60_000})
    until(hands.log)
    hands.link.close()
    link = hands.connect()
    hands.order("claim", link, run="x-1", take=3)
    end = hands.end(link=link)
    assert (end.by, os.WTERMSIG(end.status)) == ("start_to_close", signal.SIGTERM)
    assert 200 <= end.wall - end.began < 5_000


def test_what_minds_no_sigterm_is_killed_after_its_grace(hands: Hands) -> None:
    hands.sh("trap '' TERM; echo up; while :; do sleep 0.02; done", grace=100, limits={"late": 100})
    end = hands.end()
    assert (end.by, os.WTERMSIG(end.status)) == ("late", signal.SIGKILL)


def test_a_lease_is_over_at_its_instant_unless_it_is_moved_on(hands: Hands) -> None:
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    hands.sh("trap '' TERM; echo up; while :; do sleep 0.02; done", grace=300, lease=now + 800)
    hands.sh("echo up; sleep 60", number=2, lease=now + 800, grace=300)
    hands.order("lease", id="x-1/main.2", until=now + 1_600)
    first, second = hands.end(), hands.end("x-1/main.2")
    assert first.by == second.by == "lease"
    assert os.WTERMSIG(first.status) == signal.SIGKILL
    assert first.boot <= now + 800
    assert now + 800 < second.boot <= now + 1_600


def test_a_log_is_capped_whoever_else_lives(hands: Hands) -> None:
    hands.sh("head -c 1000000 /dev/zero; echo; echo end; exit 3", cap=65536)
    hands.end()
    assert len(hands.log()) < 100_000
    assert hands.log().endswith(b"\nend\n")


# -- stopped for certain -----------------------------------------------------------------------------------------------

DAEMON = "import os; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); os.read(os.pipe()[0], 1)"
NAMELESS = (
    "import os; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0);"
    " os.execve('/bin/sleep', ['nobody', '61'], {})"
)
UNMARKED = NAMELESS.replace("import os;", "import os, resource; resource.setrlimit(10, (-1, -1));")
ESCAPES = {
    "background": "sleep 60 &",
    "twice": "(sleep 60 &) &",
    "session": "setsid sleep 60 &",
    "sessions": "setsid sh -c 'setsid sleep 60 & exit' &",
    "stubborn": "nohup sh -c 'trap \"\" TERM HUP INT; sleep 60' &",
    "daemon": f"{sys.executable} -c '{DAEMON}' &",
    "no environment": "setsid env -i sleep 60 &",
    "nothing but its mark": f'{sys.executable} -c "{NAMELESS}" & sleep 0.3;',
    "title over its environment": "setsid perl -e '$0 = \"x\" x 6000; sleep 60' &",
}


def _below(hands: Hands) -> list[int]:
    return [pid for pid in descent.below(hands.keeper) if alive(pid)]


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("beside", [0, 7])
@pytest.mark.parametrize("how", ["failed", "kill", "stop"])
def test_nothing_escapes(hands: Hands, escape: str, beside: int, how: str) -> None:
    """With one attempt alive, and with eight: what is an orphan of one is not taken for another's."""
    for number in range(2, 2 + beside):
        hands.sh("setsid sleep 60 & echo up; sleep 60", number=number)
        until(lambda number=number: hands.log(number))  # type: ignore[misc]
    until(lambda: len(_below(hands)) == 3 * beside)  # each a shell and two that it has begun
    others = _below(hands)
    hands.sh(f"{ESCAPES[escape]} sleep 0.05; echo up; {'exit 3' if how == 'failed' else 'sleep 60'}", grace=200)
    if how != "failed":
        until(hands.log)
        hands.order(how, id="x-1/main.1", by="cancel", grace=200)
    hands.end()
    assert sorted(_below(hands)) == sorted(others)


@pytest.mark.parametrize(("beside", "left"), [(0, False), (1, True)])
def test_what_cannot_be_put_down_to_anybody_is_counted_and_left_alone(hands: Hands, beside: int, left: bool) -> None:
    """Without mark, token and session only having been alone tells."""
    for number in range(2, 2 + beside):
        hands.sh("echo up; sleep 60", number=number)
        until(lambda number=number: hands.log(number))  # type: ignore[misc]
    others = _below(hands)
    hands.sh(f'{sys.executable} -c "{UNMARKED}"; sleep 0.2; exit 3')
    told = hands.fact("ended", id="x-1/main.1")
    more = [pid for pid in _below(hands) if pid not in others]
    assert bool(more) is left
    assert told.get("strays", "0") == ("1" if left else "0")
    for pid in more:
        os.kill(descent.checked(pid), signal.SIGKILL)


def test_what_a_successful_command_leaves_is_left_alone(hands: Hands) -> None:
    hands.sh("setsid sleep 60 & exit 0")
    hands.end()
    hands.sh("exit 3", number=2)
    hands.end("x-1/main.2")
    assert len(_below(hands)) == 1


def test_orphans_are_reaped(hands: Hands) -> None:
    hands.sh("for i in 1 2 3 4 5; do (setsid sleep 0.05 &); done; echo up; sleep 0.6")
    hands.end()
    until(lambda: not descent.children(hands.keeper))


def test_a_stopped_command_can_be_ended(hands: Hands) -> None:
    hands.sh("echo up; kill -STOP $$; sleep 60")
    pid = hands.process()
    until(lambda: (found := descent.look(pid)) is not None and found.state == "T")
    hands.order("stop", id="x-1/main.1", by="cancel", grace=60_000)
    assert os.WTERMSIG(hands.end().status) == signal.SIGTERM


@pytest.mark.parametrize("when", ["queued", "condition", "young", "ended"])
def test_asked_to_end_at_any_moment(hands: Hands, when: str) -> None:
    if when == "condition":
        hands.sh("echo ran", only_if="touch asked; sleep 60", cwd=str(hands.folder))
        until(lambda: (hands.folder / "asked").exists())
    elif when == "ended":
        hands.sh("exit 7")
        until(lambda: (one := hands.entry()) is not None and one.end is not None)
    elif when == "young":
        hands.sh("sleep 60; echo ran")
    else:
        os.kill(hands.keeper, signal.SIGSTOP)
        hands.sh("echo ran")
    hands.order("stop", id="x-1/main.1", by="cancel", grace=1_000)
    if when == "queued":
        os.kill(hands.keeper, signal.SIGCONT)
    end = hands.end()
    assert end.by == ("" if when == "ended" else "cancel")
    assert b"ran" not in hands.log() or when == "queued"


# -- whoever takes over ------------------------------------------------------------------------------------------------


def test_what_runs_and_what_has_ended_is_told_to_whoever_claims_it(hands: Hands) -> None:
    hands.sh("exit 3")
    hands.sh("echo up; until [ -e go ]; do sleep 0.01; done", number=2, cwd=str(hands.folder))
    hands.sh("echo other; sleep 60", number=3, run="y-1")
    until(lambda: hands.log(2) and hands.log(3))
    hands.link.close()
    link = hands.connect()
    hands.order("claim", link, run="x-1", take=3)
    assert os.WEXITSTATUS(hands.end(link=link).status) == 3
    assert int(hands.fact("live", link, id="x-1/main.2")["pid"]) == hands.process("x-1/main.2")
    hands.fact("claimed", link, run="x-1")
    (hands.folder / "go").touch()
    assert hands.end("x-1/main.2", link).status == 0
    assert not any(told.get("id") == "x-1/main.3" for _, told in hands.heard)


def test_a_later_claim_wins_and_the_earlier_one_is_told_once(hands: Hands) -> None:
    hands.sh("echo up; sleep 60")
    until(hands.log)
    hands.link.close()
    first, second = hands.connect(), hands.connect()
    hands.order("claim", first, run="x-1", take=3)
    hands.fact("claimed", first)
    hands.order("claim", second, run="x-1", take=4)
    hands.fact("claimed", second)
    hands.fact("stale", first, run="x-1")
    hands.order("claim", first, run="x-1", take=3)
    hands.fact("stale", first, run="x-1")
    hands.order("stop", first, id="x-1/main.1", by="cancel", grace=1)  # it has no say any more
    hands.order("ping", first, n=1)
    hands.fact("pong", first)
    assert alive(hands.process())
    hands.order("kill", second, id="x-1/main.1", by="kill")
    assert hands.end(link=second).by == "kill"


def test_a_start_that_lay_unread_runs_before_the_next_one_is_told(hands: Hands) -> None:
    """The fence: it cannot begin after somebody was told that it had not."""
    hands.fact("hello")
    os.kill(hands.keeper, signal.SIGSTOP)
    hands.sh("echo ran; sleep 60")
    hands.link.close()  # its maker dies with the order in the pipe
    os.kill(hands.keeper, signal.SIGCONT)
    link = hands.connect()
    hands.order("claim", link, run="x-1", take=3)
    hands.fact("claimed", link)
    assert any(verb == "live" for verb, _ in hands.heard)


def test_an_end_is_kept_until_it_is_acknowledged(hands: Hands) -> None:
    hands.sh("exit 3")
    hands.end()
    hands.link.close()
    until(hands.is_gone)  # nothing runs: it need not stay
    assert hands.entry() is not None  # and has left word
    assert not (hands.place / "e.1.sock").exists()


def test_a_keeper_that_nobody_needs_leaves_nothing(hands: Hands) -> None:
    hands.sh("exit 3")
    hands.end()
    hands.order("ack", id="x-1/main.1")
    hands.link.close()
    until(lambda: [path.name for path in hands.place.iterdir()] == ["e.lock"])


def test_a_keeper_goes_on_with_what_runs(hands: Hands) -> None:
    hands.sh("echo up; until [ -e go ]; do sleep 0.01; done; echo down; exit 4", cwd=str(hands.folder))
    until(hands.log)
    hands.link.close()
    until(lambda: (hands.place / "e.1.sock").exists())
    assert not hands.is_gone()
    (hands.folder / "go").touch()
    until(hands.is_gone)
    entry = hands.entry()
    assert entry is not None
    assert entry.end is not None
    assert os.WEXITSTATUS(entry.end.status) == 4
    assert hands.log() == b"up\ndown\n"


def test_many_attempts_at_once(hands: Hands) -> None:
    """More than its pipes hold, with a reader that is slow."""
    count = 300
    for number in range(1, count + 1):
        hands.sh(f"exit {number % 7}", number=number, environment={"BIG": "x" * 3000})
    ends = {told["id"]: told for told in (hands.fact("ended") for _ in range(count))}
    assert [os.WEXITSTATUS(int(ends[f"x-1/main.{n}"]["status"])) for n in range(1, count + 1)] == [
        n % 7 for n in range(1, count + 1)
    ]


def test_the_title_says_what_it_is(hands: Hands) -> None:
    hands.fact("hello")
    until(lambda: Path(f"/proc/{hands.keeper}/cmdline").read_bytes().startswith(b"jobctl-keeper"))


@pytest.mark.parametrize(
    "text", [b"", b"start", b"start\0id=x", b"claim\0run=x\0take=many", b"nonsense\0\xff", b"\0\0"]
)
def test_an_order_that_is_none_harms_nobody(hands: Hands, text: bytes) -> None:
    hands.say(text.split(b"\0"))
    hands.sh("exit 5")
    assert os.WEXITSTATUS(hands.end().status) == 5


def test_somebody_who_speaks_no_language_is_hung_up_on(hands: Hands) -> None:
    hands.sh("echo up; sleep 60")
    until(hands.log)
    hands.link.close()
    link = hands.connect()
    link._out.append(b"\xff" * 64)
    link.flush()
    until(lambda: hands.listen(link))
    other = hands.connect()
    hands.order("claim", other, run="x-1", take=3)
    hands.fact("live", other)


def test_on_a_full_disk_nothing_starts_and_nothing_stays(small_disk: Path) -> None:
    hands = Hands(small_disk).make()
    hands.sh("echo up; until [ -e /nowhere/$0 ]; do sleep 0.01; [ -e go ] && exit 7; done", cwd=str(small_disk))
    until(hands.log)
    with contextlib.suppress(OSError), open(small_disk / "filler", "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    (small_disk / "go").touch()
    assert os.WEXITSTATUS(hands.end().status) == 7  # room for its end was kept
    for number in range(2, 60):  # what is reserved already is used up first
        hands.sh("true", number=number)
    until(lambda: hands.listen() or any(verb == "refused" for verb, _ in hands.heard))
    refused = hands.fact("refused")
    assert refused["errno"] == "28"
    assert not Path(hands.files(int(refused["id"].rpartition(".")[2])).log).exists()
    (small_disk / "filler").unlink()
    hands.sh("echo ran", number=99)
    assert hands.outcome("x-1/main.99").status == "succeeded"
    hands.close()


def test_a_message_of_another_version_is_passed_over_where_it_is_not_known(hands: Hands) -> None:
    order = frames.message("start", id="x-1/main.1", colour="blue")
    hands.say(order)
    hands.sh("exit 6", number=2, colour="blue")
    assert os.WEXITSTATUS(hands.end("x-1/main.2").status) == 6


def test_a_keeper_remembers_no_run_of_which_nothing_is_here(tmp_path: Path) -> None:
    """That of a daemon sees a million of them."""

    class Quiet:
        def send(self, message: frames.Message) -> None: ...

    core, quiet = Keeper(System(), Journal(str(tmp_path / "e.1"), Header("e.1", "b", "n", os.getpid()))), Quiet()
    for number in range(20):
        base = tmp_path / f"main.{number}"
        named = {"id": f"x-{number}/main.1", "run": f"x-{number}", "take": 2, "token": base, "base_path": base}
        order = frames.message("start", cwd="/gone", **named)
        core.receive(quiet, [*order, b"a=true"])
        core.begin()
        core.receive(quiet, frames.message("ack", id=f"x-{number}/main.1"))
    assert (core._owners, core.children, core.ends) == ({}, {}, {})


def test_environments_that_have_much_in_common_are_each_commands_own(hands: Hands) -> None:
    """Sent as what differs from one that was sent before, many more than a keeper is told to keep."""
    common = {f"COMMON_{n}": f"c{n}" for n in range(8)}
    given = [
        common,
        {**common, "OWN": "1"},
        {**common, "OWN": "2", "COMMON_3": "other"},
        {name: value for name, value in common.items() if name != "COMMON_7"},
        {"COMMON_1": "alone"},
        *({**common, f"OWN_{n}": "x" * n} for n in range(12)),
        common,
        {**common, "COMMON_0": "", "OWN": "a=b\nc"},
    ]
    for number, variables in enumerate(given, 1):
        hands.start("/usr/bin/env", "-0", number=number, environment=variables)
    for number, variables in enumerate(given, 1):
        hands.end(f"x-1/main.{number}")
        had = dict(one.split("=", 1) for one in hands.log(number).decode().split("\0") if one)
        assert {name: value for name, value in had.items() if name.startswith(("COMMON", "OWN"))} == variables


def test_where_it_is_spawned_from_says_nothing_about_its_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service begins in /, below which Debian has a library of its own Python."""
    library = tmp_path / "root" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    library.mkdir(parents=True)
    (library / "os.py").write_text("raise SystemExit('not the library')")
    monkeypatch.chdir(tmp_path / "root")
    hands = Hands(tmp_path / "root").make()
    try:
        assert hands.outcome(hands.sh("echo ran")).status == "succeeded"
    finally:
        hands.close()

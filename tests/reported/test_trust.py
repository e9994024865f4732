"""Root takes jobs only from files that nobody else can write, as cron does (reported/attack F15)."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import Daemons

from jobctl.cli.main import main
from jobctl.definitions import trust

JOB = "[jobs.x]\nschedule = { every = '1s' }\noverlap = 'allow_all'\ncommand = 'echo fired >> marks'\n"
NOBODY = pwd.getpwnam("nobody").pw_uid

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (trust.SAY_SO, "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)
    made = tmp_path / "jobs.toml"
    made.write_text(JOB)
    made.chmod(0o644)
    return made


@root
@pytest.mark.parametrize(
    ("owner", "mode", "environ", "said"),
    [
        (0, 0o644, {}, ""),
        (0, 0o600, {}, ""),
        (0, 0o664, {}, ""),  # root's own group
        (0, 0o666, {}, "can be written by others (mode 0666)"),
        (0, 0o646, {}, "can be written by others (mode 0646)"),
        (4321, 0o644, {}, "belongs to user 4321"),
        (4321, 0o644, {"SUDO_UID": "4321"}, ""),
        (4321, 0o666, {"SUDO_UID": "4321"}, "can be written by others"),
        (4321, 0o644, {"SUDO_UID": "4322"}, "belongs to user 4321"),
        (4321, 0o666, {"JOBCTL_TRUST_FILES": "1"}, ""),
        (4321, 0o644, {"JOBCTL_TRUST_FILES": "0"}, "belongs to user 4321"),
    ],
)
def test_what_root_takes_jobs_from(
    owner: int,
    mode: int,
    environ: dict[str, str],
    said: str,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    os.chown(file, owner, 0)
    file.chmod(mode)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main(["validate", "--json", str(file)]) == (2 if said else 0)
    problems = json.loads(capsys.readouterr().out)
    assert [said in problem["message"] for problem in problems] == ([True] if said else [])
    for words in (["list"], ["run", "x"], ["doctor"]):
        code = main(["--file", str(file), "--state-dir", str(file.parent / "state"), *words])
        printed = "".join(capsys.readouterr())
        assert (said in printed and "JOBCTL_TRUST_FILES=1" in printed) if said else "as root" not in printed
        assert (code == 0) is not bool(said), (words, printed)
    assert (file.parent / "marks").exists() is not bool(said)


@root
def test_a_group_of_others_may_not_write_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chown(file, 0, 4321)
    file.chmod(0o664)
    assert main(["validate", str(file)]) == 2
    assert "chmod go-w" in capsys.readouterr().out


@root
def test_a_daemon_keeps_the_old_definitions_until_the_file_is_roots_again(home: Callable[[str], Daemons]) -> None:
    place = home(JOB)
    place.daemon()
    place.until(lambda: place.lines("marks"))
    path = place.folder / "jobs.toml"
    path.write_text(JOB.replace("fired", "foreign"))
    path.chmod(0o666)
    place.until(lambda: "can be written by others" in place.said())
    fired = len(place.lines("marks"))
    place.until(lambda: len(place.lines("marks")) > fired + 1)
    assert "foreign" not in place.lines("marks")
    path.chmod(0o644)
    place.until(lambda: "foreign" in place.lines("marks"))


@root
def test_what_another_user_gives_root_to_set_is_a_warning(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = file.parent / "env"
    env.write_text("A=1\n")
    os.chown(env, NOBODY, 0)
    file.write_text("[jobs.x]\nenv_file = 'env'\ncommand = 'true'\n")
    assert main(["validate", "--json", str(file)]) == 0
    [problem] = json.loads(capsys.readouterr().out)
    assert problem["key"] == "env_file"
    assert "this is root" in problem["message"]


def test_others_may_use_whatever_they_can_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o666)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert trust.objection(file.stat(), str(file)) is None

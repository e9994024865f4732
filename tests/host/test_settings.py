from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobctl.core.errors import StoreError, UsageError
from jobctl.host import settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home/.config/jobctl").mkdir(parents=True)
    (tmp_path / "cwd").mkdir()
    return tmp_path / "home"


def resolve(home: Path, flags: dict[str, object] | None = None, **environ: str) -> settings.Settings:
    return settings.resolve(flags or {}, {"HOME": str(home), **environ}, str(home.parent / "cwd"))


def write_config(home: Path, content: str | bytes) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (home / ".config/jobctl/config.toml").write_bytes(data)


def test_without_anything_the_defaults_hold(home: Path) -> None:
    told = resolve(home)
    assert told.state_dir == f"{home}/.local/state/jobctl"
    assert told.config == f"{home}/.config/jobctl/config.toml"
    assert told.color == "auto"
    assert (told.json, told.quiet, told.verbose, told.no_input) == (False, False, False, False)


def test_settings_are_frozen(home: Path) -> None:
    told = resolve(home)
    with pytest.raises(AttributeError):
        told.quiet = True


def test_switches_are_taken_from_the_flags(home: Path) -> None:
    told = resolve(home, {"json": True, "quiet": True, "verbose": True, "no_input": True})
    assert (told.json, told.quiet, told.verbose, told.no_input) == (True, True, True, True)


# For each setting: flags > environment > config file > default. {t} is the folder that holds home and cwd.
FILE = {
    "flag": {"file": ["a.toml", "/b.toml"]},
    "environ": {"JOBCTL_FILE": "c.toml::/d.toml"},
    "config": 'file = ["e.toml", "~/f.toml"]\nstate_dir = "state"\ncolor = "always"\n',
}


@pytest.mark.parametrize(
    ("flags", "environ", "config", "key", "expected"),
    [
        (FILE["flag"], FILE["environ"], FILE["config"], "files", ("{t}/cwd/a.toml", "/b.toml")),
        ({"file": "../x.toml"}, {}, "", "files", ("{t}/x.toml",)),
        ({"file": ()}, FILE["environ"], FILE["config"], "files", ("{t}/cwd/c.toml", "/d.toml")),
        ({}, {"JOBCTL_FILE": ""}, FILE["config"], "files", ("{t}/home/.config/jobctl/e.toml", "{t}/home/f.toml")),
        ({}, {}, 'file = "/one.toml"', "files", ("/one.toml",)),
        ({"state_dir": "s"}, {"JOBCTL_STATE_DIR": "/e"}, FILE["config"], "state_dir", "{t}/cwd/s"),
        ({}, {"JOBCTL_STATE_DIR": "e/"}, FILE["config"], "state_dir", "{t}/cwd/e"),
        ({"state_dir": None}, {"JOBCTL_STATE_DIR": ""}, FILE["config"], "state_dir", "{t}/home/.config/jobctl/state"),
        ({}, {"XDG_STATE_HOME": "/xdg/"}, "", "state_dir", "/xdg/jobctl"),
        ({}, {"XDG_STATE_HOME": "relative"}, "", "state_dir", "{t}/home/.local/state/jobctl"),
        ({}, {"HOME": "/"}, "", "state_dir", "/.local/state/jobctl"),
        ({"color": "auto"}, {"NO_COLOR": "1"}, FILE["config"], "color", "auto"),
        ({}, {"NO_COLOR": "1"}, FILE["config"], "color", "never"),
        ({}, {"NO_COLOR": ""}, FILE["config"], "color", "always"),
        ({}, {"XDG_CONFIG_HOME": "/xdg"}, FILE["config"], "color", "auto"),
        ({}, {}, "\ufeffcolor = 'never'", "color", "never"),
    ],
)
def test_the_nearer_word_counts(
    home: Path,
    flags: dict[str, object],
    environ: dict[str, str],
    config: str,
    key: str,
    expected: str | tuple[str, ...],
) -> None:
    write_config(home, config)
    top = str(home.parent)
    found = getattr(resolve(home, flags, **environ), key)
    assert found == (
        expected.replace("{t}", top) if isinstance(expected, str) else tuple(e.replace("{t}", top) for e in expected)
    )


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (["cwd/jobs.toml", "home/.config/jobctl/jobs.toml"], "cwd/jobs.toml"),
        (["home/.config/jobctl/jobs.toml"], "home/.config/jobctl/jobs.toml"),
        (["xdg/jobctl/jobs.toml"], None),
    ],
)
def test_definitions_are_looked_for_here_then_in_the_config_folder(
    home: Path, there: list[str], expected: str | None
) -> None:
    for name in there:
        path = home.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    machine = ("/etc/jobctl/jobs.toml",) if os.path.exists("/etc/jobctl/jobs.toml") else ()
    assert resolve(home).files == ((str(home.parent / expected),) if expected else machine)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "not/absolute"}])
def test_without_home_the_user_database_is_asked(environ: dict[str, str]) -> None:
    own = pwd.getpwuid(os.getuid()).pw_dir
    assert settings.resolve({}, environ, "/").state_dir == os.path.join(own, ".local/state/jobctl")


def test_a_user_whom_nobody_knows_can_still_validate_but_has_nowhere_to_keep_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(uid: int) -> Any:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    told = settings.resolve({"file": "jobs.toml"}, {}, "/srv")
    assert (told.files, told.config, told.state_dir) == (("/srv/jobs.toml",), "", "")
    with pytest.raises(StoreError, match="HOME is not set") as caught:
        settings.state_dir_ready(told.state_dir, create=True)
    assert "--state-dir" in caught.value.hint


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"color": "green"}, "--color is 'green'"),
        ({"state_dir": ""}, "--state-dir is empty"),
        ({"file": [""]}, "--file is empty"),
    ],
)
def test_flags_that_cannot_be_are_refused(home: Path, flags: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(home, flags)
    assert caught.value.message == message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("file = 'a'\nstate-dir = 's'", ":2: unknown key 'state-dir'", "did you mean 'state_dir'?"),
        ("\n[colour]\nx = 1", ":2: unknown key 'colour'", "did you mean 'color'?"),
        ("filed = 1\n'files' = 's3cret'", ":1: unknown key 'filed'", "did you mean 'file'?"),
        ("retry = 's3cret'", ":1: unknown key 'retry'", "file, state_dir, color"),
        ("color = 'pink'", ":1: color is 'pink'", "auto, always, never"),
        ("color = true", ":1: color is True", "auto, always, never"),
        ("file = 3", ":1: file must be a path or a list of paths", "file ="),
        ("file = []", ":1: file must be a path or a list of paths", "file ="),
        ("file = ['a', '']", ":1: file must be a path or a list of paths", "file ="),
        ("\nstate_dir = ['a']", ":2: state_dir must be a path", "state_dir ="),
        ('state_dir = "a\\u0000b"', ":1: state_dir must be a path", "state_dir ="),
        ("color = ", "Invalid value", "correct the file"),
        (b"color = '\xff'", "byte 10 is not UTF-8", "UTF-8"),
        ("color = " + "[" * 3000, "nested too deeply", "correct the file"),
        ("color = " + "9" * 5000, "too many digits", "correct the file"),
        ("#" * 70_000, "larger than 64 KiB", "correct the file"),
    ],
)
def test_a_config_file_that_is_wrong_says_where_and_how_to_go_on(
    home: Path, content: str | bytes, message: str, hint: str
) -> None:
    write_config(home, content)
    with pytest.raises(UsageError) as caught:
        resolve(home)
    assert caught.value.message.startswith(f"{home}/.config/jobctl/config.toml:")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_a_config_file_that_is_a_folder_is_refused(home: Path) -> None:
    (home / ".config/jobctl/config.toml").mkdir()
    with pytest.raises(UsageError, match="not a file"):
        resolve(home)


# The state folder


@pytest.fixture(params=[0o000, 0o022, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_the_folder_is_made_for_us_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "state/jobctl"
    assert settings.state_dir_ready(str(path), create=True) == str(path)
    assert path.stat().st_mode & 0o7777 == 0o700, oct(umask)
    assert path.parent.stat().st_mode & 0o7777 == 0o700, oct(umask)
    assert settings.state_dir_ready(str(path), create=True) == str(path)


def test_nothing_is_made_for_a_call_that_only_reads(tmp_path: Path) -> None:
    assert settings.state_dir_ready(str(tmp_path / "state"), create=False) == str(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_symlink_of_ours_to_a_folder_of_ours_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to("real")
    assert settings.state_dir_ready(str(tmp_path / "link"), create=True) == str(tmp_path / "real")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o702, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "state"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(StoreError, match=f"written to by others .mode {mode:04o}") as caught:
        settings.state_dir_ready(str(path), create=True)
    assert f"chmod 700 {path}" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "reason"), [("file", "is not a folder"), ("file/below", "Not a directory"), ("loop", "symbolic links")]
)
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for create in (True, False):  # what cannot be looked at is not taken for a place where nothing has run yet
        with pytest.raises(StoreError, match=reason) as caught:
            settings.state_dir_ready(str(tmp_path / name), create=create)
        assert "--state-dir" in caught.value.hint


def test_a_folder_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(StoreError, match="/proc/jobctl cannot be used: ") as caught:
        settings.state_dir_ready("/proc/jobctl", create=True)
    assert "--state-dir" in caught.value.hint


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@as_root
def test_a_folder_of_someone_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    os.chown(path, 54321, 54321)
    with pytest.raises(StoreError, match="belongs to user 54321, and this is user root") as caught:
        settings.state_dir_ready(str(path), create=True)
    assert "run jobctl as user 54321" in caught.value.hint


@as_root
def test_a_symlink_of_someone_else_is_refused_wherever_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    os.lchown(tmp_path / "link", 54321, 54321)
    with pytest.raises(StoreError, match="is a symlink of user 54321"):
        settings.state_dir_ready(str(tmp_path / "link"), create=True)


MOUNTS = b"""\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:30 / /home rw,relatime shared:2 master:1 - nfs4 server:/home rw,vers=4.2
41 40 0:31 / /home/me/local rw - xfs /dev/sdb rw
42 27 0:32 / /mnt/with\\040space\\134 rw - fuse.sshfs me@host: rw
43 27 0:33 / /mnt/twice rw - cifs //server/share rw
44 43 0:34 / /mnt/twice rw - tmpfs tmpfs rw
a line that is cut
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib/jobctl", "ext4"),
        ("/home", "nfs4"),
        ("/home/me", "nfs4"),
        ("/homeless", "ext4"),
        ("/home/me/local/state", "xfs"),
        ("/home/me/localstate", "nfs4"),
        ("/mnt/with space\\/jobctl", "fuse.sshfs"),
        ("/mnt/twice/jobctl", "tmpfs"),
    ],
)
def test_filesystem_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert settings.filesystem(path, MOUNTS) == kind


def test_filesystem_is_unknown_where_nobody_says() -> None:
    assert settings.filesystem("/var/lib", b"") == ""


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        *((kind, True) for kind in ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs")),
        *((kind, False) for kind in ("ext4", "btrfs", "tmpfs", "overlay", "fuse.fuse-overlayfs", "fuseblk")),
    ],
)
def test_network_file_systems_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, refused: bool
) -> None:
    (tmp_path / "mounts").write_bytes(
        b"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / %b rw - %b x rw\n" % (os.fsencode(tmp_path), kind.encode())
    )
    monkeypatch.setattr(settings, "MOUNTS", str(tmp_path / "mounts"))
    path = str(tmp_path / "state")
    if not refused:
        assert settings.state_dir_ready(path, create=True) == path
        return
    with pytest.raises(StoreError, match=f"network file system .{kind}.") as caught:
        settings.state_dir_ready(path, create=True)
    assert "local disk" in caught.value.hint

"""Where definitions and state live and how to talk: flags > environment > config file > defaults. No job is read here.

Imported by every call, so it imports `os` and nothing else until something else is needed.
"""

from __future__ import annotations

import os

from jobctl.core.errors import StoreError, UsageError

TYPE_CHECKING = False  # as in `typing`, whose import would cost every call some milliseconds
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Never

COLORS = ("auto", "always", "never")
CONFIG_KEYS = ("file", "state_dir", "color")
CONFIG_MAX_BYTES = 64 * 1024

MOUNTS = "/proc/self/mountinfo"

# File systems that another machine can write to, over a network or as the host of this one: SQLite's shared memory and
# the locks do not hold on them, which no trial on this machine alone would show. All others are tried: store/trial.py.
# fmt: off
_NETWORK = frozenset((
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "ocfs2", "orangefs", "pvfs2", "smb2", "smb3", "smbfs",
    "drvfs", "fakeowner", "grpcfuse", "osxfs", "prl_fs", "vboxsf", "virtiofs", "vmhgfs",
    "fuse.drvfs", "fuse.grpcfuse", "fuse.osxfs", "fuse.prl_fsd", "fuse.vmhgfs-fuse",
    "fuse.ceph", "fuse.ceph-fuse", "fuse.curlftpfs", "fuse.davfs", "fuse.gcsfuse", "fuse.glusterfs", "fuse.juicefs",
    "fuse.moosefs", "fuse.nfs", "fuse.rclone", "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs",
))
# fmt: on

_ELSEWHERE = "name a folder of your own with --state-dir or JOBCTL_STATE_DIR"


class Settings:
    """What one call of jobctl was told. Paths are absolute.

    `files` are the definitions files: those that were named, whether they exist or not, or the one that was found in
    the usual places; () when there is none. `state_dir` is "" when there is no home folder to keep it in. `config` is
    the config file's path, existing or not; "" without a home folder.
    """

    __slots__ = ("color", "config", "files", "json", "no_input", "quiet", "state_dir", "verbose")

    files: tuple[str, ...]
    state_dir: str
    json: bool
    quiet: bool
    verbose: bool
    color: str  # auto | always | never
    no_input: bool
    config: str

    def __init__(
        self,
        *,
        files: tuple[str, ...] = (),
        state_dir: str = "",
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        color: str = "auto",
        no_input: bool = False,
        config: str = "",
    ) -> None:
        put = object.__setattr__
        put(self, "files", files)
        put(self, "state_dir", state_dir)
        put(self, "json", json)
        put(self, "quiet", quiet)
        put(self, "verbose", verbose)
        put(self, "color", color)
        put(self, "no_input", no_input)
        put(self, "config", config)

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"settings are frozen: {name}")


def resolve(flags: Mapping[str, object], environ: Mapping[str, str], cwd: str) -> Settings:
    """The settings of a call from the folder `cwd`.

    `flags` holds what was given on the command line: file (one path or several), state_dir, json, quiet, verbose,
    color, no_input; None and absence both mean "not given". UsageError for a value that cannot be, and for a
    config file that cannot be read or says something unknown.
    """
    home = _home(environ)
    config_home = _xdg(environ, "XDG_CONFIG_HOME", home, ".config")
    state_home = _xdg(environ, "XDG_STATE_HOME", home, ".local/state")

    config = os.path.join(config_home, "jobctl/config.toml") if config_home else ""
    told = _read_config(config) if config else {}

    def from_config(path: str) -> str:
        if path.startswith("~/") and home:
            path = os.path.join(home, path[2:])
        return _absolute(path, os.path.dirname(config))

    files: tuple[str, ...]
    if named := _strings(flags.get("file")):
        if "" in named:
            raise UsageError("--file is empty", hint="name a definitions file: --file jobs.toml")
        files = tuple(_absolute(path, cwd) for path in named)
    elif named := tuple(path for path in environ.get("JOBCTL_FILE", "").split(":") if path):
        files = tuple(_absolute(path, cwd) for path in named)
    elif "file" in told:
        files = tuple(from_config(path) for path in _strings(told["file"]))
    else:
        places = (os.path.join(cwd, "jobs.toml"), config and from_config("jobs.toml"), "/etc/jobctl/jobs.toml")
        files = next(((path,) for path in places if path and os.path.exists(path)), ())

    if (given := flags.get("state_dir")) is not None:
        if not given:
            raise UsageError("--state-dir is empty", hint="name the folder that holds the state: --state-dir DIR")
        state_dir = _absolute(str(given), cwd)
    elif given := environ.get("JOBCTL_STATE_DIR"):
        state_dir = _absolute(given, cwd)
    elif "state_dir" in told:
        state_dir = from_config(told["state_dir"])
    else:
        state_dir = os.path.join(state_home, "jobctl") if state_home else ""

    color = flags.get("color")
    if color is None:
        # https://no-color.org: whatever its value, unless it is empty.
        color = "never" if environ.get("NO_COLOR") else told.get("color", "auto")
    if color not in COLORS:
        raise UsageError(f"--color is {color!r}", hint=f"one of: {', '.join(COLORS)}")

    return Settings(
        files=files,
        state_dir=state_dir,
        json=bool(flags.get("json")),
        quiet=bool(flags.get("quiet")),
        verbose=bool(flags.get("verbose")),
        color=str(color),
        no_input=bool(flags.get("no_input")),
        config=config,
    )


def state_dir_ready(path: str, create: bool) -> str:
    """The real path of the state folder, once it is safe to use: a local folder of ours that only we can write to, and
    that nobody else can put another one in the place of.

    With `create`, a folder that does not exist is made, and its parents, with mode 0700 whatever the umask; without,
    its path is given back as it is, for there is nothing in it to read. StoreError says why a folder cannot be used.
    """
    if not path:
        raise StoreError(
            "there is no folder to keep state in: HOME is not set and this user has no home folder", hint=_ELSEWHERE
        )
    from jobctl.host import parents

    me = os.geteuid()
    try:
        real = parents.real(path, me)
        try:
            info = os.stat(real)
        except FileNotFoundError:  # what cannot be looked at is another matter
            if not create:
                return real
            _make(real)
            info = os.stat(real)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"the state folder {path} cannot be used: {reason}", hint=_ELSEWHERE) from error

    if info.st_mode & 0o170000 != 0o040000:  # S_IFMT, S_IFDIR
        raise StoreError(f"the state folder {path} is not a folder", hint=_ELSEWHERE)
    if info.st_uid != me:
        owner = parents.user(info.st_uid)
        raise StoreError(
            f"the state folder {path} belongs to {owner}, and this is {parents.user(me)}",
            hint=f"run jobctl as {owner}, or name another folder with --state-dir or JOBCTL_STATE_DIR",
        )
    if info.st_mode & 0o022:
        raise StoreError(
            f"the state folder {path} can be written to by others (mode {info.st_mode & 0o7777:04o})",
            hint=f"make it yours alone: chmod 700 {real}",
        )
    kind = filesystem(real, _mounts())
    if kind in _NETWORK:
        raise StoreError(
            f"the state folder {path} is on a network file system ({kind}), where locks and SQLite's WAL do not hold",
            hint="name a folder on a local disk with --state-dir or JOBCTL_STATE_DIR",
        )
    return real


def filesystem(path: str, mounts: bytes) -> str:
    """The type of the file system that an absolute real path is on, by the text of /proc/self/mountinfo; "" if unknown.

    Format: proc_pid_mountinfo(5). Of mounts on one place the last one is seen.
    """
    wanted = os.fsencode(path.rstrip("/") + "/")
    best, kind = 0, b""
    for line in mounts.splitlines():
        left, _, right = line.partition(b" - ")
        fields = left.split(b" ", 5)
        if len(fields) < 5 or not right:
            continue
        place = fields[4]
        if b"\\" in place:  # space, tab, newline and backslash come as three octal digits
            for code in (0o40, 0o11, 0o12, 0o134):
                place = place.replace(b"\\%03o" % code, bytes((code,)))
        place = place.rstrip(b"/") + b"/"
        if len(place) >= best and wanted.startswith(place):
            best, kind = len(place), right.partition(b" ")[0]
    return kind.decode("ascii", "replace")


def _home(environ: Mapping[str, str]) -> str:
    """The user's home folder, "" if nobody knows it: a container may run under a user that has no entry anywhere."""
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        import pwd

        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return ""
    return home if home.startswith("/") else ""


def _xdg(environ: Mapping[str, str], name: str, home: str, default: str) -> str:
    """A base folder; "" without a home. A relative one is to be ignored (XDG Base Directory Specification)."""
    value = environ.get(name, "")
    if value.startswith("/"):
        return value
    return os.path.join(home, default) if home else ""


def _absolute(path: str, base: str) -> str:
    return os.path.normpath(os.path.join(base, path))


def _strings(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else (str(value),)


def _read_config(path: str) -> dict[str, Any]:
    """The config file, checked; {} if there is none."""
    if not os.path.exists(path):
        return {}

    import tomllib

    hint = f"correct the file or move it away; it may hold {', '.join(CONFIG_KEYS)}"
    try:
        from jobctl.core.definition.document import too_deep
        from jobctl.host.files import read_regular

        data = read_regular(path, CONFIG_MAX_BYTES + 1)
        if len(data) > CONFIG_MAX_BYTES:
            raise UsageError(f"{path}: larger than {CONFIG_MAX_BYTES // 1024} KiB", hint=hint)
        source = data.decode("utf-8-sig")
        deep = too_deep(source)
        if deep is not None:
            raise UsageError(f"{path}:{deep.line}: {deep.message}", hint=hint)
        told = tomllib.loads(source)
    except OSError as error:
        if isinstance(error, IsADirectoryError):
            raise UsageError(f"{path}: not a file", hint=hint) from error
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint=hint) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start + 1} is not UTF-8", hint="save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}", hint=hint) from error
    except RecursionError as error:
        raise UsageError(f"{path}: nested too deeply", hint=hint) from error
    except ValueError as error:  # what int() says to thousands of digits
        raise UsageError(f"{path}: a number with too many digits", hint=hint) from error

    for key, value in told.items():
        place = f"{path}:{_line(source, key)}"
        if key not in CONFIG_KEYS:
            import difflib

            close = difflib.get_close_matches(key, CONFIG_KEYS, n=1)
            known = f"it may hold {', '.join(CONFIG_KEYS)}"
            raise UsageError(f"{place}: unknown key {key!r}", hint=f"did you mean {close[0]!r}?" if close else known)
        if key == "file":
            items = value if isinstance(value, list) else [value]
            if not items or not all(_is_path(item) for item in items):
                raise UsageError(f"{place}: file must be a path or a list of paths", hint='write file = "jobs.toml"')
        elif key == "state_dir" and not _is_path(value):
            raise UsageError(f"{place}: state_dir must be a path", hint='write state_dir = "/srv/jobctl"')
        elif key == "color" and value not in COLORS:
            raise UsageError(f"{place}: color is {value!r}", hint=f"one of: {', '.join(COLORS)}")
    return told


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _line(source: str, key: str) -> int:
    """The line that a key of the top level is set in: tomllib does not tell. 1 if it is written in an unusual way."""
    for number, line in enumerate(source.splitlines(), 1):
        name = line.lstrip(" \t[\"'")
        if name.startswith(key) and name[len(key) :].lstrip(" \t\"'").startswith(("=", ".", "]")):
            return number
    return 1


def _make(path: str) -> None:
    """Make a folder and its missing parents, all 0700: an umask can take bits away, never add them."""
    parent = os.path.dirname(path)
    if not os.path.lexists(parent):
        _make(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return  # another jobctl was faster
    os.chmod(path, 0o700)


def _mounts() -> bytes:
    try:
        with open(MOUNTS, "rb") as file:
            return file.read()
    except OSError:
        return b""  # no Linux, or no /proc: nobody to ask

"""Whether others can put another folder in a folder's place: all that lies on the way to it is looked at, as ssh does
(StrictModes). Imported by most calls: `os`, and more only where something is to be asked."""

from __future__ import annotations

import errno
import os

from jobctl.core.errors import StoreError

_LINKS = 40  # as many as Linux follows
_ELSEWHERE = "name a folder of your own with --state-dir or JOBCTL_STATE_DIR"
_LINK, _FOLDER = 0o120000, 0o040000


def real(path: str, me: int) -> str:
    """The real path of an absolute one, whether there is something or not. StoreError where somebody else could have it
    lead elsewhere: who owns a folder or a link on the way, or may write to a folder there. OSError."""
    rest = [name for name in reversed(path.split("/")) if name]
    here, links = "/", 0
    _check(path, here, os.lstat(here), me)
    while rest:
        name = rest.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        place = os.path.join(here, name)
        try:
            info = os.lstat(place)
        except FileNotFoundError:  # from here on it is made by us, if at all
            return os.path.normpath(os.path.join(place, *reversed(rest)))
        if info.st_mode & 0o170000 == _LINK:
            if not trusted(info.st_uid, me):
                what = f"the state folder {path} is" if place == path else f"{place} on the way to {path} is"
                raise StoreError(f"{what} a symlink of {user(info.st_uid)}", hint=_ELSEWHERE)
            links += 1
            if links > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(place)
            if target.startswith("/"):
                here = "/"
            rest += reversed(target.split("/"))
            continue
        here = place
        if rest:
            _check(path, here, info, me)
    return here


def _check(path: str, parent: str, info: os.stat_result, me: int) -> None:
    """StoreError when others can rename what is in that folder."""
    mode = info.st_mode
    if mode & 0o170000 != _FOLDER:
        return  # what is below it cannot be looked at
    if not trusted(info.st_uid, me):
        raise StoreError(
            f"the state folder {path} can be swapped by {user(info.st_uid)}, to whom {parent} belongs", hint=_ELSEWHERE
        )
    if mode & 0o1000:  # sticky, as /tmp: only the owner of a file renames it
        return
    if mode & 0o002 or (mode & 0o020 and not ours_alone(info.st_gid, me)):
        who = "o-w" if mode & 0o002 and not mode & 0o020 else "g-w" if not mode & 0o002 else "go-w"
        raise StoreError(
            f"the state folder {path} can be swapped by others: they may write to {parent} (mode {mode & 0o7777:04o})",
            hint=f"chmod {who} {parent}; or {_ELSEWHERE}",
        )


def trusted(uid: int, me: int) -> bool:
    return uid in (me, 0) or _unknown_here(uid)


def _unknown_here(uid: int) -> bool:
    """Whether that is what a user namespace calls everybody outside of it: who it is cannot be told there."""
    try:
        with open("/proc/sys/fs/overflowuid", encoding="ascii") as file:
            if uid != int(file.read()):
                return False
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return file.read().split() != ["0", "0", "4294967295"]
    except (OSError, ValueError):
        return False


def ours_alone(gid: int, me: int) -> bool:
    """Whether a group is root's, or the one that many systems give each user for themselves."""
    import grp
    import pwd

    try:
        group = grp.getgrgid(gid)
        owner = pwd.getpwuid(0 if gid == 0 else me)
    except KeyError:
        return False
    return owner.pw_gid == gid and group.gr_name == owner.pw_name and set(group.gr_mem) <= {owner.pw_name}


def user(uid: int) -> str:
    import pwd

    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"

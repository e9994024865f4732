"""Files as one tar that ordinary tools can look into, and back into a folder of ours. What the files mean is
engines/local/backup.py's."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from jobctl.core.errors import JobctlError
from jobctl.host.files import open_own

if TYPE_CHECKING:
    from typing import Literal

_PIECE = 1024 * 1024
_AT_ONCE = 8 * _PIECE  # a file up to that size is read whole, so that its length is what was read


class UnusableError(JobctlError):
    """What is wrong with a file that is to be unpacked: "it is …", said of it by whoever has named it."""


class UnreadableError(OSError):
    """A file that is there cannot be read; what was written so far is sound."""


class _Out:
    """Where a tar goes, until it is given up: tarfile writes to it even when it is thrown away."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out: IO[bytes] | None = out

    def write(self, data: bytes) -> int:
        return len(data) if self._out is None else self._out.write(data)

    def give_up(self) -> None:
        self._out = None


class Writer:
    """One tar that is written from its beginning to its end: `out` may be a pipe."""

    def __init__(self, out: IO[bytes], *, compressed: bool) -> None:
        mode: Literal["w|gz", "w|"] = "w|gz" if compressed else "w|"
        self._out = _Out(out)
        stream: Any = self._out  # it is asked for nothing but `write`
        self._tar = tarfile.open(fileobj=stream, mode=mode, format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self.files = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._out.give_up()
        self.close()

    def close(self) -> None:
        """What belongs behind the last file is written."""
        self._tar.close()

    def text(self, name: str, data: bytes, at: float) -> None:
        """A file that nobody has on the disk. `at`: its time, in seconds."""
        self._put(name, io.BytesIO(data), len(data), 0o600, at)

    def file(self, name: str, path: str) -> bool:
        """A file as it is now, while others may write to it. False for one that is gone, or is none: a link, a pipe.
        UnreadableError for any other reason."""
        try:
            fd = open_own(path)
        except OSError as error:
            if _is_none(path):
                return False
            raise UnreadableError(error.errno, error.strerror, path) from error
        with os.fdopen(fd, "rb", buffering=0) as file:
            info = os.fstat(fd)
            mode = stat.S_IMODE(info.st_mode)
            if info.st_size <= _AT_ONCE:
                try:
                    data = _read(file, info.st_size)
                except OSError as error:
                    raise UnreadableError(error.errno, error.strerror, path) from error
                self._put(name, io.BytesIO(data), len(data), mode, info.st_mtime)
            else:
                whole = _Whole(file)
                self._put(name, whole, info.st_size, mode, info.st_mtime)
                if whole.error is not None:
                    raise UnreadableError(whole.error.errno, whole.error.strerror, path) from whole.error
        return True

    def _put(self, name: str, data: IO[bytes] | _Whole, size: int, mode: int, at: float) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = size, mode, int(at)  # a fraction would cost a header of its own
        entry.uid, entry.gid = os.geteuid(), os.getegid()
        source: Any = data  # it is asked for nothing but `read`
        self._tar.addfile(entry, source)
        self.files += 1


def _is_none(path: str) -> bool:
    """Whether there is no file of that name: nothing, a link, a pipe."""
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _read(file: IO[bytes], size: int) -> bytes:
    pieces, left = [], size
    while left > 0 and (piece := file.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


class _Whole:
    """A large file that may be cut while it is read - a log that has grown beyond its limit: what is gone by then, or
    cannot be read, is made up by zeros, for its length was said already."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def read(self, size: int) -> bytes:
        data = b""
        try:
            data = _read(self._file, size) if self.error is None else b""
        except OSError as error:
            self.error = error
        return data.ljust(size, b"\0")


class Entry:
    """A file in a tar, to be read before the next one is asked for."""

    def __init__(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        self.name, self.size = entry.name, entry.size
        self._tar, self._entry = tar, entry

    def data(self, limit: int) -> bytes:
        """What is in it. JobctlError when that is more than can be meant."""
        if self.size > limit:
            raise _refused(f"{self.name} has {self.size:,} bytes")
        with _explained():
            content = self._tar.extractfile(self._entry)
            return content.read() if content is not None else b""

    def write(self, path: str) -> None:
        """Put it there, where nothing is yet. It is ours alone, whatever the tar says."""
        fd = open_own(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        with os.fdopen(fd, "wb") as file:
            content = self._tar.extractfile(self._entry)
            while piece := self._read(content):
                file.write(piece)
            os.fchmod(fd, 0o600 | (self._entry.mode & 0o100))
        os.utime(path, (self._entry.mtime, self._entry.mtime))

    @staticmethod
    def _read(content: IO[bytes] | None) -> bytes:
        with _explained():
            return content.read(_PIECE) if content is not None else b""


@contextmanager
def entries(source: IO[bytes]) -> Iterator[Iterator[Entry]]:
    """The files of a tar, compressed or not, in order; `source` may be a pipe.

    JobctlError for what is no tar, is cut off, or holds anything but files that stay below the folder they are put in.
    """
    with _explained():
        tar = tarfile.open(fileobj=source, mode="r|*")  # noqa: SIM115
    try:
        yield _checked(tar)
    finally:
        tar.close()


def _checked(tar: tarfile.TarFile) -> Iterator[Entry]:
    while True:
        with _explained():
            entry = tar.next()
        if entry is None:
            return
        entry.name = entry.name.removeprefix("./")
        if entry.isdir() and ".." not in entry.name.split("/"):
            continue
        if not entry.isreg() or entry.issparse():
            raise _refused(f"{entry.name!r} in it is no file")
        words = entry.name.split("/")
        if not all(words) or "." in words or ".." in words or "\0" in entry.name:
            raise _refused(f"{entry.name!r} in it leads out of the folder")
        with _explained():
            yield Entry(tar, entry)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _refused(f"it is no tar, cut off or damaged ({error})") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _refused(f"it is cut off or damaged ({error})") from error  # gzip's own
    except Exception as error:
        if type(error).__module__ in ("zlib", "_lzma"):
            raise _refused(f"it is cut off or damaged ({error})") from error
        raise


def _refused(why: str) -> UnusableError:
    return UnusableError(why, hint="nothing was put in the state folder")

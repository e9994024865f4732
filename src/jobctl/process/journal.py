"""What a keeper has done, on the disk before anybody is told: whoever reads it knows how each attempt stands.

A line a record: `KIND ID VALUES WALL BOOT SUM`, times in milliseconds of the wall clock and of CLOCK_BOOTTIME, the sum
that of all before it. Room is reserved before anything is begun, so that its end can be written on a full disk. Not
flushed to the disk: after a reboot, what has no recorded end is lost.

  H  keeper=… boot=… pidns=… pid=…   what the pids below count in; the first line of each file
  I  id mark                 the attempt is about to be made
  S  id pid first last       it was, as this process, which began between these two ticks of the boot
  U  id                      it was not, and may be tried again
  R  id                      its condition (only_if) said "run": the next S is the command's
  E  id how status by what   it has ended; see End
  O  - count                 so many processes are below the keeper that cannot be put down to any attempt

An attempt that stands in no journal has not begun. One with an I and nothing after it: nobody knows.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Iterable

from jobctl.core.record import NamedTuple
from jobctl.host.files import PASSING, open_own
from jobctl.process.end import End

FORMAT = "1"
FILE_SIZE = 1024 * 1024  # a new file is begun above it
_HEAD = 4096  # bytes, in which the first record stands whole
RECORD = 400  # bytes: the longest record
_ROOM = 64 * 1024  # reserved at once while there is room


class Header(NamedTuple):
    """Where a keeper's pids count: under its boot, in its PID namespace."""

    keeper: str
    boot: str
    namespace: str
    pid: int


class Entry:
    """What the records say of one attempt."""

    __slots__ = ("began", "began_boot", "born", "end", "id", "mark", "pid", "ran", "unbegun")

    def __init__(self, id: str) -> None:
        self.id = id
        self.mark = 0
        self.pid: int | None = None  # None: not known
        self.born = (0, 0)  # ticks: the process began between these
        self.ran = False
        self.unbegun = False
        self.began = 0
        self.began_boot = 0
        self.end: End | None = None


class Found(NamedTuple):
    header: Header | None
    entries: dict[str, Entry]
    strays: int


class Journal:
    """The writing side: a keeper's own files, one after the other."""

    def __init__(self, base: str, header: Header) -> None:
        """`base`: path without the number. OSError when it cannot be made."""
        self._base = base
        self._header = header
        self._number = 0
        self._fd = -1
        self._at = 0
        self._reserved = 0
        self._kept: list[bytes] = []  # what could not be written yet
        self._holds: dict[int, set[str]] = {}  # file -> attempts it has records of that are not acknowledged
        self.trouble = ""  # why records are kept in memory
        self._begin_file()

    def _begin_file(self) -> None:
        number = self._number + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(path_of(self._base, number), flags, 0o600)
        head = self._header
        text = f"H keeper={head.keeper} boot={head.boot} pidns={head.namespace} pid={head.pid} {FORMAT}"
        line = _line(text.encode())
        try:
            os.posix_fallocate(fd, 0, len(line))
            os.pwrite(fd, line, 0)
        except OSError:
            os.close(fd)
            os.unlink(path_of(self._base, number))
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._number, self._at, self._reserved = fd, number, len(line), len(line)
        self._holds[number] = set()

    def reserve(self, attempts: int) -> None:
        """Have room for all that can come to be written of so many attempts. OSError: there is none."""
        if self._at >= FILE_SIZE and not self._kept:
            self._begin_file()
        need = self._at + (4 * RECORD) * attempts
        if need <= self._reserved:
            return
        for size in (max(need, self._reserved + _ROOM), need):
            try:
                os.posix_fallocate(self._fd, 0, size)
            except OSError:
                if size == need:
                    raise
            else:
                self._reserved = size
                return

    def write(self, kind: str, id: str, *values: object, wall: int, boot: int) -> None:
        """One record. Never raises: what cannot be written is kept, tried again, and said in `trouble`."""
        self._kept.append(_line(" ".join([kind, id, *map(str, values), str(wall), str(boot)]).encode()))
        if id != "-":
            self._holds[self._number].add(id)
        self.retry()

    def retry(self) -> bool:
        """Write what is kept. Whether nothing is left."""
        while self._kept:
            line = self._kept[0]
            try:
                done = os.pwrite(self._fd, line, self._at)
            except OSError as error:
                self.trouble = error.strerror or str(error)
                return False
            if done < len(line):  # the reader stops at a NUL or at a wrong sum: what is half there is not there
                self.trouble = "the disk is full"
                try:
                    os.ftruncate(self._fd, self._at)
                    self._reserved = self._at
                except OSError:
                    pass
                return False
            self._at += done
            del self._kept[0]
        self.trouble = ""
        return True

    def acknowledged(self, id: str) -> None:
        """The end of an attempt stands where nothing is lost: files that hold nothing else are removed."""
        for number, held in list(self._holds.items()):
            held.discard(id)
            if not held and number != self._number:
                del self._holds[number]
                try:
                    os.unlink(path_of(self._base, number))
                except OSError:
                    pass

    @property
    def needed(self) -> bool:
        """Whether somebody may still want to read it."""
        return any(self._holds.values())

    def remove(self) -> None:
        for number in self._holds:
            try:
                os.unlink(path_of(self._base, number))
            except OSError:
                pass


def path_of(base: str, number: int) -> str:
    return f"{base}.{number}.journal"


def of_another_life(keeper: str, ids: Iterable[str]) -> bytes:
    """What stands for the journal of a keeper that nobody can ask: its attempts were begun under another boot, and how
    they ended is not known."""
    lines = [f"H keeper={keeper} boot=- pidns=- pid=0 {FORMAT}", *(f"I {id} 0 0 0" for id in ids)]
    return b"".join(_line(line.encode()) for line in lines)


def _line(text: bytes) -> bytes:
    return b"%b %08x\n" % (text, binascii.crc32(text))


def files(folder: str, keeper: str) -> list[str]:
    """The journal files of a keeper, in order."""
    start, found = keeper + ".", []
    for name in os.listdir(folder):
        if name.startswith(start) and name.endswith(".journal"):
            number = name[len(start) : -len(".journal")]
            if number.isdigit():
                found.append((int(number), os.path.join(folder, name)))
    return [path for _, path in sorted(found)]


def read(paths: list[str]) -> Found:
    """What a keeper's files say, in order. A torn or damaged record ends its file: what is behind it was never written.

    Files that go away meanwhile held nothing that anybody waits for. OSError when one cannot be read just now.
    """
    header: Header | None = None
    entries: dict[str, Entry] = {}
    strays = 0
    for path in paths:
        try:
            data = _content(path)
        except OSError as error:
            if error.errno in PASSING:
                raise
            continue
        for raw in data.split(b"\n")[:-1]:
            try:
                words = _checked(raw)
            except ValueError:
                break
            try:
                if words[0] == "H":
                    header = _header(words)
                elif words[0] == "O":
                    strays = int(words[2])
                else:
                    _record(entries, words)
            except (ValueError, IndexError, KeyError):
                continue  # a kind that a later version writes
    return Found(header, entries, strays)


def is_whole(path: str) -> bool:
    """Whether all that is in a file of a dead keeper can be read: behind the last record there is but reserved room."""
    try:
        data = _content(path)
    except OSError:
        return False
    at = 0
    for raw in data.split(b"\n"):
        try:
            _checked(raw)
        except ValueError:
            break
        at += len(raw) + 1
    return not data[at:].strip(b"\0")


def read_header(paths: list[str]) -> Header | None:
    """What the first of a keeper's files begins with, without the rest of it. As `read`."""
    try:
        line, found, _ = _content(paths[0], most=_HEAD).partition(b"\n") if paths else (b"", b"", b"")
        return _header(_checked(line)) if found else None
    except (ValueError, IndexError, KeyError):
        return None
    except OSError as error:
        if error.errno in PASSING:
            raise
        return None


def _checked(raw: bytes) -> list[str]:
    """The words of a record. ValueError for one that is torn or damaged."""
    text, _, total = raw.rpartition(b" ")
    if not text or total != b"%08x" % binascii.crc32(text):
        raise ValueError("damaged")
    return text.decode("utf-8", "replace").split(" ")


def _content(path: str, most: int = 64 * FILE_SIZE) -> bytes:
    fd = open_own(path)
    try:
        pieces, left = [], most
        while left > 0 and (piece := os.read(fd, min(left, FILE_SIZE))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def _header(words: list[str]) -> Header:
    about = dict(word.partition("=")[::2] for word in words[1:] if "=" in word)
    return Header(about["keeper"], about["boot"], about["pidns"], int(about["pid"]))


def _record(entries: dict[str, Entry], words: list[str]) -> None:
    kind, id, values = words[0], words[1], words[2:]
    wall, boot = int(values[-2]), int(values[-1])
    if kind == "I":
        entry = entries[id] = Entry(id)
        entry.mark, entry.began, entry.began_boot = int(values[0]), wall, boot
        return
    entry = entries.setdefault(id, Entry(id))
    if kind == "S":
        pid = int(values[0])
        if pid > 1:
            entry.pid, entry.born = pid, (int(values[1]), int(values[2]))
    elif kind == "U":
        entry.unbegun = True
    elif kind == "R":
        entry.ran, entry.pid = True, None
    elif kind == "E":
        how, status, by, what, ran, began = values[:6]
        entry.end = End(id, how, int(status), _name(by), _name(what), ran == "1", int(began), wall, boot)


def end_values(end: End) -> tuple[object, ...]:
    """An End as the values of its record."""
    return end.how, end.status, end.by or "-", end.what or "-", int(end.ran), end.began


def _name(word: str) -> str:
    return "" if word == "-" else word

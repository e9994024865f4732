"""What a power cut leaves of a folder, made from the journal that power.c keeps. What must hold: test_power_cut.py.

Pessimistic, as POSIX lets a disk be: of a file there is what was in it at its last fsync, of a folder the names that
were in it at the folder's own. What came later has arrived in part: some of the writes, of these some of their
sectors, in no order; the changes of a folder up to some moment.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_HEAD = struct.Struct("<cIQQIII")
_SECTOR = 512


class Record(NamedTuple):
    kind: str  # as in power.c
    pid: int
    inode: int
    offset: int
    path: str
    other: str
    data: bytes


def read(journal: Path) -> list[Record]:
    text = journal.read_bytes()
    found = []
    at = 0
    while at < len(text):
        kind, pid, inode, offset, *lengths = _HEAD.unpack_from(text, at)
        at += _HEAD.size
        parts = []
        for length in lengths:
            parts.append(text[at : at + length])
            at += length
        found.append(Record(kind.decode(), pid, inode, offset, os.fsdecode(parts[0]), os.fsdecode(parts[1]), parts[2]))
    return found


class _File:
    """What a program sees of a file, what is on the disk for certain, and what has been done in between."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.certain = b""
        self.since: list[tuple[int, bytes | None]] = []  # (offset, data), or (size, None) for a truncation

    def do(self, at: int, data: bytes | None) -> None:
        _apply(self.seen, at, data)
        self.since.append((at, data))

    def sync(self) -> None:
        if self.since:
            self.certain = bytes(self.seen)
            self.since = []

    def after(self, chance: random.Random | None) -> bytes:
        if chance is None or not self.since:
            return self.certain
        content = bytearray(self.certain)
        for at, data in self.since:
            if data is None:
                if chance.random() < 0.5:
                    _apply(content, at, None)
                continue
            whole = chance.random()
            for start in range(0, len(data), _SECTOR):
                if whole < 0.4 or (whole < 0.8 and chance.random() < 0.5):
                    _apply(content, at + start, data[start : start + _SECTOR])
        return bytes(content)


def _apply(content: bytearray, at: int, data: bytes | None) -> None:
    if data is None:
        del content[at:]
        content.extend(bytes(at - len(content)))
        return
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    content[at : at + len(data)] = data


class Disk:
    """A folder as records make it; `leave` writes down what a power cut would leave of it now."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._files: dict[int, _File] = {}
        self._seen: dict[str, int] = {}  # path -> inode
        self._certain: dict[str, int] = {}
        self._since: dict[str, list[dict[str, int | None]]] = {}  # folder -> changes of names, each all or nothing

    def do(self, record: Record) -> None:
        path, inode = record.path, record.inode
        if record.kind == "S":
            if inode in self._files:
                self._files[inode].sync()
            for change in self._since.pop(path, []):
                _rename(self._certain, change)
        elif record.kind == "R":
            moved = self._seen.get(path)
            self._change(path, {path: None, **({record.other: moved} if moved is not None else {})})
        elif record.kind == "U":
            self._change(path, {path: None})
        elif record.kind in "CWT":
            if record.kind == "C" or inode not in self._files:
                self._files[inode] = _File()
            # A removed file is written to under no name.
            if self._seen.get(path) != inode and not path.endswith(" (deleted)"):
                self._change(path, {path: inode})
            if record.kind != "C":
                self._files[inode].do(record.offset, record.data if record.kind == "W" else None)

    def _change(self, path: str, names: dict[str, int | None]) -> None:
        _rename(self._seen, names)
        self._since.setdefault(os.path.dirname(path), []).append(names)

    def leave(self, where: Path, seed: int | None, *, only: str = "") -> None:
        """Without a seed only what is certain, else some of what came later too. `only`: files whose names begin so."""
        chance = random.Random(seed) if seed is not None else None
        names = dict(self._certain)
        if chance is not None:
            for changes in self._since.values():
                for change in changes[: chance.randint(0, len(changes))]:
                    _rename(names, change)
        where.mkdir(mode=0o700)
        for path, inode in names.items():
            name = os.path.relpath(path, self._folder)
            if not name.startswith(only):
                continue
            target = where / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(self._files[inode].after(chance))
            target.chmod(0o600)


def _rename(names: dict[str, int], change: dict[str, int | None]) -> None:
    for path, inode in change.items():
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode


def cuts(records: list[Record]) -> Iterator[int]:
    """How many records have happened when the power goes: just before each sync, when most is at stake, and after."""
    for number, record in enumerate(records):
        if record.kind == "S":
            yield number
            yield number + 1

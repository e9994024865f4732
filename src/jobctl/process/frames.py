"""Messages between an executor and its keeper as bytes: a length, then fields that a NUL divides. Meaning: keeper.py.

The first field is the verb, the others are NAME=VALUE; a name may stand several times. Whoever does not know a name or
a verb passes over it: that is how one side gets older than the other. Neither argv nor an environment can hold a NUL.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

VERSION = 1
MAX_FRAME = 16 * 1024 * 1024  # of bytes; what a command can be given at all ends at some 2 MiB

Message = list[bytes]


class FrameError(ValueError):
    """What came is no message: whoever sent it speaks another language."""


def pack(parts: Iterable[bytes]) -> bytes:
    body = b"\0".join(parts)
    return len(body).to_bytes(4, "big") + body


def fields(message: Message) -> dict[str, str]:
    """A message's fields by name; of several with one name the last."""
    found = {}
    for part in message[1:]:
        name, _, value = part.partition(b"=")
        found[name.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
    return found


def values(message: Message, name: str) -> list[bytes]:
    """All values that stand under one name, in order."""
    start = name.encode() + b"="
    return [part[len(start) :] for part in message if part.startswith(start)]


def message(verb: str, **named: object) -> Message:
    """A message of texts and numbers. What is None is left out."""
    parts = [verb.encode()]
    for name, value in named.items():
        if value is not None:
            parts.append(f"{name}={value}".encode("utf-8", "surrogateescape"))
    return parts


def joined(parts: Iterable[str]) -> bytes:
    """Fields of a command - what no program can be given is refused - as one piece, which `pack` takes as it is.

    UnicodeEncodeError, and ValueError for a NUL.
    """
    parts = list(parts)
    text = "\0".join(parts)
    if text.count("\0") >= max(1, len(parts)):
        raise ValueError("embedded null byte")
    return os.fsencode(text)


class Frames:
    """Bytes in as they come, messages out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """FrameError for what cannot be a message."""
        data = self._rest + data
        found = []
        at = 0
        while len(data) - at >= 4:
            size = int.from_bytes(data[at : at + 4], "big")
            if size > MAX_FRAME:
                raise FrameError(f"a message of {size} bytes")
            if len(data) - at - 4 < size:
                break
            found.append(data[at + 4 : at + 4 + size].split(b"\0"))
            at += 4 + size
        self._rest = data[at:]
        return found

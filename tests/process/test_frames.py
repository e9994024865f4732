"""Messages as bytes: whole, in pieces, and none."""

from __future__ import annotations

import pytest

from jobctl.process.frames import MAX_FRAME, FrameError, Frames, fields, message, pack, values

MESSAGES = [[b"ping"], [b"start", b"id=x/main.1", b"e=A=b=c", b"e=B=", b"a="], [b"", b"\xff=\xfe"], [b"x" * 300_000]]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 4096, 1 << 20])
def test_messages_come_out_as_they_went_in_however_they_are_cut(size: int) -> None:
    data = b"".join(pack(one) for one in MESSAGES)
    if size < 7:
        data = data[:2000]
    frames, found = Frames(), []
    for at in range(0, len(data), size):
        found += frames.feed(data[at : at + size])
    assert found == (MESSAGES if size >= 7 else MESSAGES[:3])


def test_what_cannot_be_a_message_is_an_error() -> None:
    with pytest.raises(FrameError):
        Frames().feed((MAX_FRAME + 1).to_bytes(4, "big"))


def test_fields_have_names_and_may_stand_several_times() -> None:
    one = [b"start", b"id=x", b"e=A=1", b"e=B=2=3", b"id=y", b"nothing"]
    assert fields(one) == {"id": "y", "e": "B=2=3", "nothing": ""}
    assert values(one, "e") == [b"A=1", b"B=2=3"]


def test_what_is_none_is_left_out_and_odd_text_comes_back() -> None:
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert message("x", a=1, b=None, c=odd) == [b"x", b"a=1", b"c=caf\xe9"]
    assert fields(message("x", c=odd)) == {"c": odd}

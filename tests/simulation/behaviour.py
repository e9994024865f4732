"""What a fake command does: how long it takes and how it ends, drawn for each attempt from the seed and its name.

Drawn by name, not in order: what is left out of a world changes nothing of what is still in it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .world import World

NON_RETRYABLE_CODE = 65
NON_RETRYABLE_TYPE = "Hopeless"


class Behaviour(NamedTuple):
    duration: int = 100
    exit_code: int = 0
    by_signal: bool = False
    silent: bool = False  # the keeper dies with it
    stubborn: bool = False  # ignores SIGTERM
    dies_after: int = 0  # of a SIGTERM
    heartbeats: int = 0
    output: str = ""
    failure: str = ""
    log: str = ""
    leaves_child: int = 0  # one that lives on for so long
    condition: int = 0  # what only_if exits with
    condition_ms: int = 10

    def __str__(self) -> str:
        words = [f"{name}={value!r}"[:60] for name, value in self._asdict().items() if value != _USUAL[name]]
        return " ".join(words) or "usual"


_USUAL = Behaviour._field_defaults


def behave(world: World, run: str, key: str, number: int, probe: int) -> Behaviour:
    """What the command of an attempt does; `probe`: how often this attempt, a poll's, was asked before."""
    draw = random.Random(f"{world.chance}/{world.ordinal.get(run, run)}/{key}/{number}/{probe}")
    duration = max(1, int(world.scale * 10 ** draw.uniform(-2, 0.5)))
    if world.settling:
        return Behaviour(duration=min(duration, 60_000))
    bad = draw.random() < world.temper
    does = Behaviour(
        duration=duration,
        stubborn=draw.random() < 0.1,
        dies_after=draw.choice((0, 0, 30, 800, 20_000)),
        heartbeats=draw.choice((0, 0, 0, 1, 3, 8)),
        output=draw.choice(("", "", "k=1\n", "k<<E\na\nb\nE\n")),
        log="x" * 300_000 if draw.random() < 0.02 else "",
        leaves_child=duration * 3 if draw.random() < 0.05 else 0,
        condition=draw.choice((0, 0, 0, 0, 1)),
        condition_ms=draw.choice((1, 50, 2_000)),
    )
    if draw.random() < 0.3 and probe < 20:  # of a poll: not yet
        not_yet = does._replace(exit_code=1)
        if not bad:
            return not_yet if key.startswith("p") else does
    if not bad:
        return does
    how = draw.choice(("code", "code", "code", "hopeless", "type", "final", "delay", "garbage", "signal", "silent",
                       "hang", "flaky condition"))  # fmt: skip
    match how:
        case "code":
            return does._replace(exit_code=draw.choice((1, 2, 3, 126, 127, 255)))
        case "hopeless":
            return does._replace(exit_code=NON_RETRYABLE_CODE)
        case "type":
            return does._replace(exit_code=2, failure=f"type={NON_RETRYABLE_TYPE}\nmessage=no way\n")
        case "final":
            return does._replace(exit_code=2, failure="non_retryable=true\n")
        case "delay":
            return does._replace(exit_code=2, failure="next_retry_delay=7s\n")
        case "garbage":
            return does._replace(output="garbage\n", failure="nothing\n", exit_code=draw.choice((0, 2)))
        case "signal":
            return does._replace(exit_code=137, by_signal=True)
        case "silent":
            return does._replace(silent=True)
        case "hang":
            return does._replace(duration=duration * 50)
        case _:
            return does._replace(condition=3)


Wait = tuple[str, str, int | None]  # sleep or signal; the signal's name; how long, or at most


def waits_of(world: World, run: str, key: str) -> list[Wait]:
    """What a durable script waits for, in order: the same in each of its attempts."""
    draw = random.Random(f"{world.chance}/{world.ordinal.get(run, run)}/{key}/waits")
    found: list[Wait] = []
    for _ in range(draw.choice((0, 1, 1, 2, 2, 3, 5))):
        span = max(1, int(world.scale * 10 ** draw.uniform(-2, 1)))
        name = draw.choice(("go", "stop"))
        if draw.random() < 0.6:
            found.append(("sleep", "", span))
        else:
            found.append(("signal", name, span if draw.random() < 0.6 else None))
    return found

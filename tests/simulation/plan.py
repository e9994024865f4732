"""A seed -> what a world will be like: its jobs, who comes when and does what, and which faults strike.

Everything optional is an item with a number; a plan can be made without some of them (`dropped`), and nothing else
changes: each value is drawn before it is asked whether the item stays. That is what the shrinker works with.

A seed is a text, after the version of what is drawn here: `2:abc`; without one, the newest. What is new is drawn only
from a version on, so that a seed keeps its meaning.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from typing import Any, NamedTuple

from .behaviour import NON_RETRYABLE_CODE, NON_RETRYABLE_TYPE
from .world import DAY, HOUR, MINUTE, SECOND

Table = dict[str, Any]

# 2: items, durable scripts; 3: child runs; 4: notifications; 5: times without a daemon, many fire times; 6: faults of
# keepers; 7: a time to begin in, what waits for a time is woken; 8: commands
# that are stopped with their daemon; 9: requests
VERSION = 9


class Deed(NamedTuple):
    """Something that happens to the world at a moment. `meanwhile`: within somebody's turn, at the `skip`-th seam of
    that kind after the moment, not between two turns."""

    item: int
    at: int  # milliseconds after the beginning
    what: str  # a method of simulation.py's
    chance: float  # which run, job, victim: of so many there are then
    amount: int
    meanwhile: str = ""
    skip: int = 0


class Plan(NamedTuple):
    version: int
    chance: str  # what all that is no plan is drawn from
    horizon: int
    scale: int
    temper: float
    daemons: int
    maximum: int  # runs at once, of a daemon
    definitions: Table
    deeds: list[Deed]
    items: list[str]  # what each number is


class Drawing:
    """Draws from the seed, and numbers what may be left out."""

    def __init__(self, chance: str, version: int, dropped: Collection[int]) -> None:
        self.random = random.Random(chance)
        self.version = version
        self.items: list[str] = []
        self.children: list[str] = []  # jobs that the present one may start
        self._dropped = dropped

    def stays(self, label: str) -> bool:
        self.items.append(label)
        return len(self.items) - 1 not in self._dropped

    def maybe(self, table: Table, key: str, probability: float, value: Any, about: str) -> None:
        """Set a key with some probability. `value` is drawn by the caller in any case."""
        if self.random.random() < probability and self.stays(f"{about}: {key} = {value}"):
            table[key] = value

    def span(self, least: float, most: float) -> int:
        """Between the two, each order of magnitude as likely as the next."""
        return max(1, int(math.exp(self.random.uniform(math.log(least), math.log(most)))))


def ms(duration: float) -> str:
    return f"{max(1, int(duration))}ms"


def versioned(seed: str) -> tuple[int, str]:
    """`1:abc` -> (1, "abc")"""
    version, colon, chance = seed.partition(":")
    return (int(version), chance) if colon else (VERSION, seed)


def make(seed: str, dropped: Collection[int] = ()) -> Plan:
    version, chance = versioned(seed)
    draw = Drawing(chance, version, dropped)
    rng = draw.random
    kind = rng.choice(("minutes", "days", "days", "weeks", "weeks"))
    if kind == "minutes":
        horizon, scale = draw.span(5 * MINUTE, 2 * HOUR), draw.span(SECOND, MINUTE)
    elif kind == "days":
        horizon, scale = draw.span(12 * HOUR, 5 * DAY), draw.span(10 * SECOND, 30 * MINUTE)
    else:
        horizon, scale = draw.span(7 * DAY, 60 * DAY), draw.span(MINUTE, 6 * HOUR)
    daemons = rng.choice((0, 1, 1, 1, 2, 2, 3))
    maximum = rng.choice((1, 2, 5, 50, 50))
    temper = rng.choice((0.02, 0.1, 0.3, 0.6))
    document = definitions(draw, horizon, scale)
    deeds = sorted(_deeds(draw, horizon), key=lambda deed: deed.at)
    return Plan(version, chance, horizon, scale, temper, daemons, maximum, document, deeds, draw.items)


# -- jobs --------------------------------------------------------------------------------------------------------------


def definitions(draw: Drawing, horizon: int, scale: int) -> Table:
    """A definitions file as a table."""
    rng = draw.random
    jobs: dict[str, Table] = {}
    count = rng.randint(1, 4)
    for i in range(count):
        draw.children = [f"j{k}" for k in range(i + 1, count)][:2]
        job = _job(draw, f"j{i}", horizon, scale)
        if draw.stays(f"job j{i}"):
            jobs[f"j{i}"] = job
    for job in jobs.values():
        for step in job["steps"]:
            if "job" in step and step["job"] not in jobs:
                _no_child(step)
    jobs.setdefault("idle", {"command": "true"})
    _no_queue_twice(jobs)
    _no_child_for_ever(jobs)
    queues = {name: {"concurrency": rng.randint(1, 3), "priority": rng.randint(0, 2)} for name in ("q0", "q1")}
    return {"defaults": {"timezone": rng.choice(ZONES)}, "queues": queues, "jobs": jobs}


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")


def _job(draw: Drawing, name: str, horizon: int, scale: int) -> Table:
    rng = draw.random
    job: Table = {}
    schedules = [_schedule(draw, horizon) for _ in range(rng.choice((0, 1, 1, 1, 2)))]
    schedules = [one for i, one in enumerate(schedules) if one not in schedules[:i]]
    schedules = [schedule for schedule in schedules if draw.stays(f"{name}: schedule {schedule}")]
    if schedules:
        job["schedule"] = schedules
    policies = ("skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all")
    draw.maybe(job, "overlap", 0.8, rng.choice(policies), name)
    draw.maybe(job, "catchup_window", 0.3, ms(draw.span(SECOND, horizon)), name)
    if draw.version >= 7:
        draw.maybe(job, "start_within", 0.3, ms(draw.span(SECOND, horizon / 4)), name)
    if draw.version >= 8:
        draw.maybe(job, "after_stop", 0.3, rng.choice(("retry", "pause")), name)
    draw.maybe(job, "pause_on_failure", 0.1, True, name)
    draw.maybe(job, "timeout", 0.25, ms(scale * rng.uniform(0.5, 20)), name)
    draw.maybe(job, "queue", 0.25, rng.choice(("q0", "q1")), name)
    draw.maybe(job, "priority", 0.2, rng.randint(-2, 2), name)
    draw.maybe(job, "max_parallel_steps", 0.3, rng.randint(1, 3), name)
    draw.maybe(job, "kill_grace", 0.5, rng.choice(("1ms", "500ms", "5s", "1m")), name)
    draw.maybe(job, "log_limit", 0.3, "64KiB", name)
    draw.maybe(job, "retry", 0.3, _retry(draw, scale), name)
    draw.maybe(job, "keep", 0.1, {"runs": rng.randint(1, 5)}, name)
    if draw.version >= 4:
        draw.maybe(job, "notify", 0.5, [_notify(draw) for _ in range(rng.choice((1, 1, 2)))], name)
    steps: list[Table] = []
    count = rng.choice((1, 2, 3, 3, 4, 5, 7))
    for i in range(count):
        step = _step(draw, f"{name}.{i}", i, scale)
        above = [i - 1] if i and rng.random() < 0.4 else sorted(rng.sample(range(i), rng.randint(0, min(i, 3))))
        if draw.stays(f"{name}: step {step['name']}") or (i == count - 1 and not steps):
            # What runs while nothing has failed cannot need what runs only after a failure.
            failure = set() if "when" in step else {"failure"}
            names = {s["place"]: s["name"] for s in steps if s.get("when") not in failure}
            steps.append({**step, "place": i, "needs": [names[j] for j in above if j in names]})
    for step in steps:
        del step["place"]
    job["steps"] = steps
    return job


def _notify(draw: Drawing) -> Table:
    rng = draw.random
    ends = ("succeeded", "failed", "timed_out", "canceled", "terminated", "missed")
    ends += ("stopped",) if draw.version >= 8 else ()
    return {"on": rng.sample(ends, rng.randint(1, len(ends))), "command": "tell"}


def _schedule(draw: Drawing, horizon: int) -> Table:
    rng = draw.random
    often = rng.uniform(16, 60) if draw.version >= 5 and rng.random() < 0.12 else rng.uniform(2, 16)
    every = max(2 * SECOND, int(horizon / often) // 1000 * 1000)
    schedule: Table = {"every": ms(every)}
    if horizon > 6 * DAY and rng.random() < 0.5:
        hours = rng.choice(("0", "1", "2", "3", "1-2"))
        days = rng.choice(("*", "mon", "1,15", "*/3")) if horizon < 20 * DAY else rng.choice(("1,15", "*/7"))
        day, week = ("*", days) if days == "mon" else (days, "*")
        schedule = {"cron": f"{rng.choice((0, 15, 30, 59))} {hours} {day} * {week}"}
    if rng.random() < 0.15:
        schedule["jitter"] = ms(max(1_000, every / 3))
    return schedule


def _retry(draw: Drawing, scale: int) -> Table:
    rng = draw.random
    retry: Table = {"maximum_attempts": rng.choice((0, 2, 2, 3, 5)), "initial_interval": ms(scale * rng.uniform(0, 1))}
    retry["maximum_interval"] = ms(scale * rng.uniform(1, 6))
    if rng.random() < 0.4:
        retry["backoff_coefficient"] = rng.choice((1.0, 1.5, 3.0))
    if rng.random() < 0.3:
        retry["non_retryable_exit_codes"] = [NON_RETRYABLE_CODE]
    if rng.random() < 0.3:
        retry["non_retryable_types"] = [NON_RETRYABLE_TYPE]
    return retry


def _timeouts(draw: Drawing, scale: int) -> Table:
    rng = draw.random
    kinds = ("start_to_close", "schedule_to_close", "heartbeat")
    values = {kind: ms(scale * rng.uniform(0.2, 6)) for kind in kinds}
    chosen = rng.sample(kinds, rng.choice((1, 1, 2, 3)))
    return {kind: values[kind] for kind in kinds if kind in chosen}


def _command(draw: Drawing, scale: int, about: str) -> Table:
    rng = draw.random
    step: Table = {"command": "work"}
    draw.maybe(step, "timeout", 0.35, _timeouts(draw, scale), about)
    draw.maybe(step, "retry", 0.6, _retry(draw, scale), about)
    undo: Table = {"command": "undo"}
    if rng.random() < 0.5:
        undo["retry"] = _retry(draw, scale)
    if rng.random() < 0.3:
        undo["timeout"] = {"start_to_close": ms(scale * rng.uniform(0.2, 6))}
    draw.maybe(step, "compensate", 0.45, undo, about)
    draw.maybe(step, "queue", 0.2, rng.choice(("q0", "q1")), about)
    return step


def _request(draw: Drawing, scale: int, about: str) -> Table:
    """What asks a server is a command to everybody but the keeper, who hands it what it is to ask."""
    step = _command(draw, scale, about)
    del step["command"]
    step.get("timeout", {}).pop("heartbeat", None)
    if not step.get("timeout", True):
        del step["timeout"]
    return {"http": {"url": "http://localhost/{{ run.id }}", "method": "POST"}, **step}


def _poll(draw: Drawing, scale: int, about: str) -> Table:
    rng = draw.random
    poll: Table = {"interval": ms(scale * rng.uniform(0.01, 1))}
    if rng.random() < 0.5:
        poll["deadline"] = ms(scale * rng.uniform(1, 20))
    return {**_command(draw, scale, about), "poll": poll}


def _sleep(draw: Drawing, scale: int, about: str) -> Table:  # noqa: ARG001 - as the others
    return {"sleep": ms(scale * draw.random.choice((0.01, 1, 1, 30)))}


def _signal(draw: Drawing, scale: int, about: str) -> Table:
    step: Table = {"signal": draw.random.choice(SIGNALS)}
    return _wait(draw, step, scale, about)


def _approval(draw: Drawing, scale: int, about: str) -> Table:
    return _wait(draw, {"approval": "go on?"}, scale, about)


def _child(draw: Drawing, scale: int, about: str) -> Table:
    """A child run: of a job further down, so that there are up to three levels and no circles."""
    rng = draw.random
    step: Table = {"job": rng.choice(draw.children)}
    draw.maybe(step, "on_parent_close", 0.6, rng.choice(("terminate", "cancel", "abandon")), about)
    draw.maybe(step, "timeout", 0.3, ms(scale * rng.uniform(0.5, 30)), about)
    retry = _retry(draw, scale)
    # Without a limit, a child that fails for want of a signal would be followed by others to the end of time.
    draw.maybe(step, "retry", 0.4, {**retry, "maximum_attempts": retry["maximum_attempts"] or 2}, about)
    draw.maybe(step, "compensate", 0.4, {"command": "undo"}, about)
    return step


def _no_queue_twice(jobs: dict[str, Table]) -> None:
    """A child never waits for a place that a run above it has: such a file is refused. Children stand further down."""
    above: dict[str, set[str]] = {name: set() for name in jobs}
    for name, job in jobs.items():
        if job.get("queue") in above[name]:
            del job["queue"]
        for step in job.get("steps", ()):
            if "job" in step:
                above[step["job"]] |= above[name] | ({job["queue"]} if "queue" in job else set())


def _no_child_for_ever(jobs: dict[str, Table]) -> None:
    """A child step without a retry of its own has its job's: with a limit, for the reason that `_child` gives."""
    for job in jobs.values():
        if job.get("retry", {}).get("maximum_attempts") == 0:
            for step in job["steps"]:
                if "job" in step:
                    step.setdefault("retry", {**job["retry"], "maximum_attempts": 2})


def _no_child(step: Table) -> None:
    """There is no such job: a command in its place."""
    for key in ("job", "on_parent_close", "timeout"):
        step.pop(key, None)
    step["command"] = "work"


def _wait(draw: Drawing, step: Table, scale: int, about: str) -> Table:
    draw.maybe(step, "timeout", 0.5, ms(scale * draw.random.uniform(0.5, 30)), about)
    draw.maybe(step, "on_timeout", 0.3, "continue", about)
    if "timeout" not in step:
        step.pop("on_timeout", None)
    return step


SIGNALS = ("go", "stop")

# What a step may be: the letter that its name begins with, how likely it is, how it is made, and since which version. A
# new kind of step is a line here. What a durable script does is behaviour.py's.
KINDS = (
    ("c", 12, _command, 1),
    ("p", 2, _poll, 1),
    ("s", 2, _sleep, 1),
    ("w", 2, _signal, 1),
    ("a", 1, _approval, 1),
    ("d", 4, _command, 2),
    ("r", 12, _child, 3),
    ("h", 4, _request, 9),
)
MAY_HAVE_ITEMS = "cpadrh"


def _step(draw: Drawing, about: str, i: int, scale: int) -> Table:
    rng = draw.random
    kinds = [kind for kind in KINDS if kind[3] <= draw.version and (kind[2] is not _child or draw.children)]
    letter, _, build, _ = rng.choices(kinds, [kind[1] for kind in kinds])[0]
    step: Table = {"name": f"{letter}{i}", **build(draw, scale, about)}
    draw.maybe(step, "when", 0.25, rng.choice(("failure", "always")), about)
    draw.maybe(step, "only_if", 0.15, "ask", about)
    draw.maybe(step, "allow_failure", 0.12, True, about)
    if draw.version >= 2 and letter in MAY_HAVE_ITEMS:
        count = rng.choice((0, 1, 2, 2, 3, 3, 4, 5, 8))
        draw.maybe(step, "foreach", 0.3, [f"item {n}" for n in range(count)], about)
        draw.maybe(step, "max_parallel", 0.4, rng.randint(1, 3), about)
        draw.maybe(step, "fail_fast", 0.3, True, about)
        if "foreach" not in step:
            step.pop("max_parallel", None)
            step.pop("fail_fast", None)
    return step


# -- what happens ------------------------------------------------------------------------------------------------------

# What happens, how likely, and at which kind of seam it may also happen within somebody's turn.
DEEDS = (
    ("run", 10, ""),  # `jobctl run`
    ("detach", 6, "begin"),
    ("cancel", 4, "begin"),
    ("terminate", 3, "begin"),
    ("pause", 3, "begin"),
    ("resume", 8, "begin"),  # whatever it is that can be resumed
    ("resume_from", 2, "begin"),
    ("signal", 8, "begin"),
    ("answer", 5, "begin"),
    ("interrupt", 1, ""),  # Ctrl-C in a foreground run
    ("pause_schedule", 1, "begin"),
    ("resume_schedule", 2, "begin"),
    ("trigger", 3, ""),
    ("backfill", 1, ""),
    ("edit", 1, ""),
    ("start_daemon", 5, ""),
    ("stop_daemon", 2, ""),
    ("crash", 14, "any"),
    ("turn", 4, "begin"),  # another executor's turn within this one's
    ("reboot", 1, ""),
    ("kill_command", 2, ""),
    ("step_clock", 3, ""),
    ("outage", 2, "begin"),
)
_SINCE_5 = (("absence", 4, ""),)
_SINCE_6 = (("kill_keeper", 8, "keeping"), ("stop_keeper", 3, ""))
_SINCE_7 = (("wake", 6, "begin"),)


def _deeds(draw: Drawing, horizon: int) -> list[Deed]:
    rng = draw.random
    deeds = []
    burst = rng.randrange(horizon)
    possible = DEEDS
    for since, more in ((5, _SINCE_5), (6, _SINCE_6), (7, _SINCE_7)):
        possible += more if draw.version >= since else ()
    quiet = rng.random() < 0.15  # a world without faults, in which time can be judged
    for _ in range(rng.choice((5, 10, 20, 40, 60))):
        what, _, seam = rng.choices(possible, [weight for _, weight, _ in possible])[0]
        at = rng.randrange(horizon) if rng.random() < 0.6 else burst + rng.randrange(5 * MINUTE)
        chance, amount, skip = rng.random(), rng.randrange(1 << 30), rng.choice((0, 0, 1, 2, 3, 5, 9))
        meanwhile = seam if seam and (what in ("crash", "turn", "kill_keeper") or rng.random() < 0.3) else ""
        if quiet and what in FAULTS:
            continue
        if draw.stays(f"{what} at {at}{' ' + meanwhile + '+' + str(skip) if meanwhile else ''}"):
            deeds.append(Deed(len(draw.items) - 1, at, what, chance, amount, meanwhile, skip))
    return deeds


FAULTS = {
    "kill_keeper",
    "stop_keeper",
    "crash",
    "reboot",
    "kill_command",
    "step_clock",
    "outage",
    "stop_daemon",
    "absence",
}

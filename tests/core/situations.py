"""Jobs and histories in a few words, for the tables of the core's tests. No expectation of any test stands here.

A job is a line for each step, `name < needs [traits]`; a history is words such as `take`, `a ok`, `cancel`, `a undone`,
`a waits`, `send go 1`, `a fires`, `a rejected`. `a ends` records what was decided of a's wait, as an engine does.
`a listed 3` makes items of a step, which are told of as `a[0] ok`; `a listed` goes on with the list it has.
"""

from __future__ import annotations

import json
from typing import Any

from jobctl.core.keys import step_name
from jobctl.core.model import Compensation, ForEach, Job, OnTimeout, Step, StepKind, When
from jobctl.core.run.decide import Action, Compensate, Decider, EndStep, EndWait, FinishRun, Mode, StartStep, StopStep
from jobctl.core.run.history import Event, EventType, RunState, StepState
from jobctl.core.run.resume import kept, restore, to_redo

_TRAITS: dict[str, dict[str, Any]] = {
    "undo": {"compensate": Compensation("undo")},
    "allow": {"allow_failure": True},
    "failure": {"when": When.FAILURE},
    "always": {"when": When.ALWAYS},
    "sleep": {"command": None, "sleep": 1_000},
    "signal": {"command": None, "signal": "go"},
    "stop": {"command": None, "signal": "stop"},
    "continue": {"on_timeout": OnTimeout.CONTINUE},
    "approval": {"command": None, "approval": "go on?"},
    "job": {"command": None, "job": "other"},
    "each": {"foreach": ForEach("{{ params.list }}")},
    "two": {"foreach": ForEach("{{ params.list }}", max_parallel=2)},
    "fast": {"foreach": ForEach("{{ params.list }}", fail_fast=True)},
    "abc": {"foreach": ForEach(("a", "b", "c"))},
}


def job(*lines: str, limit: int = 16) -> Job:
    """`job("a", "b < a", "c < a b [undo always]")`: steps that are commands unless a trait says otherwise."""
    steps = []
    for line in lines:
        line, _, traits = line.rstrip("]").partition("[")
        name, _, needs = line.partition("<")
        keys: dict[str, Any] = {"command": "true"}
        for trait in traits.split():
            keys |= _TRAITS[trait]
        steps.append(Step(name=name.strip(), needs=tuple(needs.split()), **keys))
    return Job(name="job", folder="/", steps=tuple(steps), max_parallel_steps=limit)


# What can be said of a step. `number` is the attempt's unless it stands here.
_STEP_WORDS: dict[str, tuple[EventType, dict[str, Any]]] = {
    "starts": (EventType.ATTEMPT_STARTED, {}),
    "ok": (EventType.ATTEMPT_ENDED, {}),
    "fails": (EventType.ATTEMPT_ENDED, {"status": "failed", "error": "boom"}),
    "retries": (EventType.ATTEMPT_ENDED, {"status": "failed", "retry_at": 9_999}),
    "timed_out": (EventType.ATTEMPT_ENDED, {"status": "timed_out", "timeout": "start_to_close"}),
    "canceled": (EventType.ATTEMPT_ENDED, {"status": "canceled"}),
    "skipped": (EventType.ATTEMPT_ENDED, {"status": "skipped"}),
    "continues": (EventType.ATTEMPT_ENDED, {"status": "timed_out", "step_status": "succeeded"}),
    "naps": (EventType.ATTEMPT_ENDED, {"status": "suspended", "wait": {"kind": "sleep", "call": 0, "until": 9_999}}),
    "listens": (EventType.ATTEMPT_ENDED, {"status": "suspended", "wait": {"kind": "signal", "call": 0, "name": "go"}}),
    "nears-its-limit": (
        EventType.ATTEMPT_ENDED,
        {"status": "suspended", "wait": {"kind": "sleep", "call": 0, "until": 9_999, "limit": "schedule_to_close"}},
    ),
    "dropped": (EventType.STEP_ENDED, {"status": "canceled"}),
    "refused": (EventType.STEP_ENDED, {"status": "failed", "error": "no such thing"}),
    "came": (EventType.STEP_ENDED, {"status": "succeeded"}),
    "may": (EventType.ATTEMPT_ENDED, {"step_status": "pending"}),  # its condition lets it wait
    "fires": (EventType.TIMER_FIRED, {}),
    "approved": (EventType.APPROVAL_ANSWERED, {"approved": True, "by": "anna"}),
    "rejected": (EventType.APPROVAL_ANSWERED, {"approved": False, "by": "anna", "comment": "no"}),
    "undoing": (EventType.UNDO_STARTED, {}),
    "undone": (EventType.UNDO_ENDED, {}),
    "undo-retries": (EventType.UNDO_ENDED, {"status": "failed", "retry_at": 9_999}),
    "undo-fails": (EventType.UNDO_ENDED, {"status": "failed", "error": "boom"}),
    "undo-killed": (EventType.UNDO_ENDED, {"status": "canceled"}),
    "undo-dropped": (EventType.UNDO_ENDED, {"status": "canceled"}),
}
_OUTSIDE = {"undo-dropped", "fires", "approved", "rejected"}

_RUN_WORDS = {
    "take": EventType.RUN_TAKEN,
    "pause": EventType.RUN_PAUSED,
    "unpause": EventType.RUN_UNPAUSED,
    "cancel": EventType.CANCEL_REQUESTED,
    "terminate": EventType.TERMINATE_REQUESTED,
    "deadline": EventType.RUN_TIMED_OUT,
}


class World:
    """A run that is told what happens: its events, the state they add up to, and what was decided.

    Each event is also given to a state and a Decider that were just restored from their snapshots, and the whole
    history is replayed: all three must agree, at every moment of every situation that is told here.
    """

    def __init__(self, what: Job, reused: dict[str, dict[str, Any]] | None = None) -> None:
        self.job = what
        self.state = RunState()
        self.decider = Decider(what)
        self.events: list[Event] = []
        self.finished: FinishRun | None = None
        self.feed(Event(EventType.RUN_CREATED, 0, data={"like": "job-old", "reused": reused} if reused else {}))

    def tell(self, words: str) -> list[str]:
        """What is decided when this happens, in words. An attempt that ends is started first, where it was not."""
        if words.startswith("reopen"):
            return self._reopen(words.removeprefix("reopen").removeprefix(" from ").strip() or None)
        if words == "end":
            assert self.finished is not None
            data = {"status": str(self.finished.status), "reason": self.finished.reason}
            return self._say(self.feed(Event(EventType.RUN_ENDED, self.now(), data=data)))
        if words == "fail":  # by somebody who could not wait for what was decided
            return self._say(self.feed(Event(EventType.RUN_ENDED, self.now(), data={"status": "failed"})))
        if words in _RUN_WORDS:
            return self._say(self.feed(Event(_RUN_WORDS[words], self.now())))
        if words.startswith("send "):
            _, name, value = words.split()
            data = {"name": name, "payload": json.loads(value)}
            return self._say(self.feed(Event(EventType.SIGNAL_RECEIVED, self.now(), data=data)))
        name, word, *count = words.split()
        if word == "listed":
            data = {"count": int(count[0]), "items": list("abcdefgh"[: int(count[0])])} if count else None
            data = data or {"count": len(self.state.steps[name].items or ())}
            return self._say(self.feed(Event(EventType.ITEMS_LISTED, self.now(), name, data=data)))
        if word == "woken":
            return self._say(self.feed(Event(EventType.WAKE_REQUESTED, self.now(), data={"steps": [name]})))
        if word == "waits":
            return self._say(self.feed(Event(EventType.WAIT_STARTED, self.now(), name, data=self._wait(name))))
        if word == "wakes":
            (wait,) = [end for end in self.decider.ends() if end.step == name]
            assert isinstance(wait, EndWait)
            data = {"name": wait.signal, "payload": wait.payload}
            return self._say(self.feed(Event(EventType.WAIT_ENDED, self.now(), name, data=data)))
        if word == "ends":
            return self._say(self.feed(self._end_of_wait(name)))
        kind, data = _STEP_WORDS[word]
        number = 0
        if kind is not EventType.STEP_ENDED and word not in _OUTSIDE:
            undo = kind in (EventType.UNDO_STARTED, EventType.UNDO_ENDED)
            number = self._number(name, undo, kind in (EventType.ATTEMPT_STARTED, EventType.UNDO_STARTED))
        return self._say(self.feed(Event(kind, self.now(), name, number, data)))

    def now(self) -> int:
        return 10 * len(self.events)

    def feed(self, event: Event) -> list[Action]:
        twin = Decider.restore(self.job, json.loads(json.dumps(self.decider.snapshot())))
        state = RunState.restore(json.loads(json.dumps(self.state.snapshot())))
        self.state.apply(event)
        state.apply(event)
        assert _typed(picture(state)) == _typed(picture(self.state))
        self.events.append(event)
        actions = self.decider.feed(event)
        assert twin.feed(event) == actions
        assert twin.snapshot() == self.decider.snapshot()
        self.check_replay()
        return self._note(actions)

    def check_replay(self) -> None:
        state, decider = restore(self.job, self.events)
        assert picture(state) == picture(self.state)
        assert decider.snapshot() == self.decider.snapshot()

    def _wait(self, name: str) -> dict[str, Any]:
        step = self.job.step(step_name(name))
        if step.kind is StepKind.SLEEP:
            return {"kind": "sleep", "until": 9_999}
        if step.kind is StepKind.JOB:
            return {"kind": "child", "name": f"{step.job}-1", "job": step.job}
        return {"kind": str(step.kind), "name": step.signal or step.approval}

    def _end_of_wait(self, name: str) -> Event:
        (end,) = [end for end in self.decider.ends() if end.step == name]
        assert isinstance(end, EndStep)
        data = {"status": str(end.status), "outputs": end.outputs, "error": end.error}
        return Event(EventType.STEP_ENDED, self.now(), name, data=data)

    def _number(self, name: str, undo: bool, starts: bool) -> int:
        states = self.state.undo if undo else self.state.steps
        attempts = states[name].attempts if name in states else []
        if starts:
            return len(attempts) + 1
        if not attempts or attempts[-1].finished_at is not None:
            self.tell(f"{name} {'undoing' if undo else 'starts'}")
            return self._number(name, undo, starts)
        return attempts[-1].number

    def _reopen(self, from_step: str | None) -> list[str]:
        if self.state.finished_at is None:
            self.tell("end")
        redo = to_redo(self.job, self.state, from_step)
        self.finished = None
        event = Event(EventType.RUN_REOPENED, self.now(), data={"redo": redo})
        state = RunState.restore(json.loads(json.dumps(self.state.snapshot())))
        self.state.apply(event)
        state.apply(event)
        assert _typed(picture(state)) == _typed(picture(self.state))
        self.events.append(event)
        self.state, self.decider = restore(self.job, self.events)
        return [f"redo {name}" for name in redo]

    def _note(self, actions: list[Action]) -> list[Action]:
        for action in actions:
            if isinstance(action, FinishRun):
                assert self.finished is None, "a run finishes once"
                self.finished = action
        return actions

    def _say(self, actions: list[Action]) -> list[str]:
        return [say(action) for action in actions]


def say(action: Action) -> str:
    """An action in a few words: `start a`, `drain a`, `undo a`, `end a succeeded value=1`, `finish failed`."""
    if isinstance(action, StartStep):
        return f"start {action.step}"
    if isinstance(action, StopStep):
        return f"{action.how} {action.step}"
    if isinstance(action, Compensate):
        return f"undo {action.step}"
    if isinstance(action, EndWait):
        return f"wake {action.step} {action.signal}={action.payload}"
    if isinstance(action, EndStep):
        outputs = "".join(f" {key}={value}" for key, value in action.outputs.items())
        return f"end {action.step} {action.status}{outputs}"
    return f"finish {action.status}"


def picture(state: RunState) -> dict[str, Any]:
    """Everything a RunState holds, as plain values that can be compared."""
    plain: dict[str, Any] = dict(vars(state))
    for which in ("steps", "undo"):
        plain[which] = {name: _step_picture(step) for name, step in plain[which].items()}
    return plain


def _step_picture(step: StepState) -> dict[str, Any]:
    plain = {slot: getattr(step, slot) for slot in StepState.__slots__}
    plain["attempts"] = [{slot: getattr(a, slot) for slot in type(a).__slots__} for a in step.attempts]
    return plain


def _typed(value: Any) -> Any:
    """A picture in which a word of an enum is another one than the same word as text."""
    if isinstance(value, dict):
        return {key: _typed(one) for key, one in value.items()}
    return [_typed(one) for one in value] if isinstance(value, list) else (type(value), value)


def statuses(state: RunState) -> dict[str, str]:
    return {name: str(step.status) for name, step in state.steps.items()}


def story() -> list[str]:
    """Every action of a job whose names would be hashed differently in every process."""
    what = job(
        *(f"step{i}" for i in range(12)),
        *(f"undo{i} < step{i} step{11 - i} [undo]" for i in range(12)),
        *(f"end{i} < undo{i} [{'always' if i % 2 else 'failure'}]" for i in range(12)),
        limit=5,
    )
    world = World(what)
    told = world.tell("take")
    while world.decider.mode is not Mode.ENDED:
        name = world.decider.undoing
        if name is not None:
            words = f"{name} undone"
        else:
            name = world.decider.active()[0]
            words = f"{name} {'fails' if name == 'undo7' else 'ok'}"
        told += world.tell(words)
    told += world.tell("reopen from step3")
    told += kept(what, world.state)
    return told + world.tell("take")

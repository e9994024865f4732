"""This process as a worker for one run and what belongs to it: its child runs, what tells of its end. What people see
of it, and what a signal means, is the face's.
"""

from __future__ import annotations

from jobctl.core.run.history import Event, EventType
from jobctl.core.run.values import run_values
from jobctl.engines.local.executor import Executor
from jobctl.engines.local.live import LiveRun
from jobctl.engines.local.loop import LocalEngine
from jobctl.engines.values import Left
from jobctl.process.attempt import AttemptFiles
from jobctl.store.store import LOOP_PATIENCE_MS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from jobctl.core.errors import JobctlError
    from jobctl.core.model import Job, Queue, Step
    from jobctl.core.run.decide import Decider
    from jobctl.core.run.history import RunState, StepState
    from jobctl.engines.base import Observer
    from jobctl.engines.local.client import LocalClient
    from jobctl.engines.values import Reused, Run
    from jobctl.process.keepers import Link


class Seen:
    """`Watched`: a live run for those who only look."""

    __slots__ = ("_found", "_run")

    def __init__(self, run: LiveRun, found: dict[LiveRun, Seen]) -> None:
        self._run = run
        self._found = found  # one for each live run

    @property
    def name(self) -> str:
        return self._run.name

    @property
    def job(self) -> Job:
        return self._run.job

    @property
    def recorded(self) -> bool:
        return self._run.new is None

    @property
    def seq(self) -> int:
        return self._run.seq

    @property
    def state(self) -> RunState:
        return self._run.state

    @property
    def decider(self) -> Decider:
        return self._run.decider

    @property
    def trail(self) -> tuple[str, ...]:
        return self._run.trail

    @property
    def children(self) -> Mapping[str, Seen]:
        return {key: seen(child, self._found) for key, child in self._run.children.items()}

    @property
    def running(self) -> Mapping[str, int]:
        return {key: attempt.number for key, attempt in self._run.attempts.items()}

    def step(self, key: str) -> Step:
        return self._run.step(key)

    def step_state(self, key: str) -> StepState:
        return self._run.step_state(key)

    def log_file(self, key: str, number: int) -> str:
        return AttemptFiles(self._run.context.folder, key, number).log

    def mask(self, text: str) -> str:
        return self._run.context.mask(text)


def seen(run: LiveRun, found: dict[LiveRun, Seen]) -> Seen:
    """The one that stands for a live run."""
    if run not in found:
        found[run] = Seen(run, found)
    return found[run]


class LocalForeground:
    """`Foreground` of this machine."""

    def __init__(
        self,
        client: LocalClient,
        observer: Observer,
        queues: Mapping[str, Queue],
        keeper: Link | None,
        remark: Callable[[str], None],
    ) -> None:
        self._client = client
        self._store = client.store
        self._observer = observer
        self._executor = Executor(self._store.state_dir, "foreground")
        self._engine = LocalEngine(self._store, self._executor, host=client.host, observer=self, keeper=keeper)
        self._engine.queues = queues
        self._engine.remark = remark
        self._seen: dict[LiveRun, Seen] = {}
        self._run: LiveRun | None = None
        self._hurried = self._closed = False
        self.wake_fd = self._executor.wake_fd

    def begin(
        self,
        job: Job,
        params: Mapping[str, Any],
        env_file: dict[str, str],
        *,
        fire_time: int | None = None,
        like: Reused | None = None,
    ) -> Seen:
        from jobctl.core.definition import parameters
        from jobctl.core.model import encode
        from jobctl.core.run.newrun import described
        from jobctl.definitions.masking import redact

        name = self._store.unused_name(job.name)
        values = parameters.values(
            job, params, run_values(job, name, self._client.now() if fire_time is None else fire_time)
        )
        kept = encode(redact(job))
        new = described(job, kept, name, 0)._replace(fire_time=fire_time, start_by=None)  # it begins at once
        self._run = self._engine.submit(new, job, values, env_file=env_file, like=like)
        return seen(self._run, self._seen)

    def take(self, run: Run, job: Job, env_file: dict[str, str]) -> Seen | None:
        self._run = self._engine.take(run.ref.id, job, env_file=env_file)
        return seen(self._run, self._seen) if self._run is not None else None

    def recorded(self, run: LiveRun, events: list[Event]) -> None:
        """What the engine tells: of runs that were taken up for their places only the end is anybody's business."""
        if run.id not in self._engine.rescued or run is self._run:
            self._observer.recorded(seen(run, self._seen), events)
        if run is not self._run and run.state.finished_at is not None:
            self._seen.pop(run, None)

    def turn(self, timeout_ms: int | None = None) -> bool:
        if not self._hurried and self._run is not None and self._run.new is None:
            self._store.be_patient(LOOP_PATIENCE_MS)  # it is recorded: from here on there are timeouts to be kept
            self._hurried = True
        return self._engine.turn(timeout_ms)

    @property
    def busy(self) -> bool:
        return self._engine.busy

    @property
    def trouble(self) -> JobctlError | None:
        return self._engine.trouble

    def ask(self, *, terminate: bool, reason: str, by: str) -> None:
        assert self._run is not None
        kind = EventType.TERMINATE_REQUESTED if terminate else EventType.CANCEL_REQUESTED
        self._engine.request(self._run, kind, reason=reason, by=by)

    def left(self) -> Left | None:
        run, engine = self._run, self._engine
        if run is None or run.new is not None or run.state.finished_at is None or not engine.runs:
            return None
        alone = [
            child.name
            for child in engine.runs.values()
            if child.decider.outcome is None and child.state.about is None and child.id not in engine.rescued
        ]
        return Left(self._goes_on(), alone)

    def _goes_on(self) -> bool:
        """Whether what is left here goes on without this process: child runs that were left alone, and notifications
        that wait for their next attempt, when a daemon has them from here on. What was only taken up for its place is
        left as it was."""
        engine = self._engine
        if engine.runs.keys() <= engine.rescued:
            return True
        notices = [run for run in engine.runs.values() if run.state.about is not None]
        if not all(any(step.retry_at is not None for step in run.state.steps.values()) for run in notices):
            return False
        if not notices and all(run.decider.outcome is not None for run in engine.runs.values()):
            return False  # they are about to end
        return self._client.has_daemon()

    def untold(self) -> list[str]:
        return [run.name for run in self._engine.runs.values() if run.state.about is not None and run is not self._run]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._engine.close()
            self._store.be_patient()

"""`jobctl.Client`: start runs from Python, wait for them, answer them. A face like the command line: what it can do is
what an engine's client can do, and secrets are masked where it shows anything.

Nothing is carried out in this process: a daemon does that. docs/python.md describes it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from jobctl.core.errors import JobctlError, KeyConflictError, NotFoundError, UsageError
from jobctl.core.record import NamedTuple
from jobctl.engines import base, values
from jobctl.engines.connect import connect
from jobctl.host import clock
from jobctl.host.settings import resolve
from jobctl.python import arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from jobctl.core.model import Job
    from jobctl.views.documents import Documents

Error = JobctlError
KeyConflict = KeyConflictError
NotFound = NotFoundError

_LOOK_S = 0.1  # between two looks, of whoever waits
_LATE_EVERY_MS = 1_000


class Run(NamedTuple):
    """A run as it was found. Instants are milliseconds since the Unix epoch, UTC."""

    id: str
    job: str
    status: str  # queued | running | paused | succeeded | failed | timed_out | canceled | terminated
    created_at: int
    started_at: int | None
    finished_at: int | None
    reason: str | None
    interrupted: bool  # it should be going on, and no process has it
    new: bool = True  # of `start`: False where the job had a run for that key already

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.finished_at is not None

    @property
    def succeeded(self) -> bool:
        return self.status == "succeeded"


class Client:
    """One connection, for one thread. `with Client() as jobs: …` closes it.

    `state_dir`, `files`: as `--state-dir` and `--file`; without them what the environment and the settings say. `by`:
    who asks, for the histories. Every call raises `jobctl.Error`, with a `message` and a `hint`; `jobctl.NotFound` for
    a job or a run that there is not. So does one with an argument that cannot be.
    """

    def __init__(
        self,
        state_dir: str | os.PathLike[str] | None = None,
        *,
        files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
        by: str | None = None,
    ) -> None:
        flags = {
            "state_dir": None if state_dir is None else arguments.path("state_dir", state_dir),
            "file": arguments.paths(files),
        }
        self._by = (
            arguments.text_if_any("by", by)
            or os.environ.get("LOGNAME")
            or os.environ.get("USER")
            or f"uid {os.getuid()}"
        )
        self._settings = resolve(flags, os.environ, os.getcwd())
        self._thread, self._closed = threading.get_ident(), False
        self._connected = connect(self._settings, create=True)

    @property
    def _client(self) -> base.Client:
        """The engine's. Whoever asks it comes this way: it is open, and asked by the thread that it belongs to."""
        if self._closed:
            raise JobctlError("the client is closed", hint="make a new one: with jobctl.Client() as client")
        self._must_be_of_this_thread()
        return self._connected

    def _must_be_of_this_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise JobctlError("the client belongs to another thread", hint="make one client for each thread")

    def close(self) -> None:
        """Nothing can be asked after it. More than once is no error."""
        self._must_be_of_this_thread()
        if not self._closed:
            self._closed = True
            self._connected.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # -- to begin --------------------------------------------------------------------------------------------------

    def start(
        self,
        job: str,
        params: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        start_within: float | None = None,
    ) -> Run:
        """A new run of a job of the definitions files, left to a daemon, this one or the next.

        `key`: the job has one run for it. The same parameters answer with the run that there is (`new` is False),
        others raise `jobctl.KeyConflict`. `start_within`: seconds; it is canceled if nobody has begun it by then.
        """
        name, given = arguments.text("the job", job), arguments.params(params)
        key, limit = arguments.text_if_any("key", key), arguments.milliseconds("start_within", start_within)
        run, new = self._client.start(self._job(name), given, key=key, start_within=limit)
        return self._shown(run)._replace(new=new)

    def _job(self, name: str) -> Job:
        from jobctl.core.definition.suggest import did_you_mean
        from jobctl.definitions.files import read_files

        jobs = read_files(tuple(dict.fromkeys(self._settings.files))).jobs
        if name not in jobs:
            raise NotFoundError(f"there is no job {name!r}", hint=did_you_mean(name, jobs))
        return jobs[name]

    # -- to look ---------------------------------------------------------------------------------------------------

    def run(self, run: str | Run) -> Run:
        """A run as it is now: by its id, by the beginning of one, or by a job, whose last run is meant."""
        return self._shown(self._find(run))

    def runs(
        self, job: str | None = None, *, statuses: str | Sequence[str] = (), tag: str | None = None, limit: int = 20
    ) -> list[Run]:
        """Runs, newest first."""
        job, tag = arguments.text_if_any("the job", job), arguments.text_if_any("tag", tag)
        only, most = arguments.statuses(statuses), arguments.number("limit", limit)
        if job is not None and job not in self._client.jobs():
            self._job(job)  # one that has not run yet
        found = self._client.runs(job=job, statuses=only, tag=tag, limit=most).found
        return [self._shown(run) for run in found]

    def status(self, run: str | Run) -> dict[str, Any]:
        """All there is to say of a run: what `jobctl status RUN --json` prints."""
        return self._documents().run(self._find(run), clock.now())

    def outputs(self, run: str | Run) -> dict[str, Any]:
        """What its steps have handed on, by step."""
        return {step["name"]: step["outputs"] for step in self.status(run)["steps"]}

    def why(self, run: str | Run) -> list[str]:
        """Why it is where it is, what matters most first."""
        return [reason.text for reason in self._documents().reasons(self._find(run), clock.now())]

    def events(self, run: str | Run) -> list[dict[str, Any]]:
        """Its history: what `jobctl history RUN --json` prints."""
        from jobctl.views.documents import event_document

        events = self._documents().events(self._find(run))
        return [event_document(event, number) for number, event in enumerate(events, 1)]

    def log(self, run: str | Run, step: str = "main", attempt: int | None = None) -> str:
        """What an attempt of a step has written, the last one without `attempt`."""
        step = arguments.text("step", step)
        attempt = None if attempt is None else arguments.number("attempt", attempt)
        found = self._find(run)
        state = self._client.state(found)
        numbers = [one.number for key, one in state.attempts() if key == step]
        number = attempt if attempt is not None else max(numbers, default=0)
        if number not in numbers:
            raise NotFoundError(
                f"step {step} of run {found.name} has no such attempt", hint=f"jobctl logs {found.name}"
            )
        data = b"".join(self._client.log(found, step, number))
        masker = self._documents().masker(found)
        return (data if masker is None else masker.data(data)).decode("utf-8", "backslashreplace")

    def wait(self, run: str | Run, timeout: float | None = None) -> Run:
        """Until a run ends, whatever its end. TimeoutError when so many seconds have passed before. Without a daemon
        nothing carries it out: without a timeout this does not return then."""
        limit = arguments.seconds("timeout", timeout)
        until = None if limit is None else time.monotonic() + limit
        for now in self._watch(self._find(run)):
            if now.over:
                return self._shown(now)
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"run {now.name} is not over after {timeout} seconds: it is {now.status}")
        raise AssertionError("a watch has no end")

    def _watch(self, run: values.Run) -> Iterator[values.Run]:
        changes, late_at = -1, 0
        while True:
            if (mono := clock.monotonic()) >= late_at:
                late_at = mono + _LATE_EVERY_MS
                try:
                    self._client.end_late()
                except JobctlError:
                    pass  # it is looked at all the same
            if (changed := self._client.changes()) != changes:
                changes = changed
                run = self._client.run(run)
            yield run
            time.sleep(_LOOK_S)

    # -- to ask of a run -------------------------------------------------------------------------------------------

    def signal(self, run: str | Run, name: str, payload: Any = None) -> bool:
        """Send it a named message, which is kept until a step waits for it. Whether one does."""
        name = arguments.text("the signal's name", name)
        return self._client.signal(self._find(run), name, payload, by=self._by)

    def approve(self, run: str | Run, step: str | None = None, *, comment: str | None = None) -> Run:
        """Answer yes to the question that it has for a person; `step` where it has several."""
        return self._answered(run, step, comment, approved=True)

    def reject(self, run: str | Run, step: str | None = None, *, comment: str | None = None) -> Run:
        """Answer no."""
        return self._answered(run, step, comment, approved=False)

    def cancel(self, run: str | Run, *, reason: str | None = None) -> Run:
        """Ask for a graceful end: what runs is stopped, then undone, then tidied up."""
        why = arguments.text_if_any("reason", reason)
        return self._asked(run, lambda found: self._client.cancel(found, reason=why, by=self._by))

    def terminate(self, run: str | Run, *, reason: str | None = None) -> Run:
        """Ask for an end at once, with nothing after it."""
        why = arguments.text_if_any("reason", reason)
        return self._asked(run, lambda found: self._client.terminate(found, reason=why, by=self._by))

    def pause(self, run: str | Run, *, reason: str | None = None) -> Run:
        """Have no new attempt start. `resume` takes it up."""
        why = arguments.text_if_any("reason", reason)
        return self._asked(run, lambda found: self._client.pause(found, reason=why, by=self._by))

    def resume(self, run: str | Run, *, from_step: str | None = None) -> Run:
        """Have a run go on that is paused, or that ended otherwise than well, by a daemon. `from_step`: that one and
        what needs it are done again."""
        from_step = arguments.text_if_any("from_step", from_step)
        found = self._find(run)
        if found.status == "paused":
            if from_step is not None:
                raise UsageError(
                    f"run {found.name} is paused: it goes on where it is, not from a step",
                    hint="resume it without from_step, or cancel it first",
                )
            return self._shown(self._client.unpause(found, by=self._by))
        job = self._client.kept(found, strict=True).job
        now = self._client.reopen(found, job, from_step=from_step, by=self._by, queued=True)
        self._client.wake_workers()
        return self._shown(now)

    def retry_now(self, run: str | Run, step: str | None = None, *, reason: str | None = None) -> list[str]:
        """Have what only waits for a time - the next attempt, a sleep, a poll - go on now. The steps that do."""
        step, reason = arguments.text_if_any("step", step), arguments.text_if_any("reason", reason)
        return self._client.wake(self._find(run), step, reason=reason, by=self._by)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _find(self, run: str | Run) -> values.Run:
        return self._client.find(run.id if isinstance(run, Run) else arguments.text("the run", run))

    def _answered(self, run: str | Run, step: str | None, comment: str | None, *, approved: bool) -> Run:
        step, comment = arguments.text_if_any("step", step), arguments.text_if_any("comment", comment)
        return self._shown(self._client.answer(self._find(run), step, approved=approved, comment=comment, by=self._by))

    def _asked(self, run: str | Run, ask: Callable[[values.Run], values.Run]) -> Run:
        """A daemon is woken for a run that nobody has: it sees it through."""
        now = ask(self._find(run))
        self._client.wake_workers()
        return self._shown(now)

    def _documents(self) -> Documents:
        from jobctl.views.documents import Documents

        return Documents(self._client)

    def _shown(self, run: values.Run) -> Run:
        reason = self._documents().hidden(run, {"reason": run.reason})["reason"]
        return Run(
            run.name, run.job, run.status, run.created_at, run.started_at, run.finished_at, reason, run.interrupted
        )

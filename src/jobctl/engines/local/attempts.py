"""Attempts of the runs here: their commands built, begun, stopped, found again. How they ended is ends.py's."""

from __future__ import annotations

import os
from collections.abc import Callable

from jobctl.core import kinds
from jobctl.core.keys import is_undo, undone_key
from jobctl.core.model import When
from jobctl.core.run import attempts as rules
from jobctl.core.run.decide import Mode, Stop
from jobctl.core.run.turn import Answer, Want
from jobctl.engines.local.commands import UnresolvedError
from jobctl.engines.local.live import LiveRun, Planned
from jobctl.process import attempt as files_of
from jobctl.process.attempt import AttemptFiles
from jobctl.process.held import Attempt, Command, NotStartableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.engines.local.loop import LocalEngine


class Attempts:
    def __init__(self, engine: LocalEngine, do: Callable[..., None]) -> None:
        """`do`: acts, and has what goes wrong put down to the run that it is about."""
        self._engine = engine
        self._do = do

    def can_run(self, run: LiveRun, want: Want, planned: Planned) -> Answer:
        try:
            planned.commands[want.key, want.number] = self._command(run, want.key, want.number)
        except UnresolvedError as error:
            return Answer(False, error=run.context.mask(str(error)))
        return Answer(True, {"keeper": self._engine.supervisor.current()})

    def launch(self, run: LiveRun, key: str, number: int, command: Command) -> None:
        attempt = self._attempt(run, key, number, run.step_state(key).attempts[-1].started_at, command)
        run.attempts[key] = attempt
        self._engine.supervisor.start(attempt)

    def stop(self, run: LiveRun, key: str, how: Stop) -> None:
        """Have an attempt end that runs. One that may end by itself does, except a poll: it is not asked once more."""
        attempt = run.attempts.get(key)
        if attempt is not None and (how is not Stop.DRAIN or attempt.between_probes):
            self._do(self._engine.supervisor.stop, attempt, _word_for(how))

    def stop_all(self) -> int:
        """Ask whatever runs here to end, because this process is about to, and nothing outlives it. How many run. What
        tells of that is not asked: who is to hear of it would hear of it when the next one begins."""
        attempts = [attempt for run in self._engine.runs.values() for attempt in run.attempts.values()]
        running = [attempt for attempt in attempts if not attempt.over and not attempt.between_probes]
        for attempt in running:
            if attempt.owner.state.about is not None:
                continue
            if attempt.kind_of_stop is None and attempt.pending_stop is None:
                self._do(self._engine.supervisor.stop, attempt, "daemon")
        return len(running)

    def find(self, run: LiveRun, key: str) -> None:
        """An attempt that is recorded as started: adopt it, record its end, start it, or count it as lost."""
        last = run.step_state(key).attempts[-1]
        attempt = self._attempt(run, key, last.number, last.started_at)
        run.attempts[key] = attempt
        # One that no journal knows may have run when the machine has been started anew since: a file that was just made
        # is gone after a power cut. A poll may be asked once more.
        boot, ours = last.boot, self._engine.executor.boot
        same = not boot or not ours or boot == ours or attempt.poll is not None
        old = last.keeper is None
        stop = _word_for(run.decider.asked_to_end(key))
        self._engine.supervisor.attach(attempt, run.takers, stop=stop, may_start=same, by_shell=old)

    def _attempt(
        self, run: LiveRun, key: str, number: int, started_at: int, command: Command | None = None
    ) -> Attempt[LiveRun]:
        """An attempt that is recorded as started, as the supervisor wants it told."""
        step, undo = run.step(key), is_undo(key)
        of = step.compensate if undo and step.compensate is not None else step
        poll = None if undo else step.poll
        limit, began = run.job.timeout, run.state.try_started_at
        return Attempt(
            run,
            key,
            number,
            run=run.name,
            take=run.take,
            files=AttemptFiles(run.context.folder, key, number),
            token=run.context.token(key, number),
            timeouts=of.timeouts,
            host=self._engine.host,
            started_at=started_at,
            step_started_at=run.step_state(key).started_at or started_at,
            command=lambda checked: self._prepared(run, key, number, checked, None if checked else command),
            poll=poll,
            goes_on=lambda: run.decider.mode is not Mode.STOPPING,
            may_suspend=not undo and kinds.of(step).may_suspend and poll is None,
            has_condition=bool(step.only_if) and not undo and not run.state.step(key).checked,
            wants_stdout=not undo and step.name in run.context.stdout_of,
            grace=run.job.kill_grace,
            log_limit=run.job.log_limit,
            # What undoes, or clears away, is not kept from it.
            disk_limit=0 if undo or step.when is not When.SUCCESS else run.job.disk_limit or 0,
            run_limit=began + limit if limit is not None and began is not None and not undo else None,
        )

    def _prepared(self, run: LiveRun, key: str, number: int, checked: bool, first: Command | None) -> Command:
        """What an attempt is to run; made again for another probe of a poll, and for one that never began. OSError."""
        try:
            command = first if first is not None else self._command(run, key, number)
        except UnresolvedError as error:
            raise NotStartableError(rules.Outcome(rules.FAILED, error=str(error), non_retryable=True)) from None
        self._make_place(run, key, command)
        return command._replace(only_if="") if checked else command

    def _command(self, run: LiveRun, key: str, number: int) -> Command:
        files = AttemptFiles(run.context.folder, key, number)
        command = run.context.undo_command if is_undo(key) else run.context.step_command
        return command(run.step(key), run.state.step(undone_key(key)), number, files)

    def _make_place(self, run: LiveRun, key: str, command: Command) -> None:
        """What must be there before an attempt begins: the run's folder, and what its waits have come to. OSError."""
        if not run.has_folder:
            os.makedirs(run.context.folder, mode=0o700, exist_ok=True)
            run.has_folder = True
        delivered = run.step_state(key).delivered
        if delivered:
            files_of.write_waits(command.environment["JOBCTL_WAITS"], delivered)


def _word_for(how: Stop | None) -> str | None:
    """The supervisor's word for how an attempt is to be stopped."""
    return "run" if how is Stop.TIMEOUT else how

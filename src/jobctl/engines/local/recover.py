"""Runs that another executor has left: taken, restored from their histories, and put right."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobctl.core.run.resume import restore
from jobctl.core.run.turn import Find, FindChild, Later
from jobctl.engines.local.executor import alive
from jobctl.engines.local.live import Aside, LiveRun, Record, Work, takers
from jobctl.engines.trouble import in_a_sentence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.core.model import Job
    from jobctl.core.run.history import Event
    from jobctl.core.run.rows import RunRow
    from jobctl.engines.local.loop import LocalEngine


class Recovery:
    def __init__(self, engine: LocalEngine, record: Record, do: Callable[..., None]) -> None:
        """`do`: acts, and has what goes wrong put down to the run that it is about."""
        self._engine = engine
        self._record = record
        self._do = do

    def take(self, left: Iterable[tuple[int, Job, dict[str, str]]]) -> list[LiveRun]:
        """As `take`, for several runs (id, job, env_file) in one commit. Those that are here now."""
        state_dir, ours = self._engine.store.state_dir, self._engine.executor
        jobs = {run_id: (job, env_file) for run_id, job, env_file in left}
        runs: list[LiveRun] = []
        work: list[Work] = []
        store, now = self._engine.store, self._engine.host.now()
        for run_id in store.take(jobs, ours.id, ours.boot, now, lambda other: alive(state_dir, other)):
            row = store.run(run_id)
            try:
                run, last = self._restored(row, *jobs[run_id])
            except Exception as error:
                if not self._engine.is_its_own(error):
                    for run in runs:  # they stand under our name and are not here: they are looked for
                        self._engine.runs.pop(run.id, None)
                    self._engine.runs.pop(run_id, None)
                    raise
                self._engine.runs.pop(run_id, None)
                self._engine.set_aside.append(Aside(run_id, row.name, in_a_sentence(error)))
                continue
            runs.append(run)
            work.append((run, [], [last]))
        self._engine.commits.advance(work)
        for run in runs:
            if self._engine.runs.get(run.id) is run:
                self._do(self.reconcile, run)
        self._engine.supervisor.flush()
        return [run for run in runs if run.name not in self._engine.supervisor.aside]

    def _restored(self, row: RunRow, job: Job, env_file: dict[str, str]) -> tuple[LiveRun, Event]:
        """A run that was just taken, as its history says it is, and the event that says it was taken."""
        events = self._engine.store.events(row.id, upto=row.seq)
        # RUN_TAKEN is the last: what it leads to in a run that was never begun is due now.
        state, decider = restore(job, events[:-1])
        run = LiveRun(row.id, row.name, job, row.seq - 1, state, decider)
        run.context = self._engine.context_of(run, env_file)
        run.takers = takers(events)
        self._engine.runs[row.id] = run
        if job.children:
            self._engine.children.link(run)
        if row.parent is not None:
            run.parent, run.parent_step = row.parent, row.parent_step or ""
            self._engine.children.joined(run)
        self._engine.supervisor.aside.discard(row.name)
        return run, events[-1]

    def reconcile(self, run: LiveRun) -> None:
        """Compare what the history says is under way with what there is, and put it right."""
        self._engine.timers.watch_deadline(run)
        for left in run.left(run.attempts, self._engine.moment()):
            if isinstance(left, Find):
                self._engine.attempts.find(run, left.key)
            elif isinstance(left, FindChild):
                self._engine.children.go_on(run, left.key)
            elif isinstance(left, Later):
                self._engine.timers.later(run, left)
            else:
                self._record(run, left)

"""Where the files of a run are, whichever engine carries it out. What is in them: process/attempt.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.core.keys import UNDO, file_name, item_index, step_name
from jobctl.process.attempt import AttemptFiles

if TYPE_CHECKING:
    from jobctl.core.run.history import AttemptState, RunState

FOLDER = "runs"  # in the state folder: a folder for each run


def run_folder(state_dir: str, run: str) -> str:
    """Where a run's files are: one name in one folder, whatever the run is called."""
    return f"{state_dir}/{FOLDER}/{file_name(run)}"


def attempt_files(state_dir: str, run: str, state: RunState) -> list[tuple[str, int, AttemptState, AttemptFiles]]:
    """(key; attempt; its state; its files) of every attempt of a run, in order of start. Without those of a list that
    another one has replaced."""
    folder = run_folder(state_dir, run)
    found = [
        (name + suffix, attempt.number, attempt, AttemptFiles(folder, name + suffix, attempt.number))
        for suffix, steps in (("", state.steps), (UNDO, state.undo))
        for name, step in steps.items()
        if _is_there(state, name)
        for attempt in step.attempts
    ]
    found.sort(key=lambda item: item[2].started_at)
    return found


def _is_there(state: RunState, key: str) -> bool:
    """Whether a key is that of a step, or of an item of a list as it is now."""
    index = item_index(key)
    if index is None:
        return True
    step = state.steps.get(step_name(key))
    return step is not None and step.items is not None and index < len(step.items)

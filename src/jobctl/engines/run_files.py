"""Where the files of a run are, whichever engine carries it out. What is in them: process/attempt.py."""

from __future__ import annotations

from jobctl.core.keys import file_name
from jobctl.process.attempt import AttemptFiles

TYPE_CHECKING = False
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
    return [
        (key, attempt.number, attempt, AttemptFiles(folder, key, attempt.number)) for key, attempt in state.attempts()
    ]

"""What went wrong while a run was advanced, as people are told who cannot know where."""

from __future__ import annotations

import os

from jobctl.core.errors import JobctlError


def in_a_sentence(error: Exception) -> str:
    """What went wrong with a run, for people who cannot know where."""
    if isinstance(error, JobctlError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else error.strerror
    return f"something unexpected happened in jobctl: {type(error).__name__}: {error}"

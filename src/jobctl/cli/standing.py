"""A run's status in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli.short import words

if TYPE_CHECKING:
    from jobctl.engines.base import Run


def standing(run: Run) -> str:
    """A run's status in words; a run that nobody is at is `interrupted`."""
    return "interrupted" if run.interrupted else words(run.status)

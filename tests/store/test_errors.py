"""What SQLite says, in sentences."""

from __future__ import annotations

import sqlite3

from jobctl.core.errors import JobctlError
from jobctl.store import errors


def test_every_error_of_sqlites_has_a_sentence() -> None:
    error: JobctlError = errors.explain(sqlite3.OperationalError("something new"), "/x/jobctl.db")
    assert "something new" in error.message
    assert error.hint
    assert error.exit_code == 4

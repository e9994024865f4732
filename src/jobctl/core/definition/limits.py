"""How much a definitions file may hold. Apart from document.py, which says so, so that who only reads the bytes loads
none of that."""

from __future__ import annotations

SIZE_LIMIT = 16 * 1024 * 1024  # bytes; a file of 10,000 jobs has some 3 MB
MOST_JOBS = 10_000  # in one file
MOST_STEPS = 10_000  # in one job
DEEPEST = 32  # names of a dotted key, brackets inside of one another: what reads them takes the square of it

"""Whether a run's definition is another one in the file by now: what is advised of one that has failed depends on that.

Reads the file, so it is asked of single runs that are over.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def changed(file: str, job: str, kept: str) -> bool:
    """Whether the file defines this job, and not as it is kept with the run. Where it cannot be read: no."""
    from jobctl.core.model import encode
    from jobctl.definitions.files import check_file
    from jobctl.definitions.masking import redact

    found = check_file(file)[0] if file else None
    if found is None or job not in found.jobs:
        return False
    try:
        return _of_runs(json.loads(encode(redact(found.jobs[job])))) != _of_runs(json.loads(kept))
    except (TypeError, ValueError):
        return False


def _of_runs(definition: dict[str, Any]) -> dict[str, Any]:
    """Without what is only about when runs begin: a backfill has its own overlap, and nobody resumes for a schedule."""
    begins = ("overlap", "schedules", "catchup_window", "start_within", "keep", "description", "tags")
    return {key: value for key, value in definition.items() if key not in begins}


def has_changed(job: str, kept: str) -> bool:
    """The same of the file that is named in what was kept with the run."""
    return changed(str(json.loads(kept).get("file", "")), job, kept)

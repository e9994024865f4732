"""What hides a run's secrets in what is printed of it later, by another process. See definitions/masking.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.cli import printing as output
from jobctl.core.errors import JobctlError

if TYPE_CHECKING:
    from jobctl.core.run.rows import RunRow
    from jobctl.definitions.masking import Masker
    from jobctl.store.store import Store


def masker_of(store: Store, row: RunRow) -> Masker | None:
    """What hides the run's secrets, as the files have them now; None when it has none, or nobody knows them any more.

    What cannot be hidden for that is said on stderr.
    """
    kept = store.definition(row.definition)
    if '"***"' not in kept and '"env_file"' not in kept:  # masking.MASK, whose import most runs do without
        return None
    from jobctl.definitions import masking
    from jobctl.engines.local.stored_job import job_of

    try:
        known = job_of(store, row, strict=False)
    except JobctlError as error:
        output.note(f"secrets are not masked here: {error.message}")
        return None
    for remark in known.remarks:
        output.note(f"not all secrets are masked here: {remark}")
    from jobctl.definitions.files import env_files_of_children

    return masking.masker(known.job, known.env_file, *env_files_of_children(known.job))


def hidden(store: Store, row: RunRow, document: Any) -> Any:
    """A document about the run - the run's, or its events' - without its secrets."""
    masker = masker_of(store, row)
    if masker is None:
        return document
    from jobctl.definitions.masking import masked

    return masked(document, masker.text)

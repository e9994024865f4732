"""The job of a run that exists already: the definition it started with, and the secrets that are not kept with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl import masking
from jobctl.cli import output
from jobctl.core.errors import DefinitionError, JobctlError, StoreError
from jobctl.core.model import Job, decode
from jobctl.definitions import check_file, env_file_of

if TYPE_CHECKING:
    from jobctl.store.store import RunRow, Store


def job_of(store: Store, row: RunRow, *, strict: bool) -> tuple[Job, dict[str, str]]:
    """(the definition the run started with, with its secrets; what its env_file holds now).

    A secret that is nowhere to be had any more: JobctlError when `strict`, else the variable is left out and a note
    says so - a run must be stoppable without its secrets.
    """
    try:
        job = decode(store.definition(row.definition))
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the definition kept with run {row.name} cannot be read: {error}",
            hint=f"a newer jobctl may have written it; start a new run: jobctl run {row.job}",
        ) from error
    definitions = check_file(job.file)[0] if job.file and masking.has_secrets(job) else None
    job, missing = masking.unmask(job, definitions.jobs.get(job.name) if definitions is not None else None)
    if missing:
        message = f"secrets are not kept with runs, and {job.file or 'the definitions file'} no longer has: "
        message += ", ".join(missing)
        if strict:
            raise JobctlError(message, hint=f"put them back, or start a new run: jobctl run {row.job}")
        output.note(message)
    try:
        return job, env_file_of(job)
    except DefinitionError as error:
        if strict:
            raise
        output.note(f"without its env_file: {error.message}")
        return job, {}

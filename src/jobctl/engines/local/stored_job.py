"""The job of a run that exists already: the definition it started with, and the secrets that are not kept with it."""

from __future__ import annotations

from jobctl.core.errors import DefinitionError, JobctlError, StoreError
from jobctl.core.model import decode
from jobctl.core.run import notices
from jobctl.core.run.rows import RunRow
from jobctl.definitions import masking
from jobctl.definitions.files import check_file, env_file_of
from jobctl.engines.values import Kept
from jobctl.store.store import Store


def job_of(store: Store, row: RunRow, *, strict: bool) -> Kept:
    """The definition the run started with, its secrets as the files have them now.

    A secret that is nowhere to be had any more: JobctlError when `strict`, else the variable is left out and a remark
    says so - a run must be stoppable without its secrets. So must people be told without them: a notification is never
    refused what it lacks.
    """
    told = row.trigger == notices.TRIGGER
    strict = strict and not told
    try:
        job = decode(store.definition(row.definition))
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise StoreError(
            f"the definition kept with run {row.name} cannot be read: {error}",
            hint=f"a newer jobctl may have written it; start a new run: jobctl run {row.job}",
        ) from error
    remarks: list[str] = []
    definitions = check_file(job.file)[0] if job.file and masking.has_secrets(job) else None
    jobs = definitions.jobs if definitions is not None else {}
    if told and notices.origin(row.job) in jobs:
        jobs = {job.name: jobs[notices.origin(row.job)]}
    job, missing = masking.unmask(job, jobs)
    if missing:
        message = f"secrets are not kept with runs, and {job.file or 'the definitions file'} no longer has: "
        message += ", ".join(missing)
        if strict:
            raise JobctlError(message, hint=f"put them back, or start a new run: jobctl run {row.job}")
        remarks.append(message)
    try:
        return Kept(job, env_file_of(job), remarks)
    except DefinitionError as error:
        if strict:
            raise
        remarks.append(f"without its env_file: {error.message}")
        return Kept(job, {}, remarks)

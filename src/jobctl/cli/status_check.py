"""`jobctl status --check`: what is wrong, for whoever asks every minute. Nothing is written, not even what `status`
keeps of the definitions."""

from __future__ import annotations

from jobctl.cli import load, moments, printing
from jobctl.cli.client import client_of
from jobctl.core import text
from jobctl.core.errors import DefinitionError, NotFoundError
from jobctl.engines.values import Trouble
from jobctl.host import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jobctl.core.model import Job
    from jobctl.host.settings import Settings

_SINCE = "24h"


def main(settings: Settings, *, since: str | None, jobs: list[str], tags: list[str]) -> int:
    """0 when nothing is wrong, else 1. NotFoundError for a job or a tag that nothing has; StoreError when the store
    cannot be used."""
    back = moments.span(_SINCE if since is None else since, "--since")
    now = clock.now()
    defined, problem = _defined(settings) if jobs or tags else ({}, None)
    tagged = [job.name for job in defined.values() if not set(tags).isdisjoint(job.tags)]
    with_tag = {tag for job in defined.values() for tag in job.tags}
    try:
        client = client_of(settings, asks=True)
    except NotFoundError:
        _must_be_known(jobs, tags, set(defined), with_tag, problem)
        found = [Trouble("no_daemon", f"no daemon lives on {settings.state_dir}", "start it: jobctl daemon")]
        return _tell(settings, found, now - back, [])
    with client:
        known = {*defined, *client.jobs()} if jobs or tags else set()
        with_tag.update(tag for tag in tags if tag not in with_tag and client.runs(tag=tag, limit=1).found)
        _must_be_known(jobs, tags, known, with_tag, problem)
        found = client.wrong(now - back, jobs=jobs, tags=tags, tagged=tagged)
        told = {one.message for one in found}
        suffers = [sentence for sentence in client.troubles() if sentence not in told]
    if problem is not None:
        found.append(Trouble("unknown", f"which jobs are meant cannot be told: {problem.message}", problem.hint))
    return _tell(settings, found, now - back, suffers)


def _defined(settings: Settings) -> tuple[Mapping[str, Job], DefinitionError | None]:
    try:
        return load.afresh(settings), None
    except DefinitionError as error:
        return {}, error if settings.files else None


def _must_be_known(
    jobs: list[str], tags: list[str], known: set[str], with_tag: set[str], problem: DefinitionError | None
) -> None:
    """A monitor that asks about a job that there is not would never hear of anything."""
    if problem is not None:
        return  # it may be in there; that it cannot be told is said
    from jobctl.core.definition.suggest import did_you_mean

    for name in jobs:
        if name not in known:
            raise NotFoundError(f"there is no job {name!r}", hint=did_you_mean(name, sorted(known)))
    for tag in tags:
        if tag not in with_tag:
            raise NotFoundError(f"no job has the tag {tag!r}", hint="see what jobs say: jobctl list")


def _tell(settings: Settings, found: list[Trouble], since: int, suffers: list[str]) -> int:
    if settings.json:
        printing.print_json(
            {
                "ok": not found,
                "since": text.rfc3339(since),
                "problems": [_document(one) for one in found],
                "troubles": suffers,
            }
        )
        return int(bool(found))
    for one in found:
        printing.say(one.message)
        if not settings.quiet:
            printing.say(f"  {one.hint}")
    if not settings.quiet:
        for sentence in suffers:
            printing.note(f"warning: {sentence}")
        if not found:
            printing.say("nothing is wrong")
    return int(bool(found))


def _document(one: Trouble) -> dict[str, Any]:
    since = text.rfc3339(one.since) if one.since is not None else None
    return {**one._asdict(), "since": since}

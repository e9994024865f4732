"""`jobctl why RUN`: what a run waits for, and what would move it on. The words: core/run/why.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli import printing as output
from jobctl.cli.commands.status import find, sentences
from jobctl.cli.opened import store_of
from jobctl.cli.secrets import hidden
from jobctl.host import clock
from jobctl.views import views

if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings, *, run: str) -> int:
    """0, whatever the run's status. NotFoundError for a run that there is not.

    JSON: {"id", "job", "status", "interrupted", "why": the sentences as one text, "reasons": [{"kind", "step", "until",
    "text", "commands", …}]}.
    """
    now = clock.now()
    with store_of(settings, asks=True) as store:
        seen = views.look(store, find(settings, store, run, now=now))  # once: all that is said is of this
        row, reasons = seen.row, views.reasons(store, seen, now)
        if not settings.json:
            for line in hidden(store, row, sentences(reasons)):
                output.say(" ".join(line.split("\n")))
            return 0
        about = views.summary(store, seen)
        document = {key: about[key] for key in ("id", "job", "status", "interrupted")}
        document["why"] = "; ".join(reason.text for reason in reasons)
        document["reasons"] = [views.reason_document(reason) for reason in reasons]
        output.print_json(hidden(store, row, document))
    return 0

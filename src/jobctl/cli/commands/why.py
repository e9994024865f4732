"""`jobctl why RUN`: what a run waits for, and what would move it on. The words: core/run/why.py."""

from __future__ import annotations

from jobctl.cli import printing
from jobctl.cli.client import client_of
from jobctl.cli.commands.status import sentences
from jobctl.cli.find_run import find
from jobctl.host import clock
from jobctl.views.documents import Documents, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings, *, run: str) -> int:
    """0, whatever the run's status. NotFoundError for a run that there is not."""
    now = clock.now()
    with client_of(settings, asks=True) as client:
        found = find(settings, client, run, now=now)  # once: all that is said is of this
        documents = Documents(client, printing.note)
        reasons = documents.reasons(found, now)
        if settings.json:
            printing.print_json(why(found, reasons))
        else:
            for line in sentences(reasons):
                printing.say(" ".join(line.split("\n")))
    return 0

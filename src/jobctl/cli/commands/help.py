"""`jobctl help CMD`: how a command is used, as `jobctl CMD --help` says. The pages are made in cli/pages.py."""

from __future__ import annotations

from jobctl.cli import pages
from jobctl.cli.table import TABLE


def main(*, command: list[str]) -> int:
    """UsageError for a command that there is not."""
    row = TABLE.get(" ".join(command))
    if row is None:
        from jobctl.cli.refusal import no_such_command

        raise no_such_command(command)
    print(pages.page(row, pages.width()))
    return 0

"""`jobctl schema`: the JSON schema of jobs.toml, for editors. What stands in it is core/definition/schema.py's."""

from __future__ import annotations

from jobctl.cli import printing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.settings import Settings


def main(settings: Settings) -> int:  # noqa: ARG001
    from jobctl.core.definition.schema import json_schema

    printing.print_json(json_schema())
    return 0

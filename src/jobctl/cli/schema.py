"""`jobctl schema`: the JSON schema of jobs.toml, for editors. What stands in it is core/schema.py's."""

from __future__ import annotations

from jobctl.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.settings import Settings


def main(settings: Settings) -> int:  # noqa: ARG001
    from jobctl.core.schema import json_schema

    output.print_json(json_schema())
    return 0

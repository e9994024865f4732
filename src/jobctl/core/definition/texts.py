"""Texts of a definitions file: commands, variables, the references in them, and where a key stands.

What keys mean together is said by declared.py, steps.py and jobs.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobctl.core.definition import references
from jobctl.core.definition.findings import Findings, Raw, look_up
from jobctl.core.definition.positions import Path
from jobctl.core.definition.references import Scope
from jobctl.core.model import (
    Param,
)

Clean = dict[str, Any]  # a table as schema.py's shapes give it: only what is valid, converted


class Texts:
    """What every part of a definitions file needs: what was said, what is wrong, where a key stands, and its texts.

    `raw` is what the file says, `clean` what of it is valid; what is invalid was reported and is passed over.
    """

    def __init__(self, raw: Raw, clean: Clean, findings: Findings) -> None:
        self._raw = raw
        self._defaults: Clean = clean.get("defaults", {})
        self._findings = findings
        self._error = findings.error
        self._params: dict[str, dict[str, Param]] = {}  # of each job

    def _place(self, job: str, *keys: str) -> Path:
        """Where a key of a job stands: in the job, or in the defaults."""
        path: Path = ("jobs", job, *keys)
        inherited = look_up(self._raw, path) is None and look_up(self._raw, ("defaults", *keys)) is not None
        return ("defaults", *keys) if inherited else path

    def _check_text(self, job: str, text: str, path: Path, scope: Scope) -> None:
        for message, hint, form in references.check(text, scope):
            # What is written for all jobs may suit one and not another: say which.
            self._error(path, message if form or path[0] != "defaults" else f"{message} (job {job})", hint)

    def _check_command(self, job: str, command: str | tuple[str, ...], path: Path, scope: Scope) -> None:
        if isinstance(command, str):
            self._warn_of_references(command, path)
        else:
            for i, argument in enumerate(command):
                self._check_text(job, argument, (*path, i), scope)

    def _warn_of_references(self, command: str, path: Path) -> None:
        for name in dict.fromkeys(references.mentioned(command)):
            variable = references.variable(name)
            by_env = f'add env = {{ VALUE = "{{{{ {name} }}}}" }} and write "$VALUE"'
            hint = f'write "${variable}"' if variable else by_env
            self._findings.warning(path, f"{{{{ {name} }}}} is not replaced in a text command", hint)

    def _check_env(self, job: str, env: Mapping[str, str], path: Path, scope: Scope) -> None:
        if any("{{" in value for value in env.values()):
            quiet = replace(scope, secret=True)
            for name, value in env.items():
                self._check_text(job, value, (*path, name), quiet)

    def _check_shell(self, table: Clean, path: Path) -> None:
        if len(table.get("shell", "").split()) > 1:
            hint = 'write shell = "/bin/bash", and what it should do first in the command: set -eu; …'
            self._error(path, "is a program without arguments", hint)

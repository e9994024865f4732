"""Imported jobs as the text of a definitions file, as a person would write it: short tables in one line, quotes that
need no backslash, what all have in common said once. Which jobs there are is convert.py's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobctl.crontab.entry import Became

Table = dict[str, Any]  # as it stands in the TOML file

_COMMON = ("inherit_env", "cwd", "shell", "timezone", "overlap", "catchup_window", "notify")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 120
_MOST_INLINE = 4  # variables in one line
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


@dataclass(slots=True)
class Line:
    """What became of one line. `text` is the line, but for variables, whose values may be secrets: their names."""

    number: int  # from 1
    became: Became
    why: str = ""
    text: str = ""
    job: str = ""  # the job it became
    file: str = ""  # where there are several


@dataclass(slots=True)
class Imported:
    """`jobs`: tables by name, each complete. `lines`: all but blank ones. `notes`: what concerns the whole file."""

    jobs: dict[str, Table] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    head: list[list[str]] = field(default_factory=list)  # paragraphs at the top
    comments: dict[str, list[list[str]]] = field(default_factory=dict)  # paragraphs above a job
    tail: list[list[str]] = field(default_factory=list)  # paragraphs behind the last one
    commented_out: list[str] = field(default_factory=list)  # the lines that are entries taken out of service
    mail: bool = False  # whether a MAILTO was turned into `notify`


def to_toml(imported: Imported) -> str:
    """The jobs as a definitions file: what all have in common stands in [defaults]. There must be one."""
    jobs = {name: dict(table) for name, table in imported.jobs.items()}
    defaults = _defaults(jobs)
    blocks = [_comment(imported.head)] if imported.head else []
    if defaults:
        blocks.append(_table("defaults", defaults))
    blocks += [_job(name, table, imported.comments.get(name, [])) for name, table in jobs.items()]
    if imported.tail:
        blocks.append(_comment(imported.tail))
    return "\n".join(blocks)


def to_append(imported: Imported, defaults: Mapping[str, Any], zone: str) -> str:
    """The jobs as tables to stand behind a file whose [defaults] count for them: each says what differs from those."""
    blocks = []
    comments = dict(imported.comments)
    if imported.head:
        first = next(iter(imported.jobs))
        comments[first] = [*imported.head, *comments.get(first, [])]
    for name, table in imported.jobs.items():
        job = {
            key: value
            for key, value in table.items()
            if key in ("env", "command") or defaults.get(key, _MISSING) != value
        }
        if "shell" not in table and "shell" in defaults and defaults["shell"] != "/bin/sh":
            job["shell"] = "/bin/sh"
        if "overlap" not in table and defaults.get("overlap", "skip") != "skip":
            job["overlap"] = "skip"
        if "timezone" not in table and "timezone" in defaults and "schedule" in table and defaults["timezone"] != zone:
            job["timezone"] = zone
        if "env" in job:
            there = defaults.get("env", {})
            job["env"] = {key: value for key, value in job["env"].items() if there.get(key) != value}
            if not job["env"]:
                del job["env"]
        blocks.append(_job(name, job, comments.get(name, [])))
    if imported.tail:
        blocks.append(_comment(imported.tail))
    return "\n".join(blocks)


_MISSING = object()


def _defaults(jobs: dict[str, Table]) -> Table:
    """What all of them say, taken out of them."""
    first = next(iter(jobs.values()))
    defaults: Table = {}
    for key in _COMMON:
        if not all(key in job for job in jobs.values()):
            continue
        said = [job[key] for job in jobs.values()]
        usual = max(said, key=said.count)
        if said.count(usual) > 1 or len(said) == 1:
            defaults[key] = usual
            for job in jobs.values():
                if job[key] == usual:
                    del job[key]
    common = {
        name: value
        for name, value in first.get("env", {}).items()
        if all(job.get("env", {}).get(name) == value for job in jobs.values())
    }
    if common:
        defaults["env"] = common
        for job in jobs.values():
            job["env"] = {name: value for name, value in job["env"].items() if name not in common}
            if not job["env"]:
                del job["env"]
    return defaults


def dump_jobs(jobs: Mapping[str, Table]) -> str:
    """Each job complete; for the check of each by itself."""
    return "\n".join(_job(name, table, []) for name, table in jobs.items())


def _job(name: str, table: Table, comments: list[list[str]]) -> str:
    return (_comment(comments) if comments else "") + _table(f"jobs.{name}", table)


def _table(name: str, table: Table) -> str:
    lines = [f"[{name}]"]
    tables = []
    for key, value in table.items():
        line = f"{_key(key)} = {value_text(value)}"
        if key == "env" and (len(line) > _WIDTH or len(value) > _MOST_INLINE):
            tables.append((key, value))
        else:
            lines.append(line)
    text = "\n".join(lines) + "\n"
    return text + "".join("\n" + _table(f"{name}.{key}", value) for key, value in tables)


def _comment(paragraphs: list[list[str]]) -> str:
    return "#\n".join("".join(f"# {line}\n" for line in lines) for lines in paragraphs)


def value_text(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {value_text(each)}" for key, each in value.items()) + " }"
    return str(value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    """In the quotes that need no backslash, if there are any."""
    if text.endswith("\n") and "'''" not in text and all(char.isprintable() or char in "\n\t" for char in text):
        return f"'''\n{text}'''"
    if '"' in text or "\\" in text:
        if all(char.isprintable() or char == " " for char in text):
            if "'" not in text:
                return f"'{text}'"
            if "'''" not in text and not text.startswith("'") and not text.endswith("'"):
                return f"'''{text}'''"
    return '"' + "".join(_ESCAPES.get(char) or (char if char.isprintable() else _escaped(char)) for char in text) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    if code >= 0x80 and not 0x80 <= code <= 0x9F:
        return char  # blanks and the like of other scripts: legal as they are
    return f"\\u{code:04X}"

"""What a crontab can only say in the command, as jobctl's own keys: only where that means exactly the same."""

from __future__ import annotations

import re

from jobctl.crontab.shell import Word, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# In these a shell that began in the folder would not be the same as one that went there.
_TELLING = re.compile(r"\bOLDPWD\b|\bPWD\b|\bpwd\b|\bcd\s+-|\bdirs\b|\bpopd\b")


def into_folder(table: dict[str, Any], home: str) -> str:
    """`cd /srv/app && ./x` as cwd and command, in the table itself; what was done, "" if nothing was.

    Not where a part of the command would have run although the folder is not there: behind `;`, `||` or `&`.
    """
    command = table["command"]
    inner = re.fullmatch(r"\((.*)\)", command, re.DOTALL)
    text = inner[1] if inner and not re.search(r"[()]", inner[1]) else command
    script = parse(text)
    operators = [operator for operator in script.operators if operator not in ("|", "|&")]
    commands = script.commands
    if script.open or not operators or set(operators) != {"&&"} or len(commands) < 2 or commands[1].before != "&&":
        return ""
    words = commands[0].words
    if words[0].raw != "cd" or len(words) > 2 or _TELLING.search(text):
        return ""
    # No redirection of the cd, and nothing but blanks around the &&.
    behind = re.fullmatch(r"\s*cd(?:\s+(?P<folder>\S+|'[^']*'|\"[^\"]*\"))?\s*&&\s*(?P<rest>.*)", text, re.DOTALL)
    if behind is None or behind["rest"] != text[commands[1].start :] or (len(words) == 2) != bool(behind["folder"]):
        return ""
    folder = _folder(words[1], home) if len(words) == 2 else home
    if not folder or "{{" in folder or not behind["rest"].strip():
        return ""
    table["cwd"], table["command"] = folder, behind["rest"].strip()
    return f"its cd is cwd = {folder}"


def _folder(word: Word, home: str) -> str:
    """The folder as `cwd` has it, "" where only a shell could tell which it is."""
    text = word.text
    if match := re.fullmatch(r"\$(HOME|\{HOME\})(/[\w./@+-]*)?", text):
        return home + (match[2] or "") if word.raw.strip('"') == text else ""
    if word.raw == text and re.fullmatch(r"~(/[\w./@+-]*)?", text):
        return home + text[1:]
    if not word.plain or text.startswith(("~", "-")) or not re.fullmatch(r"[^\s$`\"'\\*?\[\]]+", text):
        return ""
    return text if text.startswith("/") else f"{home}/{text.removeprefix('./')}".rstrip("/.") or home

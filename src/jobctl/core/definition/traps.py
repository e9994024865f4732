"""What is legal in a command or a variable and is likely not what was meant. Texts only: what the machine has of what
they name is definitions/outlook.py's, what surprises in schedules is remarks.py's."""

from __future__ import annotations

import re

# Shells that read a text as sh does: what is said here of commands is true in them.
_LIKE_SH = frozenset({"sh", "dash", "ash", "bash", "ksh", "mksh", "yash", "zsh", "busybox"})
_WITH_PIPEFAIL = frozenset({"bash", "ksh", "mksh", "zsh"})
_LONGEST = 64 * 1024  # characters of a command that are looked at

_NAMED = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_SUBSTITUTED = re.compile(r"\$\([A-Za-z/]|`[A-Za-z/][^`]*`")
_HOME = re.compile(r"(?:^|:)~(?=/|:|$)")

_HEREDOC = re.compile(r"<<-?[ \t]*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")
_ERREXIT = re.compile(
    r"(?:^|[;&|{(]\s*)set\s+(?:-[a-zA-Z]+\s+|-o\s+(?!errexit)\w+\s+)*-(?:[a-zA-Z]*e[a-zA-Z]*(?:\s|$|;)|o\s+errexit)"
)
_KEYWORDS = re.compile(
    r"(?:do|done|then|else|fi|esac|;;|\{|\}|\(|\)|in)(?:[\s;&<>|].*)?$|[^()\s]+\)\s*$|\w+\s*\(\)\s*\{?$"
)
_HARMLESS = re.compile(
    r"(?:set|shopt|setopt|trap|export|readonly|local|declare|umask|unset|echo|printf|exit|return|sleep|true|wait|:)(?:\s|$)"
    r"|(?:if|elif|while|until|for|case|function)\s|\w+=(?:[^$`(\s]|\$[\w{?#@*]|\$\(\(.*\)\))*$"
)
_WORD = re.compile(r"[A-Za-z0-9_./~+@%:,-]+(?=[\s;|&<>)]|$)")
_BUILT_IN = frozenset(
    [
        ".",
        ":",
        "[",
        "[[",
        "alias",
        "bg",
        "bind",
        "break",
        "builtin",
        "case",
        "cd",
        "command",
        "compgen",
        "continue",
        "coproc",
        "declare",
        "dirs",
        "disown",
        "do",
        "done",
        "echo",
        "elif",
        "else",
        "enable",
        "emulate",
        "esac",
        "eval",
        "exec",
        "exit",
        "export",
        "false",
        "fc",
        "fg",
        "fi",
        "for",
        "function",
        "getopts",
        "hash",
        "help",
        "history",
        "if",
        "in",
        "jobs",
        "kill",
        "let",
        "local",
        "logout",
        "mapfile",
        "noglob",
        "popd",
        "print",
        "printf",
        "pushd",
        "pwd",
        "read",
        "readarray",
        "readonly",
        "return",
        "select",
        "set",
        "setopt",
        "shift",
        "shopt",
        "source",
        "suspend",
        "test",
        "then",
        "time",
        "times",
        "trap",
        "true",
        "type",
        "typeset",
        "ulimit",
        "umask",
        "unalias",
        "unset",
        "until",
        "wait",
        "whence",
        "while",
        "zmodload",
        "{",
        "}",
        "!",
    ]
)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def like_sh(shell: str) -> bool:
    """Whether that program reads commands as sh does."""
    return _name(shell) in _LIKE_SH


def unexpanded(value: str, *, shown: bool = True) -> str:
    """What in a variable's value looks as if something expanded it: `$PATH`, `${HOME}`, `~/`, `$(date)`; "" for none.

    Neither cron nor jobctl nor an env file expands anything in values; only a command's shell does.
    `shown`: whether it may be repeated.
    """
    if match := _NAMED.search(value):
        return match[0] if shown else "a $ with a name behind it"
    if match := _SUBSTITUTED.search(value):
        return "$( )" if match[0].startswith("$") else "a command in backquotes"
    return "~" if _HOME.search(value) else ""


def unchecked_lines(command: str, shell: str) -> tuple[str, str] | None:
    """For a text of several commands that goes on after one of them has failed: that, and the way out."""
    if "\n" not in command.strip() or len(command) > _LONGEST or not like_sh(shell):
        return None
    lines = statements(command)
    if any(_ERREXIT.search(line) for line in lines):
        return None
    work = [line for line in lines if not _KEYWORDS.match(line)]
    if not any(_can_fail(line) for line in work[:-1]):
        return None
    first = "set -euo pipefail" if _name(shell) in _WITH_PIPEFAIL else "set -eu"
    return (
        "a line of it that fails does not end it: the exit code is that of the last one",
        f"write {first} as its first line, or join the lines with &&",
    )


def foreign_script(command: str, shell: str) -> tuple[str, str] | None:
    """For a text whose first line names another program than its shell: nothing reads that line."""
    match = re.match(r"\s*#![ \t]*(\S+)(?:[ \t]+(\S+))?", command)
    if match is None:
        return None
    program = match[2] if _name(match[1]) == "env" and match[2] else match[1]
    name = _name(program)
    if name == _name(shell) or (name in _LIKE_SH and name not in _WITH_PIPEFAIL):
        return None
    full = program if program.startswith("/") else f"/usr/bin/{program}"
    return (
        f"its first line is a comment: {shell} runs it, not {name}",
        f'write shell = "{full}", or put it into a file and name that',
    )


def first_program(command: str, shell: str) -> str:
    """The program that a text command begins with; "" where it begins with something else, or that cannot be told."""
    if len(command) > _LONGEST or not like_sh(shell) or foreign_script(command, shell):
        return ""
    first = next(iter(statements(command)), "")
    match = _WORD.match(first)
    if match is None or match[0] in _BUILT_IN or re.match(r"\w+(?:\[[^]]*\])?\+?=|\w+\s*\(\)", first):
        return ""
    return match[0]


def statements(command: str) -> list[str]:
    """The lines of a shell's text that are commands: without comments, the inside of texts, and here-documents.

    As good as it must be for remarks: a command that it misreads is not remarked upon, or once too often.
    """
    found: list[str] = []
    line, quote, depth = "", "", 0
    pending: list[str] = []
    at, end = 0, len(command)
    while at < end:
        char = command[at]
        if quote:
            if char == "\\" and quote == '"':
                line, at = line + command[at : at + 2], at + 2
                continue
            if char == quote:
                quote = ""
        elif char == "\\":
            if command[at + 1 : at + 2] != "\n":
                line += command[at : at + 2]
            at += 2
            continue
        elif char in "'\"`":
            quote = char
        elif char == "#" and (not line or line[-1] in " \t;&|("):
            newline = command.find("\n", at)
            at = end if newline < 0 else newline
            continue
        elif char == "<" and (match := _HEREDOC.match(command, at)) and line[-1:] != "<":
            pending.append(match[2])
            line, at = line + match[0], match.end()
            continue
        elif char in "()":
            depth = max(0, depth + (1 if char == "(" else -1))
        elif char == "\n":
            at += 1
            for word in pending:
                at = _past(command, at, word)
            pending = []
            text = line.strip()
            if depth or text.endswith(("&&", "||", "|")):
                line = text + " "
                continue
            if text:
                found.append(text)
            line = ""
            continue
        line, at = line + char, at + 1
    if line.strip():
        found.append(line.strip())
    return found


def _past(command: str, at: int, word: str) -> int:
    """Behind the line that ends a here-document."""
    while at < len(command):
        newline = command.find("\n", at)
        newline = len(command) if newline < 0 else newline
        done = command[at:newline].strip() == word
        at = newline + 1
        if done:
            break
    return at


def _can_fail(line: str) -> bool:
    return not (_HARMLESS.match(line) or "||" in line or line.endswith(("&", "&;")))

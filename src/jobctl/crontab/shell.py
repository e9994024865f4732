"""What a shell command consists of, as far as it can be told without running it: simple commands, their words, and what
is left open at its end. Enough to name a job and to see a mistake; no shell."""

from __future__ import annotations

import re

from jobctl.core.record import NamedTuple

_REDIRECTION = re.compile(r"&>>|&>|<<<|<<-?|<>|>>|>\||>&|<&|[<>](?!\()")
_DEEPEST = 50  # brackets in brackets; nobody means more
_OPERATOR = re.compile(r"&&|\|\||;;|;|\|&|\||&|\(|\)|\n")


class Word(NamedTuple):
    raw: str  # as it stands
    text: str  # quotes taken off, expansions left as they are
    plain: bool  # nothing in it is expanded by the shell


class Simple(NamedTuple):
    """One simple command without its redirections."""

    words: list[Word]
    before: str  # the operator in front of it, "" at the beginning
    start: int  # where it begins in the text


class Script(NamedTuple):
    commands: list[Simple]
    open: str  # a quote, `$(`, "`" or "${" that nothing closes; ""
    operators: list[str]  # all of them, in order


def words(text: str) -> frozenset[str]:
    """For long lists of them."""
    return frozenset(text.split())


def shortened(text: str) -> str:
    """For messages, which repeat a line as far as it helps."""
    return text if len(text) <= 60 else text[:57] + "..."


def parse(text: str) -> Script:
    """Never fails: what cannot be understood is words."""
    return _Parser(text).script()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open = ""
        self._commands: list[Simple] = []
        self._operators: list[str] = []
        self._words: list[Word] = []
        self._before = ""
        self._start = -1
        self._raw: list[str] = []
        self._plain_text: list[str] = []
        self._plain = True
        self._skip = False  # the next word is where a redirection leads

    def script(self) -> Script:
        text = self._text
        while self._at < len(text):
            char = text[self._at]
            if char in " \t":
                self._end_word()
                self._at += 1
            elif char == "#" and not self._raw:
                line_end = text.find("\n", self._at)
                self._at = len(text) if line_end < 0 else line_end
            elif match := _REDIRECTION.match(text, self._at):
                if not "".join(self._raw).isdigit():
                    self._end_word()
                self._forget_word()
                self._skip = True
                self._at = match.end()
            elif char not in "<>" and (match := _OPERATOR.match(text, self._at)):
                self._end_command(match[0])
                self._at = match.end()
            else:
                self._part(char)
        self._end_command("")
        return Script(self._commands, self._open, self._operators)

    def _end_command(self, operator: str) -> None:
        self._end_word()
        self._skip = False
        if self._words:
            self._commands.append(Simple(self._words, self._before, self._start))
        if operator:
            self._operators.append(operator)
        self._words, self._before, self._start = [], operator, -1

    def _end_word(self) -> None:
        if not self._raw:
            return
        if self._skip:
            self._skip = False
        else:
            self._words.append(Word("".join(self._raw), "".join(self._plain_text), self._plain))
        self._forget_word()

    def _forget_word(self) -> None:
        self._raw, self._plain_text, self._plain = [], [], True

    def _take(self, end: int, text: str, *, plain: bool) -> None:
        if self._start < 0:
            self._start = self._at
        self._raw.append(self._text[self._at : end])
        self._plain_text.append(text)
        self._plain = self._plain and plain
        self._at = end

    def _part(self, char: str) -> None:
        """One quoted, expanded or single piece of a word."""
        text, at = self._text, self._at
        if char == "\\":
            self._take(at + 2, "" if text[at + 1 : at + 2] == "\n" else text[at + 1 : at + 2], plain=True)
        elif char in "'\"`":
            end = closing(text, at)
            inside = text[at + 1 : end - 1] if end else text[at + 1 :]
            self._open = self._open if end else char
            if char == '"':
                expands = "$" in re.sub(r"\\.", "", inside) or "`" in re.sub(r"\\.", "", inside)
                self._take(end or len(text), re.sub(r'\\([\\"$`])', r"\1", inside), plain=not expands)
            else:
                self._take(end or len(text), inside if char == "'" else f"`{inside}`", plain=char == "'")
        elif text.startswith(("$(", "${", "<(", ">("), at):
            end = closing(text, at)
            self._open = self._open if end else text[at : at + 2]
            self._take(end or len(text), text[at : end or len(text)], plain=False)
        else:
            self._take(at + 1, char, plain=char not in "$*?[")


def closing(text: str, at: int, depth: int = 0) -> int:
    """The place behind what closes the quote or bracket that begins at `at`; 0 where nothing does."""
    if depth > _DEEPEST:
        return 0
    if text[at] == "'":
        return text.find("'", at + 1) + 1
    opener = text[at : at + 2] if text[at] in "$<>" else text[at]
    closer = {"$(": ")", "<(": ")", ">(": ")", "${": "}"}.get(opener, opener)
    at += len(opener)
    unclosed = 1
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char == closer:
            unclosed -= 1
            if unclosed == 0:
                return at + 1
        elif closer == ")" and char == "(":
            unclosed += 1
        elif (
            (closer == ")" and char in "'\"`") or (closer in '"}' and char == "`") or text.startswith(("$(", "${"), at)
        ):
            end = closing(text, at, depth + 1)
            if not end:
                return 0
            at = end
            continue
        at += 1
    return 0

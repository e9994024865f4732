"""The values of TOML: texts, lists, braces and what stands without quotes, up to the first fault.

Keys, heads and what stands twice are syntax.py's.
"""

from __future__ import annotations

import re
from typing import NoReturn

from jobctl.core.definition.excerpt import may_be_shown
from jobctl.core.definition.scan import BARE, Scanner, without_comment
from jobctl.core.definition.unquoted import fault_of

NUMBER = re.compile(
    r"[+-]?(?:0|[1-9](?:_?[0-9])*)(?:\.[0-9](?:_?[0-9])*)?(?:[eE][+-]?[0-9](?:_?[0-9])*)?|[+-]?(?:inf|nan)"
    r"|0x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*|0o[0-7](?:_?[0-7])*|0b[01](?:_?[01])*"
)
_DATE = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?"
    r"|(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
)
_ESCAPES = 'btnfr"\\'
_HARMLESS = {'"': re.compile(r'[^"\\\x00-\x1f\x7f]+'), "'": re.compile(r"[^'\x00-\x1f\x7f]+")}  # within quotes
_PAIR_LINE = re.compile(
    r"""(?:[A-Za-z0-9_.-]+|"[^"\n]*"|'[^'\n]*')[ \t]*=(?!=)|\[+[A-Za-z0-9_."'-]+\]+[ \t]*(?:\r?\n|#|$)"""
)


class Values(Scanner):
    def _pair(self, table: tuple[str | int, ...], at: int, *, inline: bool = False) -> int:
        """A key and its value, which braces hold too: syntax.py's."""
        raise NotImplementedError

    def _value(self, path: tuple[str | int, ...], at: int, start: int, key: str) -> int:
        text = self._text
        char = text[at : at + 1]
        if char in ('"', "'"):
            return self._string(at, start, key)
        if self._text.startswith("{{", at):
            rest = without_comment(self._rest(at))
            shown = may_be_shown(self._text, start) and '"' not in rest and len(rest) < 100
            self._fail(at, 2, "a reference stands in quotes", f'write {key} = "{rest}"' if shown else 'write "{{ … }}"')
        if char == "[":
            return self._list(path, at, start, key)
        if char == "{":
            return self._braces(path, at, start, key)
        return self._bare(at, start, key)

    def _string(self, at: int, start: int, key: str) -> int:
        text, quote = self._text, self._text[at]
        if text.startswith(quote * 3, at):
            return self._long_string(at, quote)
        here, harmless = at + 1, _HARMLESS[quote]
        while True:
            if passed := harmless.match(text, here):
                here = passed.end()
            char = text[here : here + 1]
            if char in ("", "\n") or text.startswith("\r\n", here):
                line = text[at:here].rstrip()
                if quote == '"' and line.endswith('\\"'):
                    self._fail(
                        at,
                        len(line),
                        'the text is not closed on its line: \\" does not end it',
                        self._backslash(start, key, at),
                    )
                self._fail(
                    at,
                    len(line),
                    "the text is not closed on its line",
                    f"a {quote} is missing at its end; a text of several lines stands between {quote * 3}",
                )
            if char == quote:
                return here + 1
            if char == "\\" and quote == '"':
                here = self._escape(here, start, key, at, long=False)
                continue
            self._printable(here)
            here += 1

    def _long_string(self, at: int, quote: str) -> int:
        text, here, harmless = self._text, at + 3, _HARMLESS[quote]
        while True:
            if passed := harmless.match(text, here):
                here = passed.end()
            if here >= self._end:
                self._fail(
                    at,
                    3,
                    f"the text that begins here is never closed: {quote * 3} is missing",
                    f"write {quote * 3} at its end",
                )
            if text.startswith(quote * 3, here):
                here += 3
                extra = 0
                while extra < 2 and text.startswith(quote, here):  # up to two of them may end the text itself
                    here, extra = here + 1, extra + 1
                return here
            if text[here] == "\\" and quote == '"':
                here = self._escape(here, at, "", at, long=True)
                continue
            self._printable(here)
            here += 1

    def _escape(self, here: int, start: int, key: str, opened: int, *, long: bool) -> int:
        text = self._text
        char = text[here + 1 : here + 2]
        if char and char in _ESCAPES:
            return here + 2
        if long and (char in (" ", "\t", "\n", "\r")):
            rest = re.compile(r"\\[ \t]*\r?\n\s*").match(text, here)
            if rest:
                return rest.end()
        digits = {"u": 4, "U": 8, "x": 2}.get(char)
        if digits is not None:
            code = text[here + 2 : here + 2 + digits]
            if len(code) == digits and re.fullmatch(r"[0-9A-Fa-f]+", code) and char != "x":
                number = int(code, 16)
                if 0xD800 <= number <= 0xDFFF:
                    half = f"\\{char}{code} is half of a character"
                    self._fail(here, 2 + digits, half,
                               "write the character itself, or all of it with eight digits: \\U0001F600")  # fmt: skip
                if number > 0x10FFFF:
                    self._fail(here, 2 + digits, "there is no such character", "the last one is \\U0010FFFF")
                return here + 2 + digits
        hint = "put the text between three single quotes: '''…''', or write \\\\ for a backslash"
        if not long:
            hint = self._backslash(start, key, opened)
        if char in ("\n", "\r", "") and not long:
            way = 'a line goes on behind a \\ between three double quotes only: """…"""; or write it on one line'
            self._fail(here, 1, "the text is not closed on its line", way)
        what = f"\\{char}" if char.isprintable() and char.strip() else "a backslash"
        self._fail(here, 2, f"{what} is no escape: in double quotes a backslash begins one", hint)
        return here

    def _backslash(self, start: int, key: str, opened: int) -> str:
        line = self._line_at(opened)
        offset = opened - (self._text.rfind("\n", 0, opened) + 1)
        match = re.match(r'"([^"]*)"', line[offset:])
        shown = key and match and "'" not in match[1] and may_be_shown(self._text, start) and len(match[1]) < 100
        alone = line[:offset].partition("=")[2].strip() == ""
        if shown and match:
            text = f"'{match[1]}'"
            return f"put the text in single quotes, which know no escapes: {f'{key} = ' if alone else ''}{text}"
        return "put the text in single quotes, which know no escapes: '…', or write \\\\ for a backslash"

    def _list(self, path: tuple[str | int, ...], at: int, start: int, key: str) -> int:
        opened, index, text = at, 0, self._text
        behind, at = at, self._skip_lines(at + 1)
        while not text.startswith("]", at):
            if at >= self._end or ("\n" in text[behind:at] and _PAIR_LINE.match(text, at)):
                self._fail(opened, 1, "the list that begins here is not closed", "write a `]` at its end")
            if text.startswith(",", at):
                self._fail(at, 1, "there is a comma with nothing in front of it", "remove it")
            before = at
            at = self._value((*path, index), at, start, key)
            after = self._skip_lines(at)
            behind = at
            if text.startswith(",", after):
                at = self._skip_lines(after + 1)
            elif text.startswith("]", after):
                at = after
            elif after >= self._end or ("\n" in text[at:after] and _PAIR_LINE.match(text, after)):
                self._fail(opened, 1, "the list that begins here is not closed", "write a `]` at its end")
            else:
                self._between(before, at, after, start, "list", key)
            index += 1
        return at + 1

    def _braces(self, path: tuple[str | int, ...], at: int, start: int, key: str) -> int:
        opened, text = at, self._text
        at = self._skip_lines(at + 1)
        while not text.startswith("}", at):
            if at >= self._end or text.startswith("[", at):
                self._fail(opened, 1, "the table that begins here is not closed", "write a `}` at its end")
            if text.startswith(",", at):
                self._fail(at, 1, "there is a comma with nothing in front of it", "remove it")
            before = self._blank_after_equals(at)
            at = self._pair(path, at, inline=True)
            after = self._skip_lines(at)
            if text.startswith(",", after):
                at = self._skip_lines(after + 1)
            elif text.startswith("}", after):
                at = after
            elif after >= self._end or ("\n" in text[at:after] and text.startswith("[", after)):
                self._fail(opened, 1, "the table that begins here is not closed", "write a `}` at its end")
            else:
                self._between(before, at, after, start, "table", key)
        return at + 1

    def _blank_after_equals(self, at: int) -> int:
        equals = self._text.find("=", at)
        return self._blank(equals + 1) if equals >= 0 else at

    def _between(self, before: int, at: int, after: int, start: int, what: str, key: str) -> None:
        """Neither a comma nor the end stands behind an element."""
        text = self._text
        quote = text[at - 1]
        if quote in "\"'" and after == at and text[before : before + 3] != quote * 3:
            end = self._text.find("\n", at)
            line = text[before : end if end >= 0 else self._end]
            last = max(line.rstrip(" \t,]}").rfind(quote), 1)
            inner = line[1:last]
            both = "'" in inner
            hint = "put it between three single quotes: '''…'''" if both else "put it in single quotes: '…'"
            if may_be_shown(text, start) and key and inner.count(quote) == 2 and len(inner) < 60:
                hint = hint.replace("…", inner)
            self._fail(at - 1, 1, f"a {quote} inside of the text has ended it", hint)
        if "\n" in text[at:after]:
            self._fail(at, 1, f"a comma is missing behind this line of the {what}", "write a `,` at its end")
        closing = "]" if what == "list" else "}"
        self._fail(
            after,
            1,
            f"a comma or the `{closing}` of the {what} is missing here",
            f"write `,` or `{closing}` in front of it",
        )

    def _bare(self, at: int, start: int, key: str) -> int:
        text = self._text
        date = _DATE.match(text, at)
        match = BARE.match(text, at)
        if date and (match is None or date.end() >= match.end()):
            if date[0][2] == ":" or _real_day(date[0]):
                return date.end()
        word = match[0] if match else ""
        if word in ("true", "false") or NUMBER.fullmatch(word):
            return at + len(word)
        self._unquoted(start, key, self._rest(at).rstrip("\r"), at)
        return at

    def _unquoted(self, start: int, key: str, rest: str, at: int) -> NoReturn:
        self._fail(*fault_of(self._text, start, key, rest, at))


def _real_day(text: str) -> bool:
    from datetime import date

    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True

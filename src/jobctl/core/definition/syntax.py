"""Why a text is no TOML: the first fault, the place where it begins, and what to write instead.

tomllib says where it gave up, which is often far behind the mistake and never says what was meant. This reads the text
once more, only after tomllib has refused it, and understands no more than it must; "" is no verdict: see document.py.
No value is repeated unless its key may be shown (excerpt.py).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from jobctl.core.definition.excerpt import may_be_shown
from jobctl.core.definition.schema import known_keys
from jobctl.core.definition.suggest import plain_name, quoted

_BLANK = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_BARE = re.compile(r"""[^,\[\]{}#\s"']+""")
_REST = re.compile(r"[^\n]*")
_NUMBER = re.compile(
    r"[+-]?(?:0|[1-9](?:_?[0-9])*)(?:\.[0-9](?:_?[0-9])*)?(?:[eE][+-]?[0-9](?:_?[0-9])*)?|[+-]?(?:inf|nan)"
    r"|0x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*|0o[0-7](?:_?[0-7])*|0b[01](?:_?[01])*"
)
_DATE = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?"
    r"|(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
)
_LIKE_A_DATE = re.compile(r"[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}(?:[Tt ][0-9:.]+\S*)?|[0-9]{1,2}:[0-9]{2}\S*")
_CONFLICT = re.compile(r"(?:<{7}|\|{7}|>{7})(?:[ \r\n]|$)|={7}[ \t]*\r?(?:\n|$)", re.MULTILINE)
_LINE_OF_PAIR = re.compile(r"""([A-Za-z0-9_.-]+|"[^"\n]*"|'[^'\n]*')[ \t]*=|\[""")
_SMART = "“”„‟«»‘’‚‛′″"  # what word processors make of quotes
_NOT_BLANKS = {"\u00a0": "a no-break space", "\u200b": "a zero-width space", "\ufeff": "a byte order mark",
               "\u3000": "a wide space", "\u202f": "a narrow space", "\u2028": "a line separator"}  # fmt: skip
_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_NOTHING = ("null", "none", "nil", "undefined", "~")
_ESCAPES = 'btnfr"\\'
_UNIX = "end lines with a line feed: save the file with Unix line ends"
_HARMLESS = {'"': re.compile(r'[^"\\\x00-\x1f\x7f]+'), "'": re.compile(r"[^'\x00-\x1f\x7f]+")}  # within quotes
_CRONTAB = re.compile(
    r"[ \t]*(?:@[a-z]+|(?:[0-9*/,-]+[ \t]+){2}(?:[0-9*/,A-Za-z-]+[ \t]+){2}[0-9*/,A-Za-z-]+)[ \t]+[^=\s]"
)


class Fault(NamedTuple):
    """`at` is an offset into the text; `length` of what is underlined."""

    at: int
    length: int
    message: str
    hint: str


class _FoundError(Exception):
    def __init__(self, at: int, length: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.fault = Fault(at, max(1, length), message, hint)


def first_fault(text: str) -> Fault | None:
    """The first fault of a text that tomllib refused. None: this does not know it."""
    try:
        _Reader(text).file()
    except _FoundError as found:
        return found.fault
    except (RecursionError, IndexError):
        return None
    return None


class _Seen(NamedTuple):
    at: int
    what: str  # value | braces | head | list


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._end = len(text)
        self._seen: dict[tuple[str | int, ...], _Seen] = {}
        self._sizes: dict[tuple[str | int, ...], int] = {}

    # --- statements ------------------------------------------------------------------------------------------------

    def file(self) -> None:
        text, at = self._text, 0
        table: tuple[str | int, ...] = ()
        while True:
            at = self._skip_lines(at)
            if at >= self._end:
                return
            if _CONFLICT.match(text, at) and text[at - 1 : at] in ("", "\n"):
                rest = _REST.match(text, at)
                raise _FoundError(
                    at,
                    len(rest[0].rstrip()) if rest else 7,
                    "a merge has left its conflict markers here",
                    "keep one of the two sides, and remove the lines <<<<<<<, ======= and >>>>>>>",
                )
            if text[at] == "[":
                table, at = self._head(at)
            else:
                at = self._pair(table, at)
            self._end_of_statement(at)

    def _end_of_statement(self, at: int) -> None:
        text = self._text
        after = self._blank(at)
        char = text[after : after + 1]
        if char in ("", "\n", "#") or text.startswith("\r\n", after):
            return
        if char == "\r":
            self._fail(after, 1, "a carriage return stands here alone", _UNIX)
        start = text.rfind("\n", 0, at) + 1
        head = text[start:at].lstrip().startswith("[") and text[start:at].rstrip().endswith("]")
        rest = self._rest(after)
        if head:
            if rest.startswith("]"):
                name = text[start:at].strip().strip("[]")
                self._fail(after, len(rest), "there is a `]` too many here", f"write [{name}] or [[{name}]]")
            self._fail(after, len(rest), "a head like this stands on a line of its own", "move what follows it down")
        key, equals, value = text[start:at].partition("=")
        if char in ",;":
            self._fail(after, 1, f"nothing follows a value, not even a `{char}`", f"remove the `{char}`")
        begins = _LINE_OF_PAIR.match(rest)
        if begins and after > at and (text[at - 1] not in "\"'" or begins[1] in known_keys()):
            self._fail(after, len(rest), "this stands on a line of its own", "begin a new line here")
        if rest[:2] in ("//", "--", "/*") and "'" not in rest and '"' not in rest:
            self._fail(after, len(rest), f"a comment begins with #, not with {rest[:2]}", "write # instead")
        if text[at - 1] in "\"'" and char != "=":
            self._inner_quote(start, at, after)
        if not equals or value.lstrip()[:1] in ("", "[", "{"):
            self._fail(after, len(rest), "something follows the value", "begin a new line here, or remove it")
        first = start + len(key) + 1 + len(value) - len(value.lstrip())
        self._unquoted(start, key.strip(), self._rest(first), first)

    def _inner_quote(self, start: int, at: int, after: int) -> None:
        """A quote inside of a text has ended it: the commonest mistake with shell commands."""
        line = self._line_at(start)
        key, equals, value = line.partition("=")
        quote = self._text[at - 1]
        value = _without_comment(value.strip())
        last = value.rstrip()[-1:]
        if not equals or value[:3] == quote * 3 or value[:1] != quote or last != quote:
            self._fail(
                after,
                len(self._rest(after)),
                "something follows the quote that ends the text",
                "a text stands between one pair of quotes, all of it; only a comment may follow on its line",
            )
        inner = value[1:-1]
        self._fail(at - 1, 1, f"a {quote} inside of the text has ended it", self._requoted(start, key.strip(), inner))

    def _requoted(self, at: int, key: str, inner: str) -> str:
        """How a text is written that holds quotes, with the text itself where it may be shown."""
        if "'" not in inner:
            way, quotes = "put the text in single quotes", "'"
        elif "'''" not in inner and inner[-1:] != "'":
            way, quotes = "put the text between three single quotes", "'''"
        else:
            return 'write \\" for a quote within double quotes'
        if may_be_shown(self._text, at) and len(inner) < 100 and key:
            return f"{way}: {key} = {quotes}{inner}{quotes}"
        return f"{way}: {quotes}…{quotes}"

    def _head(self, at: int) -> tuple[tuple[str | int, ...], int]:
        start, text = at, self._text
        many = text.startswith("[[", at)
        opening, closing = ("[[", "]]") if many else ("[", "]")
        keys, at = self._head_keys(at + len(opening), start, opening, closing)
        if not text.startswith(closing, at):
            name = text[start + len(opening) : at].strip()
            rest = self._rest(at)
            if _BLANK.fullmatch(rest) or rest.startswith(("]", "#")):
                self._fail(at, 1, f"the head is not closed: a `{']' if rest[:1] == ']' or not many else ']]'}` is "
                           "missing", f"write {opening}{name}{closing}")  # fmt: skip
            self._odd_head(at, start, opening, closing)
        path: tuple[str | int, ...] = ()
        for key in keys[:-1]:
            path = self._newest((*path, key))
            self._not_closed(path, start, at)
        path = (*path, keys[-1])
        self._not_twice_head(path, start, at, many=many)
        if many:
            self._seen[path] = _Seen(start, "list")
            self._sizes[path] = self._sizes.get(path, 0) + 1
        path = self._newest(path)
        self._seen.setdefault(path, _Seen(start, "head"))
        return path, at + len(closing)

    def _head_keys(self, at: int, start: int, opening: str, closing: str) -> tuple[list[str], int]:
        keys: list[str] = []
        while True:
            at = self._blank(at)
            match = _KEY.match(self._text, at)
            if match is None:
                rest = self._rest(at)
                if not keys and rest[: len(closing)] == closing:
                    self._fail(start, len(opening) + len(closing), "a head names a table", "write [jobs.NAME]")
                if rest[:1] in "\"'" and rest:
                    self._fail(at, 1, "the quote is not closed on its line", f'a name in quotes: {opening}jobs."a b"]')
                self._odd_head(at, start, opening, closing)
            assert match is not None
            if match[0][0] == '"':
                self._string(match.start(), start, "")  # for its escapes
            keys.append(_plain(match[0]))
            at = self._blank(match.end())
            if not self._text.startswith(".", at):
                return keys, at
            at += 1

    def _odd_head(self, at: int, start: int, opening: str, closing: str) -> None:
        line = self._line_at(start).strip()
        whole = re.fullmatch(r"\[+(.*?)\]*\s*(?:#.*)?", line)
        name = re.sub(r"^(jobs|queues)[/:\\ ]+", r"\1.", whole[1].strip() if whole else "")
        parts = [plain_name(part) for part in name.split(".")]
        near = ".".join([*(part for part in parts if part), *(["NAME"] if not parts[-1] else [])])
        hint = f"write {opening}{near}{closing}" if near != "NAME" else f"write {opening}jobs.NAME{closing}"
        if not self._rest(at).strip():
            self._fail(at, 1, "the head is not closed", hint)
        self._fail(at, 1, "a head is names with dots between, of letters, digits, - and _", hint)

    # --- keys and values -------------------------------------------------------------------------------------------

    def _pair(self, table: tuple[str | int, ...], at: int, *, inline: bool = False) -> int:
        start, text = at, self._text
        keys: list[str] = []
        while True:
            match = _KEY.match(text, self._blank(at))
            if match is None:
                self._odd_key(start, self._blank(at), inline=inline)
            assert match is not None
            if match[0][0] == '"':
                self._string(match.start(), start, "")  # for its escapes
            keys.append(_plain(match[0]))
            at = self._blank(match.end())
            if not text.startswith(".", at):
                break
            at += 1
        if not text.startswith("=", at):
            self._no_equals(start, at, inline=inline)
        path = table
        for key in keys[:-1]:
            path = (*path, key)
            self._not_closed(path, start, at)
            seen = self._seen.setdefault(path, _Seen(start, "dotted"))
            if seen.what in ("head", "list"):
                name, line = _dotted(path), self._number(seen.at)
                self._fail(start, at - start, f"`{name}` is the table of line {line}", f"write {keys[-1]} = … below it")
        path = (*path, keys[-1])
        if path in self._seen:
            self._twice(path, start, at, keys)
        at = self._blank(at + 1)
        self._seen[path] = _Seen(start, "braces" if text.startswith("{", at) else "value")
        return self._value(path, at, start, ".".join(keys))

    def _odd_key(self, start: int, at: int, *, inline: bool) -> None:
        text = self._text
        char = text[at : at + 1]
        rest = self._rest(at)
        if char in _NOT_BLANKS:
            self._fail(at, 1, f"there is {_NOT_BLANKS[char]} here, which is no blank to TOML", "type it anew")
        if char and char in _SMART:
            self._fail(at, 1, f"{char} is a typographic quote", "write straight quotes: \" or '")
        if char in ('"', "'"):
            self._fail(at, 1, "the quote is not closed on its line", "a quote is missing at its end")
        if rest[:2] in ("//", "/*", "--") or char in (";", "%"):
            sign = rest[:2] if rest[:2] in ("//", "/*", "--") else char
            self._fail(at, len(sign), f"a comment begins with #, not with {sign}", "write # instead")
        if not inline and _CRONTAB.match(rest):
            self._fail(
                at, len(rest), "this is a line of a crontab", "`jobctl import crontab FILE` makes definitions of it"
            )
        if not inline and char == "{":
            self._fail(at, 1, "this is JSON: definitions are TOML", 'write [jobs.NAME], and below it command = "…"')
        if char == "-" or rest[:2] in ("- ", "* "):
            self._fail(
                at,
                1,
                "this is YAML: TOML has no such lists",
                'a list is written ["a", "b"], a step [[jobs.NAME.steps]]',
            )
        if not inline and char in ("}", "]", ")"):
            self._fail(
                at, 1, f"this `{char}` closes nothing", "remove it, or look at the lines above: a quote may be missing"
            )
        match = re.match(r"[^=\n]*?(?=\s*=)", rest)
        name = match[0].strip() if match else ""
        if name and name.isprintable() and len(name) < 60:
            near = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")
            hint = f'a key is letters, digits, - and _: write {near} = …, or "{name}" = …' if near else ""
            self._fail(start, len(name), f"{quoted(name)} is not a key", hint or f'write it in quotes: "{name}" = …')
        shown = f"U+{ord(char):04X}" if char and not char.isprintable() else f"`{char}`" if char.strip() else "nothing"
        self._fail(
            at,
            1,
            f"a key is missing: there is {shown}",
            "a key is letters, digits, - and _, or stands in quotes"
            if inline
            else "a line is `key = value`, a table `[name]`, a comment `# …`",
        )

    def _no_equals(self, start: int, at: int, *, inline: bool) -> None:
        text = self._text
        key = text[start:at].strip()
        rest = self._rest(at)
        shown = key if len(key) < 60 and key.isprintable() else "the key"
        if rest[:1] in _NOT_BLANKS and rest:
            self._fail(at, 1, f"there is {_NOT_BLANKS[rest[0]]} here, which is no blank to TOML", "type it anew")
        line = self._line_at(start)
        if not inline and _CRONTAB.match(line):
            self._fail(
                start,
                len(line.strip()),
                "this is a line of a crontab",
                "`jobctl import crontab FILE` makes definitions of it",
            )
        if key == "-" or line.strip() in ("---", "..."):
            self._fail(
                start,
                1,
                "this is YAML: TOML has no such lists",
                'a list is written ["a", "b"], a step [[jobs.NAME.steps]]',
            )
        if key in ("export", "set", "declare") and "=" in rest:
            self._fail(start, len(key), "this is a line for a shell", 'variables of a job: env = { NAME = "value" }')
        after = rest.lstrip(":=>").strip()
        value = f" {after}" if may_be_shown(text, start) and after and len(after) < 60 and not inline else " …"
        if inline and rest[:1] in (",", "}"):
            self._fail(at, 1, f"`{shown}` has no value", f"write {shown} = …; a list stands in brackets: [ … ]")
        if rest.startswith((":", "=>")):
            sign = "=>" if rest.startswith("=>") else ":"
            if not after and sign == ":":
                self._fail(
                    at, 1, "this is YAML: TOML has no blocks", "a table is written [jobs.NAME], a value key = value"
                )
            if re.fullmatch(r"[|>][+-]?", after):
                self._fail(at, len(rest), "this is YAML: TOML has no blocks", f"write {shown} = ''' … '''")
            value = value if _like_a_value(value.strip()) else f' "{value.strip()}"'
            self._fail(at, len(sign), f"write `=` behind a key, not `{sign}`", f"write {shown} ={value}")
        words = re.fullmatch(r"([^\n=]*?)[ \t]*=.*", rest)
        if words and words[1] and re.fullmatch(r"[\w \t-]+", words[1]):
            whole = re.sub(r"\s+", " ", f"{key} {words[1]}")
            self._fail(
                start,
                at - start + len(words[1]),
                f"{quoted(whole)} is not a key: a blank ends it",
                f'write {re.sub(r"[ ]+", "_", whole)} = …, or in quotes: "{whole}" = …',
            )
        if rest[:1] in ('"', "'", "[", "{") or re.match(r"[0-9]|(?:true|false)\b", rest):
            self._fail(at, 1, f"a `=` is missing behind `{shown}`", f"write {shown} ={value}")
        if words:
            name = f"{key}{words[1]}"
            if name.isprintable() and len(name) < 60 and '"' not in name:
                near = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")
                self._fail(start, len(name), f"{quoted(name)} is not a key",
                           f'a key is letters, digits, - and _: write {near} = …, or "{name}" = …')  # fmt: skip
        if not rest and not inline:
            self._fail(
                start, at - start, f"`{shown}` stands here alone", f"write {shown} = …, or # in front of a comment"
            )
        self._fail(
            at,
            1,
            "a line begins that is no `key = value`",
            'a line is `key = value`, a table `[name]`, a comment `# …`; a text of several lines stands between """',
        )

    def _value(self, path: tuple[str | int, ...], at: int, start: int, key: str) -> int:
        text = self._text
        char = text[at : at + 1]
        if char in ('"', "'"):
            return self._string(at, start, key)
        if self._text.startswith("{{", at):
            rest = _without_comment(self._rest(at))
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
        match = _BARE.match(text, at)
        if date and (match is None or date.end() >= match.end()):
            if date[0][2] == ":" or _real_day(date[0]):
                return date.end()
        word = match[0] if match else ""
        if word in ("true", "false") or _NUMBER.fullmatch(word):
            return at + len(word)
        self._unquoted(start, key, self._rest(at).rstrip("\r"), at)
        return at

    def _unquoted(self, start: int, key: str, rest: str, at: int) -> None:
        """A value that is none of TOML's: what was meant, and how it is written."""
        text = self._text
        rest = _without_comment(rest).strip()
        inner = text[text.rfind("\n", 0, at) + 1 : at].partition("=")[2].strip() != ""
        match = _BARE.match(rest)
        word = match[0] if match else rest[:1]
        where = at
        set_key = f"{key} = " if key and len(key) < 60 and key.isprintable() and not inner else ""
        show = may_be_shown(text, start)
        char = rest[:1]
        if not rest:
            self._fail(
                at - 1 if at and text[at - 1] == "=" else at,
                1,
                f"the value of `{key}` is missing",
                "write one behind the `=`, or remove the line",
            )
        if char in _SMART:
            self._fail(where, 1, f"{char} is a typographic quote", "write straight quotes: \" or '")
        if char in _NOT_BLANKS:
            self._fail(where, 1, f"there is {_NOT_BLANKS[char]} here, which is no blank to TOML", "type it anew")
        if rest[:2] == "<<" or re.fullmatch(r"[|>][+-]?", rest):
            way = f"write {set_key}''' … '''"
            self._fail(at, len(rest), "a text of several lines stands between three quotes", way)
        if char in ",]}" and not match:
            self._fail(at, 1, f"a value is missing in front of this `{char}`", "write one, or remove the key")
        if rest[:1] == ">" and text[at - 1] == "=":
            self._fail(at - 1, 2, "write `=` behind a key, not `=>`", f"write {key} = …")
        if char == "=":
            self._fail(at, 1, "there is a `=` too many", f"write {key} = …")
        alone = word == rest or inner
        low = word.lower()
        if alone and low in ("true", "false"):
            self._fail(where, len(word), f"{low} is written in small letters", f"write {set_key}{low}")
        if alone and low in _WORDS:
            self._fail(
                where,
                len(word),
                f"TOML has true and false, not {low}",
                f"write {set_key}{_WORDS[low]}; a text stands in quotes",
            )
        if alone and low in _NOTHING:
            self._fail(where, len(word), "TOML has no word for nothing", "leave the key out")
        if alone and re.fullmatch(r"[+-]?0[0-9_]+", word):
            sign, digits = re.fullmatch(r"([+-]?)0+([0-9_]*)", word).groups()  # type: ignore[union-attr]
            value = sign.replace("+", "") + (digits or "0")
            octal = f", as mode 0o{digits}" if re.fullmatch(r"[0-7]{3}", digits) else ""
            hint = f"write {set_key}{value} for the number{octal}" + (
                f', {set_key}"{word}" for the text' if show else ", or a text in quotes"
            )
            if not show:
                hint = "write it without the zero, or as text in quotes"
            self._fail(where, len(word), "a number does not begin with 0", hint)
        if alone and _LIKE_A_DATE.fullmatch(word):
            self._fail(
                where,
                len(word),
                "this is no date or time of the calendar",
                "dates are 2026-12-24, instants 2026-12-24T18:00:00+01:00, or texts in quotes",
            )
        if alone and re.fullmatch(r"[+-]?[0-9_]*[.,]?[0-9_]*(?:e[+-]?[0-9]*)?", word) and re.search(r"[0-9]", word):
            self._fail(
                where,
                len(word),
                "this is no number as TOML writes it",
                "digits on both sides of the point, as in 0.5; a text stands in quotes",
            )
        if inner or not show:
            hint = (
                f'text stands in quotes: "{word}"'
                if show and len(word) < 60
                else 'text stands in quotes: timeout = "30s"'
            )
        else:
            quotes = "'" if '"' in rest else '"'
            if quotes == '"' and "\\" in rest:
                quotes = "'"
            hint = (
                f"text stands in quotes: {set_key}{quotes}{rest}{quotes}"
                if len(rest) < 100 and quotes not in rest
                else "text stands in quotes, between three of them if it holds any: '''…'''"
            )
        self._fail(where, len(word) if inner or not show else len(rest), "a text without quotes", hint)

    # --- twice -----------------------------------------------------------------------------------------------------

    def _newest(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        size = self._sizes.get(path)
        return path if size is None else (*path, size - 1)

    def _not_closed(self, path: tuple[str | int, ...], start: int, at: int) -> None:
        """A table in braces, or a value, takes nothing more from elsewhere."""
        seen = self._seen.get(path)
        if seen is None or seen.what not in ("value", "braces"):
            return
        name, line = _dotted(path), self._number(seen.at)
        if seen.what == "braces":
            self._fail(
                start,
                at - start,
                f"`{name}` is complete: it is written in braces in line {line}",
                f"write all of it in one place: between these braces, or below [{name}] without them",
            )
        self._fail(
            start,
            at - start,
            f"`{name}` is a value in line {line}, and a table here",
            "rename one of them, or remove the value",
        )

    def _not_twice_head(self, path: tuple[str | int, ...], start: int, at: int, *, many: bool) -> None:
        seen = self._seen.get(path)
        if seen is None:
            return
        name, line = _dotted(path), self._number(seen.at)
        length = at - start + (2 if many else 1)
        if seen.what in ("value", "braces"):
            if many:
                self._fail(
                    start,
                    length,
                    f"`{name}` has its value in line {line} already",
                    f"write each of its tables under [[{name}]], and remove line {line}",
                )
            self._not_closed(path, start, at)
        if many and seen.what == "head":
            self._fail(
                start,
                length,
                f"{name} is one table in line {line}, and a list of tables here",
                f"write [[{name}]] there, too",
            )
        if not many and seen.what == "list":
            self._fail(
                start,
                length,
                f"{name} is a list of tables since line {line}, and one table here",
                f"write [[{name}]] here, too",
            )
        if seen.what == "dotted":
            self._fail(
                start,
                length,
                f"`{name}` began in line {line} with a dotted key",
                "write all of it in one place: there, or here",
            )
        if not many:
            self._fail(
                start,
                length,
                f"[{name}] stands here a second time, the first is in line {line}",
                "put what they say together under one of them, or rename one",
            )

    def _twice(self, path: tuple[str | int, ...], start: int, at: int, keys: list[str]) -> None:
        seen, key = self._seen[path], ".".join(keys)
        line = self._number(seen.at)
        if seen.what in ("head", "list", "dotted"):
            self._fail(
                start,
                at - start,
                f"`{key}` is the table of line {line}, and a value here",
                "remove or rename one of them",
            )
        self._fail(
            start,
            at - start,
            f"the key `{key}` stands here a second time, the first is in line {line}",
            "remove or rename one of them",
        )

    # --- places ----------------------------------------------------------------------------------------------------

    def _fail(self, at: int, length: int, message: str, hint: str) -> None:
        raise _FoundError(at, length, message, hint)

    def _number(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    def _line_at(self, at: int) -> str:
        start = self._text.rfind("\n", 0, at) + 1
        match = _REST.match(self._text, start)
        return match[0].rstrip("\r") if match else ""

    def _rest(self, at: int) -> str:
        match = _REST.match(self._text, at)
        return match[0].rstrip() if match else ""

    def _blank(self, at: int) -> int:
        match = _BLANK.match(self._text, at)
        return match.end() if match else at

    def _skip_lines(self, at: int) -> int:
        """Past blanks, line breaks and comments."""
        text = self._text
        while at < self._end:
            char = text[at]
            if char in " \t\n" or text.startswith("\r\n", at):
                at += 1
            elif char == "\r":
                self._fail(at, 1, "a carriage return stands here alone", _UNIX)
            elif char == "#":
                end = text.find("\n", at)
                end = self._end if end < 0 else end
                odd = _CONTROL.search(text, at, end - 1 if text[end - 1 : end] == "\r" else end)
                if odd:
                    self._printable(odd.start())
                at = end
            else:
                break
        return at

    def _printable(self, at: int) -> None:
        char = self._text[at]
        if char == "\n" or self._text.startswith("\r\n", at) or not _CONTROL.match(char):
            return
        code = f"U+{ord(char):04X}"
        self._fail(
            at,
            1,
            f"the control character {code} stands here",
            f"remove it; a text in double quotes may say it as \\u{ord(char):04X}",
        )


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_PAIR_LINE = re.compile(
    r"""(?:[A-Za-z0-9_.-]+|"[^"\n]*"|'[^'\n]*')[ \t]*=(?!=)|\[+[A-Za-z0-9_."'-]+\]+[ \t]*(?:\r?\n|#|$)"""
)


def _plain(key: str) -> str:
    return key[1:-1] if key[0] in "\"'" else key


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(quoted(part)[1:-1] for part in path if isinstance(part, str))


def _without_comment(text: str) -> str:
    """The text without what looks like a comment behind it."""
    return re.sub(r"""\s+#[^"']*$""", "", text)


def _like_a_value(text: str) -> bool:
    return text == "…" or text[:1] in "\"'[{" or text in ("true", "false") or bool(_NUMBER.fullmatch(text))


def _real_day(text: str) -> bool:
    from datetime import date

    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True

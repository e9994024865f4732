"""Why a text is no TOML: the first fault, the place where it begins, and what to write instead.

tomllib says where it gave up, which is often far behind the mistake and never says what was meant. This reads the text
once more, only after tomllib has refused it, and understands no more than it must; "" is no verdict: see document.py.
No value is repeated unless its key may be shown (excerpt.py).
"""

from __future__ import annotations

import re

from jobctl.core.definition.excerpt import may_be_shown
from jobctl.core.definition.scan import BLANK, NOT_BLANKS, REST, SMART, UNIX, Fault, FoundError, without_comment
from jobctl.core.definition.schema import known_keys
from jobctl.core.definition.suggest import plain_name, quoted
from jobctl.core.definition.values import NUMBER, Values
from jobctl.core.record import NamedTuple

_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_CONFLICT = re.compile(r"(?:<{7}|\|{7}|>{7})(?:[ \r\n]|$)|={7}[ \t]*\r?(?:\n|$)", re.MULTILINE)
_LINE_OF_PAIR = re.compile(r"""([A-Za-z0-9_.-]+|"[^"\n]*"|'[^'\n]*')[ \t]*=|\[""")
_CRONTAB = re.compile(
    r"[ \t]*(?:@[a-z]+|(?:[0-9*/,-]+[ \t]+){2}(?:[0-9*/,A-Za-z-]+[ \t]+){2}[0-9*/,A-Za-z-]+)[ \t]+[^=\s]"
)


def first_fault(text: str) -> Fault | None:
    """The first fault of a text that tomllib refused. None: this does not know it."""
    try:
        _Reader(text).file()
    except FoundError as found:
        return found.fault
    except (RecursionError, IndexError):
        return None
    return None


class _Seen(NamedTuple):
    at: int
    what: str  # value | braces | head | list


class _Reader(Values):
    def __init__(self, text: str) -> None:
        super().__init__(text)
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
                rest = REST.match(text, at)
                raise FoundError(
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
            self._fail(after, 1, "a carriage return stands here alone", UNIX)
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
        value = without_comment(value.strip())
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
            if BLANK.fullmatch(rest) or rest.startswith(("]", "#")):
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
        if char in NOT_BLANKS:
            self._fail(at, 1, f"there is {NOT_BLANKS[char]} here, which is no blank to TOML", "type it anew")
        if char and char in SMART:
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
        if rest[:1] in NOT_BLANKS and rest:
            self._fail(at, 1, f"there is {NOT_BLANKS[rest[0]]} here, which is no blank to TOML", "type it anew")
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


def _plain(key: str) -> str:
    return key[1:-1] if key[0] in "\"'" else key


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(quoted(part)[1:-1] for part in path if isinstance(part, str))


def _like_a_value(text: str) -> bool:
    return text == "…" or text[:1] in "\"'[{" or text in ("true", "false") or bool(NUMBER.fullmatch(text))

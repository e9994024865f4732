"""What somebody meant by a value without quotes that is none of TOML's, and how it is written.

Where values begin and end is syntax.py's.
"""

from __future__ import annotations

import re

from jobctl.core.definition.excerpt import may_be_shown
from jobctl.core.definition.scan import BARE, NOT_BLANKS, SMART, Fault, without_comment
from jobctl.core.record import NamedTuple

_LIKE_A_DATE = re.compile(r"[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}(?:[Tt ][0-9:.]+\S*)?|[0-9]{1,2}:[0-9]{2}\S*")
_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_NOTHING = ("null", "none", "nil", "undefined", "~")


class _Word(NamedTuple):
    """What stands where a value was expected."""

    text: str  # of the file
    at: int
    start: int  # of its statement
    key: str
    rest: str  # of its line, without a comment
    word: str  # the first of it
    inner: bool  # it stands within a list or braces
    show: bool  # whether it may be shown

    @property
    def alone(self) -> bool:
        return self.word == self.rest or self.inner

    @property
    def set_key(self) -> str:
        """`key = `, where that helps."""
        fits = self.key and len(self.key) < 60 and self.key.isprintable() and not self.inner
        return f"{self.key} = " if fits else ""


def fault_of(text: str, start: int, key: str, rest: str, at: int) -> Fault:
    rest = without_comment(rest).strip()
    inner = text[text.rfind("\n", 0, at) + 1 : at].partition("=")[2].strip() != ""
    match = BARE.match(rest)
    word = match[0] if match else rest[:1]
    found = _Word(text, at, start, key, rest, word, inner, may_be_shown(text, start))
    return _of_a_mark(found) or _of_a_word(found) or _of_a_number(found) or _of_a_text(found)


def _of_a_mark(w: _Word) -> Fault | None:
    """Nothing at all, or a character that begins no value."""
    char, at, text, key = w.rest[:1], w.at, w.text, w.key
    if not w.rest:
        missing = at - 1 if at and text[at - 1] == "=" else at
        return Fault(missing, 1, f"the value of `{key}` is missing", "write one behind the `=`, or remove the line")
    if char in SMART:
        return Fault(at, 1, f"{char} is a typographic quote", "write straight quotes: \" or '")
    if char in NOT_BLANKS:
        return Fault(at, 1, f"there is {NOT_BLANKS[char]} here, which is no blank to TOML", "type it anew")
    if w.rest[:2] == "<<" or re.fullmatch(r"[|>][+-]?", w.rest):
        way = f"write {w.set_key}''' … '''"
        return Fault(at, len(w.rest), "a text of several lines stands between three quotes", way)
    if char in ",]}" and not BARE.match(w.rest):
        return Fault(at, 1, f"a value is missing in front of this `{char}`", "write one, or remove the key")
    if char == ">" and text[at - 1] == "=":
        return Fault(at - 1, 2, "write `=` behind a key, not `=>`", f"write {key} = …")
    if char == "=":
        return Fault(at, 1, "there is a `=` too many", f"write {key} = …")
    return None


def _of_a_word(w: _Word) -> Fault | None:
    low, length = w.word.lower(), len(w.word)
    if not w.alone:
        return None
    if low in ("true", "false"):
        return Fault(w.at, length, f"{low} is written in small letters", f"write {w.set_key}{low}")
    if low in _WORDS:
        way = f"write {w.set_key}{_WORDS[low]}; a text stands in quotes"
        return Fault(w.at, length, f"TOML has true and false, not {low}", way)
    if low in _NOTHING:
        return Fault(w.at, length, "TOML has no word for nothing", "leave the key out")
    return None


def _of_a_number(w: _Word) -> Fault | None:
    """A number, a date or a time that TOML writes otherwise."""
    word, length = w.word, len(w.word)
    if not w.alone:
        return None
    if zeros := re.fullmatch(r"([+-]?)0+([0-9_]*)", word) if re.fullmatch(r"[+-]?0[0-9_]+", word) else None:
        sign, digits = zeros.groups()
        value = sign.replace("+", "") + (digits or "0")
        octal = f", as mode 0o{digits}" if re.fullmatch(r"[0-7]{3}", digits) else ""
        hint = f'write {w.set_key}{value} for the number{octal}, {w.set_key}"{word}" for the text'
        if not w.show:
            hint = "write it without the zero, or as text in quotes"
        return Fault(w.at, length, "a number does not begin with 0", hint)
    if _LIKE_A_DATE.fullmatch(word):
        way = "dates are 2026-12-24, instants 2026-12-24T18:00:00+01:00, or texts in quotes"
        return Fault(w.at, length, "this is no date or time of the calendar", way)
    if re.fullmatch(r"[+-]?[0-9_]*[.,]?[0-9_]*(?:e[+-]?[0-9]*)?", word) and re.search(r"[0-9]", word):
        way = "digits on both sides of the point, as in 0.5; a text stands in quotes"
        return Fault(w.at, length, "this is no number as TOML writes it", way)
    return None


def _of_a_text(w: _Word) -> Fault:
    if w.inner or not w.show:
        shown = f'"{w.word}"' if w.show and len(w.word) < 60 else 'timeout = "30s"'
        return Fault(w.at, max(1, len(w.word)), "a text without quotes", f"text stands in quotes: {shown}")
    quotes = "'" if '"' in w.rest or "\\" in w.rest else '"'
    if len(w.rest) < 100 and quotes not in w.rest:
        hint = f"text stands in quotes: {w.set_key}{quotes}{w.rest}{quotes}"
    else:
        hint = "text stands in quotes, between three of them if it holds any: '''…'''"
    return Fault(w.at, len(w.rest), "a text without quotes", hint)

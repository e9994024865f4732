"""What is put in: valid texts made after their grammars, and the same with something broken. Strategies of hypothesis.

The grammar of a definitions file is the one that validation has, core/definition/schema.py: what is added there
is tried here.
"""

from __future__ import annotations

import binascii
import copy
import json
import re
import string
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import strategies as st

from jobctl.core.definition import moments, plain, schema, several, shapes
from jobctl.core.definition.shapes import Shape
from jobctl.core.definition.tables import Table
from jobctl.core.run.history import EventType
from jobctl.core.schedule.cron import DAY_NAMES, MONTH_NAMES

ROOT = Path(__file__).parents[2]
FILES = [path.read_bytes() for path in [ROOT / "jobs.example.toml", *sorted(ROOT.glob("examples/*/jobs.toml"))]]

Strategy = st.SearchStrategy

# --- texts with something broken -------------------------------------------------------------------------------------

# What is seldom in a text and often in trouble.
_ODD = ["\0", "\r", "\r\n", "\n", "\t", "\x1b[2J", "\x85", "\u2028", "\ufeff", "\U0001f980", "ß", "\\", '"', "'", '"""']
_ODD += [
    "'''", "{{", "}}", "{{ params.x }}", "[", "]", "[[", "{", "}", ",", "=", "#", ".", "-", "*", "%", "<<END",
    "9" * 5000,
]  # fmt: skip
ODD = st.sampled_from(_ODD)


@st.composite
def broken(draw: Any, texts: Strategy[str]) -> str:
    """One of the texts with up to four places in which something is lost, doubled, moved or put in."""
    text = draw(texts)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 1, 1, 2, 5, 20, 200])))
        cut = text[start:end]
        match draw(st.sampled_from(["lose", "double", "put in", "replace", "truncate", "move line"])):
            case "lose":
                text = text[:start] + text[end:]
            case "double":
                text = text[:end] + cut + text[end:]
            case "put in":
                text = text[:start] + draw(ODD) + text[start:]
            case "replace":
                text = text[:start] + draw(ODD) + text[end:]
            case "truncate":
                text = text[:start]
            case _:  # move a line
                lines = text.split("\n")
                line = lines.pop(draw(st.integers(0, len(lines) - 1)))
                lines.insert(draw(st.integers(0, len(lines))), line)
                text = "\n".join(lines)
    return text


@st.composite
def torn(draw: Any, data: Strategy[bytes]) -> bytes:
    """The bytes, cut off anywhere, and with some in between that are none of text."""
    whole = draw(data)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(whole)))
        odd = [b"\xff", b"\0", b"\xed\xa0\x80", b"\xc3", b"\r", b"\n", b"\x85", b"x" * 70_000]
        whole = whole[:at] + draw(st.sampled_from(odd)) + whole[at:]
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


# --- definitions -----------------------------------------------------------------------------------------------------

_NAMES = ["a", "b", "load", "send-mail", "x_1", "7"]
_TEXTS = [
    "true",
    "echo hi",
    "https://h.example/{{ params.day }}?k={{ env.K }}",
    "sh -c 'a; b'",
    "/srv",
    "a\nb",
    "ü",
    "$HOME",
    "~",
    "x" * 300,
]
_REFERENCES = ["{{ params.day }}", "{{ run.id }}", "{{ steps.a.stdout }}", "{{ steps.b.outputs.k }}", "{{ item.id }}"]
_ARGUMENTS = st.lists(
    st.sampled_from(["./do", "-v", "--day", "", "{{ run.id }}", "{{ run.fire_date }}", "ü"]), max_size=3
)
_JSON = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, "a", "{{ run.id }}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=2),
    max_leaves=4,
)
_DURATIONS = st.sampled_from(["1s", "250ms", "5m", "1h30m", "7d", "2w"])
_INSTANTS = st.sampled_from(["2026-12-24T18:00:00+01:00", "2027-01-01T00:00:00Z"])
_ZONES = st.sampled_from(["Europe/Berlin", "UTC", "America/New_York", "Australia/Lord_Howe"])
_DATES = st.sampled_from(["2027-01-01", "2028-02-29"])


def _number(shape: plain.Integer) -> Strategy[int]:
    return st.integers(max(shape.least, -3), min(shape.most, max(shape.least, 3) + 3))


# The shapes without parts. What stands for a shape here is valid for it.
_LEAVES: dict[type[Shape], Callable[[Any], Strategy[Any]]] = {
    plain.Text: lambda shape: st.sampled_from([text for text in _TEXTS if text] + ([""] if shape.empty else [])),
    plain.Name: lambda _: st.sampled_from(_NAMES),
    plain.Boolean: lambda _: st.booleans(),
    plain.Integer: _number,
    plain.Number: lambda shape: st.sampled_from([shape.least, shape.least + 0.5, 3]),
    plain.Choice: lambda shape: st.sampled_from([str(choice) for choice in shape.choices]),
    moments.Duration: lambda _: _DURATIONS,
    moments.Instant: lambda _: _INSTANTS,
    moments.Date: lambda _: _DATES,
    moments.CronText: lambda _: expressions(),
    moments.ScheduleText: lambda _: expressions(),
    moments.Zone: lambda _: _ZONES,
    plain.Size: lambda _: st.sampled_from(["64MiB", "10 KB", 1000]),
    several.Arguments: lambda _: _ARGUMENTS.map(lambda rest: ["./run", *rest]),
    several.Json: lambda _: _JSON,
    several.NotATable: lambda _: st.sampled_from(["x", 1, 0.5, True, "{{ run.fire_date }}", ["a"], []]),
    several.Environment: lambda _: st.dictionaries(
        st.sampled_from(["A", "PATH", "_b"]), st.sampled_from([*_TEXTS, "{{ run.job }}"]), max_size=2
    ),
}


@cache
def _of(shape: Shape) -> Strategy[Any]:
    """Values that the shape takes."""
    match shape:
        case Table():
            return _table(shape)
        case several.Short():
            return _of(shape.shape)
        case several.Either():
            return st.one_of(*(st.deferred(lambda part=part: _of(part)) for part in shape.shapes))
        case several.OneOrMany():
            one = _of(shape.shape)
            return one | st.lists(one, min_size=1, max_size=2)
        case several.MapOf():
            return st.dictionaries(st.sampled_from(_NAMES), _of(shape.shape), max_size=3)
    if leaf := _LEAVES.get(type(shape)):
        return leaf(shape)
    assert isinstance(shape, several.ListOf), f"inputs.py does not know how to make a {type(shape).__name__}"
    return st.lists(_of(shape.items), min_size=shape.least, max_size=max(2, shape.least))


@st.composite
def _table(draw: Any, table: Table) -> dict[str, Any]:
    """A table with one of its kinds, what it requires, and some of the other keys that go with those."""
    out: dict[str, Any] = {}
    chosen = [key for key, spec in table.keys.items() if spec.required]
    if table.one_of:
        chosen.append(draw(st.sampled_from(table.one_of)))
    others = [key for key in table.keys if key not in chosen and key not in table.one_of]
    chosen += draw(st.lists(st.sampled_from(others), max_size=4, unique=True)) if others else []
    for key in chosen:
        spec = table.keys[key]
        if not spec.beside or any(other in chosen for other in spec.beside):
            out[key] = draw(_of(spec.shape))
    return out


_JOBS = st.dictionaries(st.sampled_from(_NAMES), _of(schema.JOB), min_size=1, max_size=2)


@st.composite
def _documents(draw: Any) -> dict[str, Any]:
    """A definitions file as its tables: by the grammar, and then so that names that must fit together mostly do."""
    document: dict[str, Any] = {"jobs": draw(_JOBS)}
    jobs = document["jobs"]
    for key in draw(st.lists(st.sampled_from(["defaults", "queues"]), max_size=2, unique=True)):
        document[key] = draw(_of(schema.FILE.keys[key].shape))
    for table in jobs.values():
        names: list[str] = []
        for step in table.get("steps", []):
            step["name"] = step["name"] if step["name"] not in names else f"s{len(names)}"
            if "needs" in step:
                step["needs"] = draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) if names else []
            if "job" in step:
                step["job"] = draw(st.sampled_from(list(jobs)))
                step.pop("params", None)
            if "timeout" in step and "command" not in step:
                step["timeout"] = "3d"
            names.append(step["name"])
    return document


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for key, part in parts for inner in _paths(part, (*path, key)))]


_WRONG = st.sampled_from(
    [
        True,
        0,
        -1,
        2**53 + 1,
        2**70,
        0.5,
        float("nan"),
        float("inf"),
        "",
        " ",
        "x",
        "30",
        "1 h",
        "\x00",
        "{{",
        *_REFERENCES,
        [],
        [""],
        [[]],
        {},
        {"x": {}},
        "a" * 200000,
        "@reboot",
        "*/0 * * * *",
        "2026-12-24",
        "Mars/Olympus",
        ["a", "a"],
    ]
)


@st.composite
def _wrong_documents(draw: Any) -> dict[str, Any]:
    """A file with up to three values of it lost, renamed, moved, or replaced by what does not belong there."""
    document: dict[str, Any] = json.loads(json.dumps(draw(_documents())))
    for _ in range(draw(st.integers(1, 3))):
        paths = _paths(document)[1:]
        if not paths:
            break
        *outer, last = draw(st.sampled_from(paths))
        holder: Any = document
        for part in outer:
            holder = holder[part]
        match draw(st.sampled_from(["replace", "lose", "rename", "wrap", "copy"])):
            case "replace":
                holder[last] = copy.deepcopy(draw(_WRONG))  # the next round may change what is in it
            case "lose":
                del holder[last]
            case "rename" if isinstance(holder, dict):
                new = draw(
                    st.sampled_from([f"{last}s", str(last)[:-1], str(last).replace("_", "-"), "needs", "Å b", ""])
                )
                holder[new] = holder.pop(last)
            case "copy" if isinstance(holder, dict):
                holder[draw(st.sampled_from([*_NAMES, "steps", "foreach", "retry"]))] = json.loads(
                    json.dumps(holder[last])
                )
            case _:
                holder[last] = [holder[last]]
    return document


def _dumped(document: dict[str, Any]) -> str:
    return tomli_w.dumps(document)


def valid_definitions() -> Strategy[bytes]:
    """By the grammar; nearly all are accepted."""
    return _documents().map(_dumped).map(str.encode)


def wrong_definitions() -> Strategy[bytes]:
    """TOML of which some values are wrong."""
    return _wrong_documents().map(_dumped).map(lambda text: text.encode(errors="surrogatepass"))


def broken_definitions() -> Strategy[bytes]:
    """Files from the examples and by the grammar, broken as texts and as bytes."""
    texts = st.sampled_from([data.decode() for data in FILES]).map(_some_lines) | _documents().map(_dumped)
    return torn(broken(texts).map(str.encode)) | broken(texts).map(str.encode)


def _some_lines(text: str) -> str:
    """So much of a long file as can be tried often: its first tables."""
    return text if len(text) < 4000 else text[: text.find("\n[", 3000)]


# --- cron ------------------------------------------------------------------------------------------------------------

_SPANS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@st.composite
def _item(draw: Any, place: int) -> str:
    low, high = _SPANS[place]
    names = {3: MONTH_NAMES, 4: DAY_NAMES}.get(place, ())

    def written(number: int) -> str:
        named = names and draw(st.booleans()) and number - (place == 3) < len(names)
        text = names[number - (place == 3)] if named else str(number)
        return draw(st.sampled_from([text, text.upper(), f"0{text}" if text.isdigit() else text]))

    first, last = sorted([draw(st.integers(low, high)), draw(st.integers(low, high))])
    step = draw(st.sampled_from(["", "", "/1", "/2", "/7", "/31", "/90"]))
    kinds = ["number", "number", "range", "star", "star"]
    kinds += {2: ["L"], 4: ["last", "nth"]}.get(place, [])
    match draw(st.sampled_from(kinds)):
        case "number":
            return written(first)
        case "range":
            return f"{written(first)}-{written(last)}{step}"
        case "star":
            return f"*{step}"
        case "L":
            return "L"
        case "last":
            return f"{written(first)}L".lstrip("0") if first else "0L"
        case _:
            return f"{written(first)}#{draw(st.integers(1, 5))}".lstrip("0")


@st.composite
def expressions(draw: Any) -> str:
    """Five fields, or a macro. Most are accepted."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"]))
    fields = [",".join(draw(st.lists(_item(place), min_size=1, max_size=3))) for place in range(5)]
    for days in draw(st.sampled_from([(), (2,), (4,), (2, 4)])):  # stars, so that more than a few can fire
        fields[days] = "*"
    if re.search("[l#]", (fields[2] + fields[4]).lower()):
        fields[2 if fields[4] != "*" else 4] = "*"
    return " ".join(fields)


def broken_expressions() -> Strategy[str]:
    """What people write that is no cron, and cron with something broken."""
    words = [
        "?", "H", "H/15", "R", "5W", "LW", "L-3", "mon-sunday", "fri-mon", "20-10", "24", "60", "*/0", "10/2", "~",
        "a#9",
    ]  # fmt: skip
    words += [
        "*", "0", "1-5", "*/5", "jan", "mon", "@reboot", "@every 5m", "@Daily", "TZ=UTC", "2027", "command", "31",
        "30",
    ]  # fmt: skip
    lines = st.lists(st.sampled_from(words) | ODD.map(lambda text: text[:40]), max_size=7).map(" ".join)
    return lines | broken(expressions())


# --- references, durations, keys -------------------------------------------------------------------------------------


def reference_texts() -> Strategy[str]:
    inner = [
        "params.day", "params.", "steps.a.stdout", "steps.a.outputs.k", "item", "item.k", "run.id", "run.date",
        "env.A",
    ]  # fmt: skip
    inner += ["steps.a", ".", "-", "a.b.c.d", "{", "}", " ", "\n", "x" * 80]
    parts = st.sampled_from(["{{", "}}", "{{ ", " }}", "{", "}", " ", "text", "\t", *inner]) | ODD
    whole = st.sampled_from(inner[:7]).map(lambda name: f"{{{{ {name} }}}}")
    return st.lists(parts | whole, max_size=8).map("".join) | st.lists(whole | st.text(max_size=3), max_size=4).map(
        "".join
    )


def duration_texts() -> Strategy[str]:
    units = st.sampled_from(
        ["ms", "s", "m", "h", "d", "w", "S", "min", " minutes", "hours ", "", ".", "-", "µs", "\u0661"]
    )
    part = st.tuples(st.integers(0, 10**6) | st.integers(0, 10**20), units).map(lambda pair: f"{pair[0]}{pair[1]}")
    return st.lists(part, max_size=4).map("".join) | st.text(max_size=8)


STEP_NAMES = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=63).filter(
    shapes.NAME_RULE.fullmatch
)

# --- files of an attempt ---------------------------------------------------------------------------------------------

_LINES = st.sampled_from(
    [
        "a=1",
        "a=",
        "=1",
        " b = 2 ",
        "a<<END",
        "END",
        "END ",
        "<<END",
        "a<<",
        "a=x<<y",
        "plain",
        "",
        "ü=ß",
        "message=bad",
        "type=T",
        "non_retryable=true",
        "non_retryable=maybe",
        "next_retry_delay=90s",
        "next_retry_delay=soon",
        "message<<E",
        "E",
        "x" * 5000,
    ]
)


def output_files() -> Strategy[bytes]:
    lines = st.lists(_LINES, max_size=8)
    return torn(
        st.tuples(lines, st.sampled_from(["\n", "\r\n"])).map(lambda both: both[1].join([*both[0], ""]).encode())
    )


def journals() -> Strategy[bytes]:
    """Records whose sums are right, with anything in them."""
    words = st.sampled_from(["I", "S", "U", "R", "E", "O", "H", "x/main.1", "-", "-1", "0", "1", "4711", "exit"])
    lines = st.lists(words | st.integers().map(str), max_size=9).map(" ".join)

    def whole(texts: list[str]) -> bytes:
        return b"".join(b"%b %08x\n" % (text.encode(), binascii.crc32(text.encode())) for text in texts)

    return st.lists(lines, max_size=12).map(whole)


def state_files() -> Strategy[bytes]:
    words = [
        "1234", "run", "skip 1", "skip 2", "nofolder", "exit 0", "exit 1", "exit 137", "exit 300", "Killed", "exit",
        "exit x",
    ]  # fmt: skip
    words += ["9" * 30, f"exit {'9' * 30}", "skip 1000", "exit -1", ""]
    return torn(st.lists(st.sampled_from(words), max_size=5).map(lambda lines: "\n".join([*lines, ""]).encode()))


def heartbeat_files() -> Strategy[bytes]:
    lines = ["1", "2", "row 3", "", "ü", "x" * 65_534, "x" * 65_536, "x" * 65_540, "a\r"]
    return torn(st.lists(st.sampled_from(lines), max_size=5).map(lambda found: "\n".join([*found, ""]).encode()))


# --- rows of the events table ----------------------------------------------------------------------------------------

_DATA_KEYS = [
    "status", "step_status", "error", "outputs", "cursor", "retry_at", "until", "kind", "name", "redo", "params",
]  # fmt: skip
_DATA_KEYS += [
    "approved", "reason", "by", "signal", "exit_code", "stdout", "payload", "fire_time", "trigger", "executor",
    "why",
]  # fmt: skip
_VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1,
        2**62,
        2**70,
        1e300,
        "",
        "failed",
        "succeeded",
        "sleep",
        "go",
        [],
        ["main"],
        [[]],
        {},
        {"a": 1},
    ]
)
_JSON_TEXTS = st.dictionaries(st.sampled_from(_DATA_KEYS), _VALUES, max_size=4).map(json.dumps) | st.sampled_from(
    ["", "{", "[", "[" * 20_000, '{"a":' * 20_000, "5", "NaN", '{"a":NaN}', "null", '{"status":"\\ud800"}', "9" * 5000]
)
_ANYTHING = st.sampled_from([None, 0, 1, -1, 2**62, 1.5, 1e300, "", "main", b"", b"\xff\xfe", b"{}"])


@st.composite
def event_rows(draw: Any) -> list[tuple[Any, ...]]:
    """Rows (at, type, step, number, data) of a run's history, sound at their beginning and then of any kind."""
    sound = [(1000, 1, None, None, "{}"), (1001, 2, None, None, '{"executor":"e1"}'), (1002, 3, "main", 1, None)]
    rows = sound[: draw(st.integers(0, 3))]
    row = st.tuples(
        st.sampled_from([1003, 1003, 0, -1, 2**62, 253_402_300_800_000]) | _ANYTHING,
        st.integers(0, len(EventType) + 1) | _ANYTHING,
        st.sampled_from(["main", None, "main[0]", "a[x]!undo"]) | _ANYTHING,
        st.sampled_from([1, None, 2]) | _ANYTHING,
        _JSON_TEXTS | _ANYTHING,
    )
    return rows + draw(st.lists(row, max_size=4))


# --- crontabs --------------------------------------------------------------------------------------------------------


def crontabs() -> Strategy[str]:
    names = st.sampled_from(
        ["MAILTO", "SHELL", "PATH", "HOME", "CRON_TZ", "TZ", "RANDOM_DELAY", "LOGNAME", "X", "'A b'", ""]
    )
    values = st.sampled_from(
        ["", "root", "/bin/bash", '"a b"', "'", "UTC", "Nowhere", "30", "{{ run.id }}", "{{", "-5"]
    )
    assigned = st.tuples(names, st.sampled_from(["=", " = ", "\t="]), values).map("".join)
    commands = [
        "true", "root true", "cd /x && ./y", "mail % a%b", "a \\% b", "-n true", "", "*", "{{ params.x }}",
        "x" * 1200,
    ]  # fmt: skip
    entry = st.tuples(
        st.sampled_from(["", " ", "-", "\t"]),
        expressions() | broken_expressions(),
        st.sampled_from([" ", "\t", "  ", ""]),
        st.sampled_from(commands) | ODD.map(lambda text: text[:40]),
    ).map("".join)
    lines = st.lists(
        entry | assigned | st.sampled_from(["# a comment", "#0 1 * * * x", "", " ", "nonsense"]), max_size=6
    )
    return broken(lines.map("\n".join)) | lines.map(lambda found: "".join(f"{line}\n" for line in found))

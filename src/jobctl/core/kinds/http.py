"""The step kind `http`: one request to a server. What may be written, and what of it the runner is told, here; the
request itself is process/http_runner.py's.

A reference in a url is one part of it, whatever its value: it is percent-encoded, and can change neither scheme nor
host nor the depth of the path. A variable, `{{ env.NAME }}`, is taken for a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from jobctl.core.kinds.kind import Checks, Given, Kind, Runner, UnfitError, Way, texts_in
from jobctl.core.model import Http, Step, StepKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jobctl.core.definition.references import Reference
    from jobctl.core.definition.tables import Key

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_NO_BODY = ("GET", "HEAD")
_CLASSES = ("2xx", "3xx", "4xx", "5xx")
_INTERIM = (("1xx", "it only announces an answer: name the one that comes behind it"),)
_IDEMPOTENCY = "idempotency-key"

# What comes before the path. A name is written in ASCII: what it looks like in other letters is a browser's matter.
# Patterns are compiled when they are needed: this file is loaded by every run.
_START = r"(?i)(https?)://([A-Z0-9.-]+|\[[0-9A-F:.]+\])(?::([0-9]{1,5}))?(?=[/?]|$)"
_CONTROL = r"[\x00-\x1f\x7f]"
_CONTROL_BUT_TAB = r"[\x00-\x08\x0a-\x1f\x7f]"
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_REFERENCE = r"\{\{.*?\}\}"
_SECRET = r"(?i)TOKEN|PASS|SECRET|KEY|AUTH|COOKIE|CRED"
_OURS = frozenset(("connection", "content-length", "host", "proxy-connection", "te", "trailer", "transfer-encoding",
                   "upgrade"))  # fmt: skip


# -- what may be written -----------------------------------------------------------------------------------------------


def _keys() -> dict[str, Key]:
    from jobctl.core.definition.plain import Choice, Integer, Name, Text
    from jobctl.core.definition.several import Either, Json, MapOf, OneOrMany
    from jobctl.core.definition.tables import Key, Table

    request = Table(
        "http",
        {
            "url": Key(Text(), "Where to: https://HOST/PATH. References stand behind the host.", required=True,
                       example='"https://example.com/"'),
            "method": Key(Choice(METHODS), "GET if not said."),
            "headers": Key(MapOf(Text(empty=True)), "Headers by name. A secret is a variable: {{ env.NAME }}."),
            "body": Key(Json(), "A text, sent as it is; or anything else, sent as JSON."),
            "expect": Key(OneOrMany(Either(Integer(least=200, most=599), Choice(_CLASSES, _INTERIM))),
                          "The statuses that are a success: numbers, or 2xx, which it is if not said."),
            "output": Key(Name(), "The output that the response's body becomes; body if not said."),
        },
        foreign={
            "uri": "here it is `url`",
            "address": "here it is `url`",
            "verb": "here it is `method`",
            "data": "here it is `body`",
            "json": "here it is `body`, a table",
            "form": 'here it is `body`: body = "a=1&b=2", and headers = '
                    '{ Content-Type = "application/x-www-form-urlencoded" }',
            "status": "here it is `expect`: expect = [200, 404]",
            "success_codes": "here it is `expect`: expect = [200, 404]",
            "auth": 'write headers = { Authorization = "Bearer {{ env.API_TOKEN }}" }',
            "token": 'write headers = { Authorization = "Bearer {{ env.API_TOKEN }}" }',
            "params": "they are a part of the url: url = \"https://…/?day={{ params.day }}\"",
            "query": "it is a part of the url: url = \"https://…/?day={{ params.day }}\"",
            "timeout": "it belongs to the step, next to `http`",
            "retry": "it belongs to the step, next to `http`",
        },
        written='a request is a table: http = { url = "https://example.com/" }',
    )  # fmt: skip
    about = "Sends a request; 5xx, 429 and connection errors are failed attempts, other unexpected statuses are final."
    return {"http": Key(request, about, example='{ url = "https://example.com/" }')}


def _built(request: dict[str, Any]) -> Http | None:
    return Http(**request) if "url" in request else None  # one without is reported


def _check(step: dict[str, Any], checks: Checks) -> None:
    http = step.get("http", {})
    if "url" in http:
        _check_url(http["url"], http, checks)
    _check_headers(http, checks)
    method = http.get("method", "GET")
    if "body" in http and method in _NO_BODY:
        written = "a GET" if "method" not in http else f"a {method}"
        checks.error(f"{written} has no body", 'write method = "POST", or remove the body', "http", "body")
    elif "body" in http:
        for path in _keys_with_braces(http["body"]):
            hint = """write the body as one text, in which references may stand everywhere: body = '{ … }'"""
            checks.error("is a key, in which references are not replaced", hint, "http", "body", *path)
        for text in texts_in(http["body"]):
            checks.text(text, "http", "body", env=True)
    if http.get("output") == "status":
        checks.error("is the output that has the status", "choose another name for the body", "http", "output")
    if "heartbeat" in step.get("timeout", {}):
        checks.error("a request sends no heartbeats", "write start_to_close", "timeout", "heartbeat")


def _keys_with_braces(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        yield from ((*path, key) for key in value if "{{" in key)
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, item in inner:
        yield from _keys_with_braces(item, *path, key)


def _check_url(url: str, http: dict[str, Any], checks: Checks) -> None:
    place = ("http", "url")
    checks.text(url, *place, env=True)
    start = re.match(_START, url)
    bare = re.sub(_REFERENCE, "", url)
    if re.search(_CONTROL, bare) or " " in bare or "\\" in bare:
        checks.error("holds a blank, a backslash or a control character", "write %20 for a blank", *place)
    elif start is None:
        checks.error(*_what_is_wrong_with(url), *place)
    elif not _is_host(start[2]):
        checks.error("has no host that can be asked", "write HOST.DOMAIN, 127.0.0.1 or [::1]", *place)
    elif start[3] and not 0 < int(start[3]) < 65536:
        checks.error("has a port that no server can have", "ports are 1 to 65535", *place)
    elif "#" in bare:
        checks.error("has a part behind #, which is never sent", "leave it out", *place)
    elif any(_is_dots(segment) for segment in url[start.end() :].partition("?")[0].split("/")):
        checks.error("has . or .. in its path", "write the path that is meant", *place)
    elif start[1].lower() == "http" and not (start[2].lower() in ("localhost", "[::1]") or start[2].startswith("127.")):
        if any(re.search(r"\{\{[ \t]*env\.", text) for text in texts_in(http)):
            checks.warning("sends a secret that anybody on the way can read", "write https://", *place)


def _is_host(host: str) -> bool:
    """Whether it can be one: every part of a name has 1 to 63 letters, all together 253."""
    if host.startswith("["):
        from ipaddress import AddressValueError, IPv6Address

        try:
            IPv6Address(host[1:-1])
        except AddressValueError:
            return False
        return True
    name = host.removesuffix(".")
    return len(name) <= 253 and all(0 < len(label) <= 63 for label in name.split("."))


def _what_is_wrong_with(url: str) -> tuple[str, str]:
    """Of a url that does not begin as one, without repeating it: there may be a password in it."""
    scheme, colon, rest = url.partition("://")
    if not colon:
        return "is no whole address", "write https://HOST/PATH"
    if "{{" in scheme or "{{" in re.split(r"[/?]", rest, maxsplit=1)[0]:
        return "has a reference in front of the path", "write scheme and host out: a value can change neither"
    if scheme.lower() not in ("http", "https"):
        return "is neither http:// nor https://", "write https://HOST/PATH"
    if "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]:
        hint = 'leave it out, and write headers = { Authorization = "Basic {{ env.CREDENTIALS }}" }'
        return "has a user or a password in front of the host", hint
    return "has no host that can be asked", "write https://HOST/PATH, the host in ASCII: xn--… for other letters"


def _check_headers(http: dict[str, Any], checks: Checks) -> None:
    first: dict[str, str] = {}
    for name, value in http.get("headers", {}).items():
        place = ("http", "headers", name)
        checks.text(value, *place, env=True)
        low = name.lower()
        if first.setdefault(low, name) != name:
            checks.error(f"is the same header as {first[low]}", "remove one of them", *place)
        elif re.search(_CONTROL_BUT_TAB, value):
            checks.error("holds a line break or another control character", "a header is one line", *place)
        elif low in _OURS:
            checks.error("is written by jobctl itself", "leave it out", *place)
        elif _is_called_secret(name) and value and "{{" not in value:
            variable = re.sub(r"[^A-Z0-9]", "_", name.upper())
            hint = f'put it into `env` or `env_file` as {variable}, and write "{{{{ env.{variable} }}}}"'
            checks.error("is likely a secret, and definitions are kept with runs", hint, *place)


def _is_called_secret(header: str) -> bool:
    return re.search(_SECRET, header) is not None and header.lower() != _IDEMPOTENCY


# References are looked at when one is: whoever only reads a history loads this file, too.


def _found(text: str) -> list[Reference]:
    from jobctl.core.definition import references

    return references.find(text)


def _resolved(text: str, value: Callable[[Reference], str]) -> str:
    from jobctl.core.definition import references

    return references.resolve(text, value)


# -- what is sent ------------------------------------------------------------------------------------------------------


def _order(step: Step, given: Given) -> dict[str, Any]:
    """What the runner is told: everything, for its request is nowhere else. UnfitError when a value does not fit."""
    http, values = step.http or Http(""), _Values(given)
    method = http.method
    headers = {name: values.header(name, text) for name, text in http.headers.items()}
    known = {name.lower() for name in headers}
    body = None
    if http.body is not None:
        values.secret_in = "body"
        body = values.text(http.body) if isinstance(http.body, str) else values.json(http.body)
        if "content-type" not in known:
            kind = "text/plain" if isinstance(http.body, str) else "application/json"
            headers["Content-Type"] = f"{kind}; charset=utf-8"
    if method == "POST" and _IDEMPOTENCY not in known:
        headers["Idempotency-Key"] = given.idempotency_key
    values.secret_in = "url"
    maximum, limit = step.retry.maximum_interval, step.timeouts.start_to_close
    return {
        "method": method,
        "url": values.url(http.url),
        # An empty Idempotency-Key says that there is to be none.
        "headers": [[name, value] for name, value in headers.items() if value or name.lower() != _IDEMPOTENCY],
        "body": body,
        "expect": list(http.expect) or ["2xx"],
        "output": http.output,
        "secrets": sorted(values.secrets),
        "secret_in": sorted(
            values.secret_places | {name.lower() for name in headers if _is_called_secret(name)}
        ),  # what must not go to another host
        "longest_wait": 100 * step.retry.initial_interval if maximum is None else maximum,
        # Later than the attempt is stopped, for which there is another word.
        "silence": None if limit is None else limit + 1_000,
    }


class _Values:
    """Puts the values in: in each place as it has to be there. Remembers which of them are secret, and where."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self.secrets: set[str] = set()
        self.secret_places: set[str] = set()
        self.secret_in = ""

    def _value(self, reference: Reference) -> str:
        from jobctl.core.definition.parameters import as_text

        text = as_text(self._given.value(reference))
        if reference.root == "env":
            self.secret_places.add(self.secret_in)
            self.secrets |= {text, _encoded(text)} - {""}
        return text

    def text(self, text: str) -> str:
        return _resolved(text, self._value)

    def header(self, name: str, text: str) -> str:
        self.secret_in = name.lower()
        value = self.text(text)
        if re.search(_CONTROL_BUT_TAB, value):
            raise UnfitError(f"http: the header {name} would hold a line break or another control character")
        return value.strip(" \t")

    def json(self, value: Any) -> str:
        import json

        return json.dumps(self._typed(value), ensure_ascii=False, separators=(",", ":"))

    def _typed(self, value: Any) -> Any:
        """A text that is one reference and nothing else is the value itself: a number stays one."""
        if isinstance(value, str) and "{{" in value:
            found = _found(value)
            if len(found) == 1 and found[0].root != "env" and (found[0].start, found[0].end) == (0, len(value)):
                return self._given.value(found[0])
            return self.text(value)
        if isinstance(value, (list, tuple)):
            return [self._typed(item) for item in value]
        if isinstance(value, dict):
            return {key: self._typed(item) for key, item in value.items()}
        return value

    def url(self, url: str) -> str:
        start = re.match(_START, url)
        if start is None:
            raise UnfitError("http: the url is no whole address")
        path, question, query = url[start.end() :].partition("?")
        segments = [self._segment(segment) for segment in path.split("/")]
        return start[0] + "/".join(segments) + question + _resolved(_ascii(query), self._in_query)

    def _segment(self, text: str) -> str:
        """A part of a path stays one part of it: not none, not a way up, and not several for a server that decodes it
        before it looks."""
        if "{{" not in text:
            return _ascii(text)
        name = _found(text)[0].name
        values: list[str] = []

        def encoded(reference: Reference) -> str:
            values.append(self._in_query(reference))
            return values[-1]

        found = _resolved(_ascii(text), encoded)
        whole = _decoded(found)
        if not whole:
            raise UnfitError(f"http: {{{{ {name} }}}} is empty, and the path of the url would lose a part")
        if any(part in (".", "..") for part in re.split(r"[/\\]", whole)) or _is_dots(found):
            raise UnfitError(f"http: {{{{ {name} }}}} would lead to another place in the path of the url")
        return found

    def _in_query(self, reference: Reference) -> str:
        value = self._value(reference)
        if re.search(_CONTROL, value):
            what = f"{{{{ {reference.name} }}}} holds a line break or another control character"
            raise UnfitError(f"http: {what}, and stands in the url")
        return _encoded(value)


def _encoded(text: str) -> str:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise UnfitError("http: a value holds half a character") from None
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in data)


def _ascii(text: str) -> str:
    """What is written in a url, with letters that are none of ASCII's as they are sent."""
    return "".join(char if char.isascii() else _encoded(char) for char in text)


def _decoded(text: str) -> str:
    """What a server reads that decodes twice: the worst that a part of a path can come to."""
    for _ in range(2):
        text = re.sub("%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), text)
    return text


def _is_dots(segment: str) -> bool:
    return re.sub("%2e", ".", segment, flags=re.IGNORECASE) in (".", "..")


def _secrets(step: Step) -> Iterable[str]:
    for text in _texts(step):
        if "{{" in text:
            yield from (reference.path[1] for reference in _found(text) if reference.root == "env")


# -- the row -----------------------------------------------------------------------------------------------------------


def _does(step: Step) -> str:
    return f"{step.http.method} {step.http.url}" if step.http is not None else "request"


def _outputs(step: dict[str, Any]) -> tuple[str, ...]:
    return "status", step.get("http", {}).get("output", "body")


def _details(step: Step) -> Iterable[tuple[str, str]]:
    import json

    http = step.http or Http("")
    for name, value in http.headers.items():
        yield "header", f"{name}: {value}"
    if http.body is not None:
        yield "body", http.body if isinstance(http.body, str) else json.dumps(http.body, ensure_ascii=False)
    yield "expects", ", ".join(map(str, http.expect)) or "2xx"
    yield "outputs", f"status, {http.output}"


def _texts(step: Step) -> Iterable[str]:
    return _texts_of(step.http) if step.http is not None else ()


def _texts_of(http: Http) -> Iterator[str]:
    yield http.url
    yield from http.headers.values()
    yield from texts_in(http.body)


ROW = Kind(
    kind=StepKind.HTTP,
    way=Way.ATTEMPTS,
    names=("http",),
    keys=_keys,
    beside=frozenset({"compensate", "env", "foreach", "queue", "retry", "timeout"}),
    does=_does,
    details=_details,
    limits=("start_to_close", "schedule_to_close"),  # a request sends no heartbeats
    texts=_texts,
    secrets=_secrets,
    built=_built,
    check=_check,
    outputs=_outputs,
    runner=Runner("http_runner", _order),
)

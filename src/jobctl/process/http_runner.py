"""The program that an attempt of an `http` step runs: sends a request, writes what came of it. Stands alone: it is
started as a file, by a Python in which nothing is installed, and reads what it is to do from its standard input.

Exit 0 when the status is one that was expected. Else it says in the failure file whether another attempt may help: 5xx,
429 and whatever keeps an answer from coming do; what the server has refused does not.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any, NamedTuple  # typing's own: nothing of jobctl is here

OUTPUT_LIMIT = 1024 * 1024  # bytes of a body that become an output, and of the file that all outputs are in
REDIRECTS = 10
SILENCE = 300.0  # seconds in which a server may say nothing, where the step has no start_to_close
_SHORTEST_SECRET = 4
_MASK = b"***"
_TRY_AGAIN = (429,)
_CHUNK = 64 * 1024
_ALWAYS_SECRET = frozenset(("authorization", "cookie", "proxy-authorization"))
_OF_BODY = ("content-type", "content-length", "content-encoding")
_INTERIM = 100  # answers that announce another one, until they are too many
_NO_CHARSET = frozenset(("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"))  # Python's own
_CONTROL = r"[\x00-\x1f\x7f-\x9f]"


class Failure(Exception):
    """The attempt has failed. `final`: so would every other."""

    def __init__(self, message: str, type: str, *, final: bool = False, delay_ms: int | None = None) -> None:
        super().__init__(message)
        self.type = type
        self.final = final
        self.delay_ms = delay_ms


class Place(NamedTuple):
    """Where a request goes."""

    scheme: str
    host: str
    port: int
    target: str  # path and query

    @property
    def server(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        return f"{self.scheme}://{self.server}{self.target}"


_PORTS = {"http": 80, "https": 443}


def _forms(secret: str) -> set[bytes]:
    """How a server may repeat it: as it is, in JSON, in a url, in a form; and in which bytes."""
    from urllib.parse import quote

    texts = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    texts |= {text.replace("/", "\\/") for text in texts}
    for safe in ("", "/"):
        encoded = quote(secret, safe=safe, errors="replace")
        for form in (encoded, re.sub("%..", lambda match: match[0].lower(), encoded)):
            texts |= {form, form.replace("%20", "+")}
    forms = {text.encode("utf-8", "replace") for text in texts}
    for charset in ("latin-1", "utf-16-le", "utf-16-be"):
        try:
            forms.add(secret.encode(charset))
        except UnicodeError:
            continue  # no answer in it can hold the secret
    return forms


class Masked:
    """Writes bytes to a descriptor, without the secrets, wherever they are cut in two."""

    def __init__(self, fd: int, secrets: list[str]) -> None:
        self._fd = fd
        kept = (secret for secret in secrets if len(secret.encode("utf-8", "replace")) >= _SHORTEST_SECRET)
        self._secrets = sorted({form for secret in kept for form in _forms(secret)}, key=len, reverse=True)
        self._longest = len(self._secrets[0]) if self._secrets else 0
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets)) or b"(?!)")
        self._rest = b""
        self.last = b"\n"

    def mask(self, data: bytes) -> bytes:
        return self._pattern.sub(_MASK, data)

    def text(self, text: str) -> str:
        return self.mask(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    def body(self, text: str, *, cut: bool) -> str:
        """A body without the secrets. `cut`: there is more of it, so its end may be the beginning of a secret."""
        masked, rest = self._sifted(text.encode("utf-8", "replace"))
        return (masked if cut else masked + self.mask(rest)).decode("utf-8", "replace")

    def write(self, data: bytes) -> None:
        masked, self._rest = self._sifted(self._rest + data)
        self._put(masked)

    def _sifted(self, data: bytes) -> tuple[bytes, bytes]:
        """What is masked, and the end that may become a secret."""
        sifted, at = [], 0
        unsure = self._unsure(data, at)
        for found in self._pattern.finditer(data):
            if unsure <= found.start():
                break
            sifted += [data[at : found.start()], _MASK]
            at = found.end()
            if unsure < at:
                unsure = self._unsure(data, at)
        return b"".join([*sifted, data[at:unsure]]), data[unsure:]

    def _unsure(self, data: bytes, start: int) -> int:
        """From where on it may be the beginning of a secret: that waits for what follows."""
        for at in range(max(start, len(data) - self._longest + 1), len(data)):
            rest = data[at:]
            if any(len(secret) > len(rest) and secret.startswith(rest) for secret in self._secrets):
                return at
        return len(data)

    def flush(self) -> None:
        rest, self._rest = self._rest, b""
        self._put(self.mask(rest))

    def line(self, text: str) -> None:
        """A line of ours, at the beginning of a line."""
        self.flush()
        self._put((b"" if self.last == b"\n" else b"\n") + f"jobctl: {self.text(text)}\n".encode())

    def _put(self, data: bytes) -> None:
        if data:
            self.last = data[-1:]
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


# -- where to ----------------------------------------------------------------------------------------------------------


def place_of(url: str) -> Place:
    """ValueError for what is no address that can be asked."""
    from urllib.parse import urlsplit

    if any(char <= " " or char == "\x7f" or char == "\\" or not char.isascii() for char in url):
        raise ValueError("it holds a character that no address has")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        raise ValueError("it is no plain http or https address")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], target)


def redirected(place: Place, location: str) -> Place:
    """Where a redirect leads. Failure where it may not."""
    from urllib.parse import quote, urljoin

    try:
        after = place_of(urljoin(place.address, quote(location, safe="%/:=&?~#+!$,;'@()*[]", encoding="latin-1")))
    except ValueError as error:
        raise Failure(f"the server redirects to an address that cannot be followed: {error}", "redirect",
                      final=True) from None  # fmt: skip
    if place.scheme == "https" and after.scheme == "http":
        raise Failure("the server redirects from https to http, where anybody could read along", "redirect", final=True)
    return after


def is_elsewhere(before: Place, after: Place) -> bool:
    """Whether a secret that was meant for the one must not be sent to the other."""
    if before.host.lower() != after.host.lower():
        return True
    same = before.scheme == after.scheme and before.port == after.port
    secured = (before.scheme, before.port, after.scheme, after.port) == ("http", 80, "https", 443)
    return not (same or secured)


class Request:
    """What is to be sent, and how it changes on the way from one address to the next."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.method: str = order["method"]
        self.place = place_of(order["url"])
        self.headers: list[tuple[str, str]] = [(name, value) for name, value in order["headers"]]
        self.body: bytes | None = None if order["body"] is None else order["body"].encode("utf-8", "replace")
        self._secret_in = {*order["secret_in"], *_ALWAYS_SECRET}

    def follow(self, status: int, location: str) -> None:
        """Failure where it may not be followed."""
        after = redirected(self.place, location)
        if status == 303 or (status in (301, 302) and self.method == "POST"):
            self.method = "HEAD" if self.method == "HEAD" else "GET"
            self.body = None
            self.headers = [pair for pair in self.headers if pair[0].lower() not in (*_OF_BODY, "idempotency-key")]
        if is_elsewhere(self.place, after):
            if self.body is not None and "body" in self._secret_in:
                raise Failure("the server redirects to another host, and there is a secret in the body", "redirect",
                              final=True)  # fmt: skip
            self.headers = [pair for pair in self.headers if pair[0].lower() not in self._secret_in]
        self.place = after


# -- what is asked, and answered ---------------------------------------------------------------------------------------


def _final_answer() -> Any:
    """What reads an answer, and passes over those that only announce it (100, 102, 103)."""
    from http.client import HTTPException, HTTPResponse

    class FinalAnswer(HTTPResponse):
        _passed = 0

        def _read_status(self) -> tuple[str, int, str]:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            self._passed += 1
            if self._passed > _INTERIM:
                raise HTTPException("too many interim answers")
            return version, 100, reason  # the one that is passed over

    return FinalAnswer


def ask(request: Request, silence: float) -> Any:
    """The answer, whose body is not read yet, and its connection. OSError, HTTPException."""
    from http.client import HTTPConnection

    place = request.place
    connection: HTTPConnection
    if place.scheme == "https":
        import ssl
        from http.client import HTTPSConnection

        context = ssl.create_default_context()
        connection = HTTPSConnection(place.host, place.port, timeout=silence, context=context)
    else:
        connection = HTTPConnection(place.host, place.port, timeout=silence)
    connection.response_class = _final_answer()
    try:
        connection.connect()
    except UnicodeError:
        message = f"{place.server}: the host is not found: it is no name that can be looked up"
        raise Failure(message, "dns") from None
    named = {name.lower() for name, _ in request.headers}
    connection.putrequest(request.method, place.target, skip_accept_encoding="accept-encoding" in named)
    connection.putheader("Connection", "close")
    if "user-agent" not in named:
        connection.putheader("User-Agent", "jobctl")
    for name, value in request.headers:
        connection.putheader(name, value.encode("utf-8", "replace"))
    body = request.body
    if body is not None or request.method in ("POST", "PUT", "PATCH"):
        connection.putheader("Content-Length", str(len(body or b"")))
    connection.endheaders(body)
    response = connection.getresponse()
    response.connection = connection  # type: ignore[attr-defined] # it lives as long as what is read from it
    return response


def said(response: Any) -> str:
    """The status, and the server's words for it: on one line, and nothing that a terminal would obey."""
    return f"{response.status} {re.sub(_CONTROL, '?', response.reason or '')[:200]}".rstrip()


def is_expected(status: int, expect: list[int | str]) -> bool:
    return any(status == one or f"{status // 100}xx" == one for one in expect)


def answered(order: dict[str, Any], request: Request, log: Masked) -> Any:
    """The answer to be judged: the one after all redirects."""
    silence = (order.get("silence") or SILENCE * 1000) / 1000
    for _ in range(REDIRECTS + 1):
        response = ask(request, silence)
        log.line(f"{request.method} {request.place.address}: {said(response)}")
        location = response.headers.get("Location")
        if response.status not in (301, 302, 303, 307, 308) or not location:
            return response
        if is_expected(response.status, order["expect"]):
            return response
        request.follow(response.status, location)
        response.close()
        response.connection.close()
    raise Failure(f"the server redirects more than {REDIRECTS} times", "redirect", final=True)


def read(response: Any, log: Masked) -> bytes:
    """All of the body goes to the log; what may become an output is handed back, and one byte more where there is more.
    OSError, HTTPException."""
    kept, come, length = b"", 0, response.length
    while length is None or come < length:
        data = response.read1(_CHUNK)
        if not data:
            break
        come += len(data)
        log.write(data)
        if len(kept) <= OUTPUT_LIMIT:
            kept = (kept + data)[: OUTPUT_LIMIT + 1]
    log.flush()
    if length is not None and come < length:
        raise ConnectionError("it was closed in the middle of the answer")
    return kept


def as_text(body: bytes, content_type: str | None) -> str | None:
    """The body as text; None when it is none."""
    import codecs
    from email.message import Message

    about = Message()
    about["Content-Type"] = content_type or "text/plain"
    cut = len(body) > OUTPUT_LIMIT
    try:
        codec = codecs.lookup(about.get_content_charset() or "utf-8")
        # Python calls more a codec than charsets: some unpack, some take hours for a megabyte.
        if not codec._is_text_encoding or codec.name in _NO_CHARSET or codec.incrementaldecoder is None:
            return None
        # The last character may have been cut in two.
        text = codec.incrementaldecoder("strict").decode(body[:OUTPUT_LIMIT], final=not cut)
    except (ValueError, TypeError, LookupError):
        return None
    return None if "\0" in text else text


def outputs(status: int, name: str, text: str | None) -> tuple[bytes, bool]:
    """The file of outputs, within its limit, and whether all of the body is in it."""
    lines = f"status={status}\n".encode()
    if text is None:
        return lines, True
    end = "END"
    while end in text:
        end += "_"
    head, foot = f"{name}<<{end}\n".encode(), f"\n{end}\n".encode()
    room = OUTPUT_LIMIT - len(lines) - len(head) - len(foot)
    data = text.encode("utf-8", "replace")
    if len(data) > room:
        return lines + head + data[:room].decode("utf-8", "ignore").encode() + foot, False
    return lines + head + data + foot, True


# -- what came of it ---------------------------------------------------------------------------------------------------


def delay(response: Any, longest_ms: int) -> int | None:
    """The wait that the server asks for: seconds, or a date by its own clock."""
    from email.utils import parsedate_to_datetime

    said = (response.headers.get("Retry-After") or "").strip()
    if not said:
        return None
    if said.isascii() and said.isdigit():
        ms = int(said[:12]) * 1000
    else:
        import time

        try:
            at = parsedate_to_datetime(said).timestamp()
            sent = response.headers.get("Date")
            now = parsedate_to_datetime(sent).timestamp() if sent else time.time()
        except (ValueError, TypeError, OverflowError):
            return None
        ms = int((at - now) * 1000)
    return max(0, min(ms, longest_ms))


def judged(order: dict[str, Any], response: Any) -> None:
    """Failure for a status that was not expected."""
    status = response.status
    if is_expected(status, order["expect"]):
        return
    message = f"status {said(response)}"
    if status >= 500 or status in _TRY_AGAIN:
        raise Failure(message, f"http_{status}", delay_ms=delay(response, order["longest_wait"]))
    raise Failure(message, f"http_{status}", final=True)


def described(error: Exception) -> tuple[str, str]:
    """What kept an answer from coming, and its type."""
    import socket
    from http.client import HTTPException

    if isinstance(error, socket.gaierror):
        return f"the host is not found: {error.strerror}", "dns"
    if isinstance(error, TimeoutError):
        return "the server said nothing for too long", "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused", "connection"
    if type(error).__module__ == "ssl" or type(error).__name__.startswith("SSL"):
        return f"no safe connection: {_unsafe(error)}", "tls"
    if isinstance(error, HTTPException):
        return _broken(error), "protocol"
    return f"the connection failed: {getattr(error, 'strerror', None) or error}", "connection"


def _unsafe(error: Exception) -> str:
    if verified := getattr(error, "verify_message", ""):
        return f"the certificate does not hold: {verified}"
    if type(error).__name__ in ("SSLEOFError", "SSLZeroReturnError"):
        return "the server closed the connection before it was safe"
    reason = getattr(error, "reason", None) or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"):
        return "the server does not speak TLS on this port"
    return reason.replace("_", " ").lower() or "the server and this machine do not agree how"


def _broken(error: Exception) -> str:
    from http.client import BadStatusLine, IncompleteRead, LineTooLong, RemoteDisconnected

    match error:
        case RemoteDisconnected():
            return "the server closed the connection before it had answered"
        case IncompleteRead():
            return "the server closed the connection in the middle of the answer"
        case LineTooLong():
            return "a line of the answer is too long"
        case BadStatusLine():
            return "what the server sent is no answer of HTTP"
    return "the answer does not keep to HTTP, or its head is too long"


def carried_out(order: dict[str, Any], log: Masked) -> None:
    """Failure when it has not been what was expected."""
    from http.client import HTTPException

    server = ""
    try:
        request = Request(order)
        try:
            response = answered(order, request, log)
        finally:
            server = request.place.server
        try:
            body = read(response, log)
        except (OSError, HTTPException):
            judged(order, response)  # what the server has refused it has refused, however its words ended
            raise
    except (OSError, HTTPException) as error:
        message, kind = described(error)
        raise Failure(f"{server}: {message}", kind) from None
    except ValueError:
        raise Failure("the request cannot be sent as it is", "request", final=True) from None
    judged(order, response)
    text = as_text(body, response.headers.get("Content-Type"))
    cut = len(body) > OUTPUT_LIMIT
    # The body alone: what the file is made of may look like a secret, too.
    data, whole = outputs(response.status, order["output"], None if text is None else log.body(text, cut=cut))
    if text is None:
        log.line("the body is no text: it becomes no output")
    elif cut or not whole:
        log.line("the body is longer than 1 MiB, the limit of outputs: the rest of it is only here")
    save("JOBCTL_OUTPUT", data)


def save(variable: str, data: bytes) -> None:
    fd = os.open(os.environ[variable], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)


def failed(failure: Failure, log: Masked) -> None:
    message = log.text(str(failure))
    log.line(message)
    lines = [f"message={' '.join(message.split())}", f"type={failure.type}"]
    if failure.final:
        lines.append("non_retryable=true")
    if failure.delay_ms is not None:
        lines.append(f"next_retry_delay={failure.delay_ms}ms")
    save("JOBCTL_FAILURE", "".join(line + "\n" for line in lines).encode("utf-8", "replace"))


def main() -> int:
    log = Masked(1, [])
    try:
        order = json.loads(sys.stdin.buffer.read())
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)  # and what the order was in is gone
        os.close(null)
        log = Masked(1, order["secrets"])
        carried_out(order, log)
        log.flush()
    except Failure as failure:
        return ended(failure, log)
    except Exception as error:  # a traceback would show values, and say nothing to who reads it
        why = getattr(error, "strerror", None) or f"a fault in jobctl ({type(error).__name__})"
        return ended(Failure(f"the request could not be carried out to its end: {why}", "request"), log)
    return 0


def ended(failure: Failure, log: Masked) -> int:
    """The exit code of an attempt that has failed, and its reason where somebody reads it."""
    try:
        failed(failure, log)
    except OSError:
        return 1  # nothing can be written: the exit code is all there is
    return 1


if __name__ == "__main__":
    sys.exit(main())

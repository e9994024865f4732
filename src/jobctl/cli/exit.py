"""The one place where errors are shown and exit codes are made. Loaded by every call: imports next to nothing."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.core.errors import JobctlError, Problem

INTERRUPTED = 130
_NO_ROOM = (27, 28, 122)  # EFBIG, ENOSPC, EDQUOT
BROKEN_PIPE = 141  # 128 + SIGPIPE: what the shell would see of a program that SIGPIPE ended


def guard(body: Callable[[], int], *, json: bool) -> int:
    """`body()`, and whatever it raises shown to the user. Returns the exit code; raises nothing.

    `json`: an error is also one JSON document on stdout.
    """
    try:
        _prepare_streams()
        code = body()
        _flush()
    except KeyboardInterrupt:
        _say("error: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has had enough: `| head -1`.
        _discard_output()
        return BROKEN_PIPE
    except Exception as error:
        if os.environ.get("JOBCTL_DEBUG") == "1":
            import traceback

            _say(traceback.format_exc().rstrip())
        return show(understand(error), json=json)
    return code


def show(error: JobctlError, *, json: bool) -> int:
    """Print the error as its two lines (a definitions error: two for each problem). Returns its exit code."""
    problems = getattr(error, "problems", None)
    for problem in problems or [None]:
        _say(two_lines(problem or error))
        if problem is not None and problem.excerpt is not None:
            _say(pointed_at(problem))
    if json:
        import json as json_text

        document: dict[str, object] = {"code": error.code, "message": error.message, "hint": error.hint}
        if problems:
            from jobctl.views.documents import problem as problem_document

            document["problems"] = [problem_document(p) for p in problems]
        try:
            print(json_text.dumps({"error": document}))
            _flush()
        except (OSError, _OutputError):
            _discard_output()
    return error.exit_code


def two_lines(error: JobctlError | Problem) -> str:
    """`error: …` and, where there is one, `hint: …`. A problem that is a warning says so."""
    kind = "warning" if getattr(error, "warning", False) else "error"
    text = str(error)
    if text.startswith("/"):  # a problem's file, called as people call it
        text = text.removeprefix(os.getcwd() + "/")
    return f"{kind}: {text}" + (f"\nhint: {error.hint}" if error.hint else "")


def pointed_at(problem: Problem) -> str:
    """The line of the file that a problem is about, and carets below what is meant."""
    if problem.excerpt is None:
        return ""
    from jobctl.core.definition.excerpt import marker

    number = str(problem.line)
    return f"  {number} | {problem.excerpt.text}\n  {' ' * len(number)} | {marker(problem.excerpt)}"


def understand(error: Exception) -> JobctlError:
    """Any exception as a sentence and a way out."""
    from jobctl.core.errors import JobctlError, StoreError

    if isinstance(error, JobctlError):
        return error
    # What was never imported cannot have raised.
    sqlite3 = sys.modules.get("sqlite3")
    if sqlite3 is not None and isinstance(error, sqlite3.Error):
        # store/errors.py has a sentence for each of them; this is one that did not come by there.
        return StoreError(f"the state store cannot be used: {error}", hint="`jobctl doctor` says what is wrong with it")
    if isinstance(error, _OutputError):
        return JobctlError(f"the output could not be written: {error}", hint="look at where stdout goes")
    if isinstance(error, OSError) and error.strerror:
        about = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        if not about and error.errno in _NO_ROOM:  # a file that was open, stdout among them: it has no name any more
            return JobctlError(
                f"something could not be written: {error.strerror}",
                hint="make room there, or see where the output goes",
            )
        return JobctlError(f"{about}{error.strerror}", hint=_os_hint(error))
    unexpected = JobctlError(
        f"something unexpected happened in jobctl: {type(error).__name__}: {error}",
        hint="this is a bug; with JOBCTL_DEBUG=1 in the environment the same command prints where",
    )
    unexpected.code = "internal"
    return unexpected


def _os_hint(error: OSError) -> str:
    import errno

    return {
        errno.EACCES: "check its owner and permissions, or run jobctl as its owner",
        errno.EPERM: "check its owner and permissions, or run jobctl as its owner",
        errno.ENOENT: "check the path",
        errno.ENOSPC: "make room on that disk",
        errno.EMFILE: "raise the limit of open files: ulimit -n",
        errno.EROFS: "that file system is read-only: choose another place",
    }.get(error.errno or 0, "with JOBCTL_DEBUG=1 in the environment the same command prints where it happened")


def _prepare_streams() -> None:
    """Descriptors 0 to 2 are open, and stdout and stderr take every text that there can be."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # Otherwise the next file that is opened, the database say, would become stdout.
            os.open(os.devnull, os.O_RDWR)
    # Python leaves them None when their descriptor was closed.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


class _OutputError(Exception):
    """stdout took the text and could not write it."""


def _flush() -> None:
    """What was printed has reached the system. Python's own flush at the end could only complain."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        raise _OutputError(error.strerror) from error


def _discard_output() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _say(text: str) -> None:
    try:
        if sys.stderr.isatty():
            from jobctl.core.text import clean

            text = clean(text)
        from jobctl.cli.printing import talk

        talk(text)
    except OSError:
        # Nobody can be told. The exit code still says it.
        pass

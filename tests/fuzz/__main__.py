"""`python -m tests.fuzz TARGET SECONDS`: bytes that the coverage of the code leads to, found by atheris.

atheris is no dependency: it installs on few platforms and Python versions. Beside what jobctl's tests need:
`pip install atheris`, at best in an environment of its own. An input that breaks something is kept in build/fuzz/, and
`python -m tests.fuzz TARGET FILE` tries it again.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed here: pip install atheris; `pytest tests/fuzz` does without")

with atheris.instrument_imports(include=["jobctl", "tomllib"]):
    from tests.fuzz import inputs, properties

    from jobctl.core.definition.schema import DEFAULTS, FILE, JOB, STEP
    from jobctl.core.schedule.cron import DAY_NAMES, MONTH_NAMES
    from jobctl.crontab import Dialect


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _crontab(data: bytes) -> None:
    flags = data[0] if data else 0
    properties.crontab(_text(data[1:]), list(Dialect)[flags & 1 | flags >> 1 & 2], bool(flags & 2))


_TABLES = (FILE, DEFAULTS, JOB, STEP)
_FOLDER = Path(tempfile.mkdtemp(prefix="jobctl-fuzz-"))

TARGETS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "definitions": (properties.definitions, inputs.FILES),
    "cron": (lambda data: properties.cron(_text(data)), [b"*/5 1-7 L jan-mar *", b"0 0 * * mon#2,friL", b"@daily"]),
    "references": (
        lambda data: properties.reference(_text(data)),
        [b"a {{ steps.a.outputs.k }} {{ item }} {{ run.id }}"],
    ),
    "durations": (lambda data: properties.duration(_text(data)), [b"1w2d3h4m5s6ms", b"10 minutes"]),
    "state": (lambda data: properties.state_file(_FOLDER / "state", data), [b"12\nrun\nexit 0\n", b"12\nskip 1\n"]),
    "output": (
        lambda data: properties.output_file(_FOLDER / "output", data),
        [b"a=1\nb<<END\n2\nEND\n", b"message=m\r\n"],
    ),
    "heartbeat": (lambda data: properties.heartbeat_file(_FOLDER / "heartbeat", data), [b"1\n2\n"]),
    "crontab": (_crontab, [b"\0MAILTO=x\n# y\n*/5 * * * * a % b\n", b"\x03@daily root cd / && x\n"]),
}


def _words() -> set[str]:
    """What bytes by chance would not come to: keys of definitions files, names of days and months, ends of blocks."""
    keys = {key for table in _TABLES for key in table.keys}
    return (
        keys
        | set(DAY_NAMES)
        | set(MONTH_NAMES)
        | {"{{ params.", "{{ steps.", "[[jobs.", "<<END", "@reboot", "CRON_TZ="}
    )


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"python -m tests.fuzz TARGET SECONDS|FILE; targets: {', '.join(TARGETS)}")
    name, last = sys.argv[1:]
    target, seeds = TARGETS[name]
    arguments = [last]
    if last.isdigit():
        corpus, found = Path("build/fuzz/corpus") / name, Path("build/fuzz") / f"{name}-"
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (corpus / f"seed-{number}").write_bytes(seed)
        words = Path("build/fuzz/words")
        words.write_text("".join(f'"{word}"\n' for word in sorted(_words())))
        limits = [f"-max_total_time={last}", "-timeout=60", "-rss_limit_mb=2048"]
        arguments = [str(corpus), f"-dict={words}", f"-artifact_prefix={found}", *limits]
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


main()

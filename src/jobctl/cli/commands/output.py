"""`jobctl output KEY=VALUE…`: hand values on to later steps. (cli/printing.py is about stdout.)"""

from __future__ import annotations

import sys

from jobctl.core.errors import UsageError
from jobctl.scripts.record import append, inside, pair


def main(*, values: list[str]) -> int:
    """`KEY -` reads the value from standard input, without the newline at its end. UsageError where no key is named."""
    path = inside("jobctl output", "JOBCTL_OUTPUT")
    if len(values) == 2 and values[1] == "-":
        pairs = [(values[0], sys.stdin.buffer.read().decode("utf-8", "surrogateescape").removesuffix("\n"))]
    else:
        pairs = []
        for value in values:
            key, equals, rest = value.partition("=")
            if not equals:
                raise UsageError(f"{value!r} is not KEY=VALUE", hint="or `KEY -` for a value from standard input")
            pairs.append((key, rest))
    for key, _ in pairs:
        if not key.strip() or "=" in key or "<<" in key or "\n" in key:
            raise UsageError(f"{key!r} cannot be the name of an output", hint="jobctl output rows=12 file=/tmp/x")
    append(path, "".join(pair(key, value) for key, value in pairs))
    return 0

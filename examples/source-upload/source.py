"""The commands of the upload job: validate FILE, process FILE TARGET, publish FILE URL. 65: the data is bad."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
import urllib.request
from pathlib import Path

BAD_DATA = 65  # EX_DATAERR of sysexits.h


def validate(source: str) -> None:
    wrong = [
        f"line {number}: {', '.join(row)!r} is not a name and a mail address"
        for number, row in enumerate(rows(source), 2)
        if len(row) != 2 or "@" not in row[1]
    ]
    if wrong:
        # Said in the failure file, the reason stands in the run's history too, not only in the log.
        with open(os.environ["JOBCTL_FAILURE"], "a", encoding="utf-8") as failure:
            print(f"message={wrong[0]}", file=failure)
        print(*wrong, sep="\n")
        sys.exit(BAD_DATA)


def process(source: str, target: str) -> None:
    people = [{"name": name.strip(), "mail": mail.strip().lower()} for name, mail in rows(source)]
    body = json.dumps(sorted(people, key=lambda person: person["mail"])).encode()
    Path(target).write_bytes(body)
    with open(os.environ["JOBCTL_OUTPUT"], "a", encoding="utf-8") as output:
        print(f"digest={hashlib.sha256(body).hexdigest()[:16]}", file=output)
        print(f"people={len(people)}", file=output)


def publish(source: str, url: str) -> None:
    request = urllib.request.Request(url, Path(source).read_bytes(), method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
    print(f"published as {url}")


def rows(source: str) -> list[list[str]]:
    with open(source, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    try:
        {"validate": validate, "process": process, "publish": publish}[command](*arguments)
    except OSError as error:
        sys.exit(f"{command}: {error}")

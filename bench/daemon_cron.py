"""The daemon beside Debian's cron, in turns: at the full minute it fires, half a minute later jobctl does."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.daemon import TELL_TIME, all_ended, daemon, firings, percentile, sleep_until, until
from bench.figure import Bench, Row, SkippedError

_NAME = "Debian cron"
_SPOOL = Path("/var/spool/cron")  # compiled into it
_MINUTE = 60

# Of the machine's crontabs and its pid file this cron sees nothing, and the machine sees nothing of what is mounted.
_ALONE = """\
set -eu
mount -t tmpfs none /run
mount -t tmpfs none /etc/cron.d
[ ! -e /etc/crontab ] || mount --bind /dev/null /etc/crontab
mount -t tmpfs none /var/spool/cron
mkdir -m 1730 /var/spool/cron/crontabs
install -m 600 "$1" "/var/spool/cron/crontabs/$2"
exec cron -f
"""


def cron(bench: Bench) -> list[Row]:
    """Jobs due at the same minute: from then to the first line of each command, against Debian's cron."""
    _refuse_where_it_cannot_be()
    jobs = bench.size.of(100, 100, 3)
    rounds = bench.size.of(5, 1, 1)
    folder, theirs = bench.folder, bench.folder / "cron"
    theirs.mkdir()
    (folder / "jobs.toml").write_text(
        "".join(
            f'[jobs.job-{number}]\nschedule = {{ every = "1m", offset = "30s" }}\ncommand = "{TELL_TIME}"\n'
            for number in range(jobs)
        )
    )
    table = folder / "crontab"
    told = TELL_TIME.replace("%", r"\%")
    table.write_text('MAILTO=""\n' + "".join(f"* * * * * {told} >> {theirs}/{number}\n" for number in range(jobs)))
    # Both have started before the first minute, and looked at what there is to do.
    first = (int(time.time()) + 2) // _MINUTE * _MINUTE + _MINUTE
    with daemon(folder), _cron(table):
        sleep_until(first + (rounds - 0.5) * _MINUTE + 1)
        until(lambda: _lines(theirs) >= rounds * jobs, f"{rounds * jobs} commands of cron")
        until(lambda: all_ended(folder), "the runs to end")
    late: list[tuple[list[float], list[float]]] = []
    ended = firings(folder)
    of_cron = sorted(int(line) / 1e6 for file in theirs.iterdir() for line in file.read_text().split())
    for minute in range(first, first + rounds * _MINUTE, _MINUTE):
        begin, half = minute * 1000, minute * 1000 + _MINUTE * 500
        pair = (
            [firing.late for firing in ended if firing.fire_time == half],
            [at - begin for at in of_cron if begin <= at < begin + _MINUTE * 1000],
        )
        if [len(found) for found in pair] != [jobs, jobs]:
            raise RuntimeError(f"{jobs} jobs are due each minute; so many ran: {[len(found) for found in pair]}")
        late.append(pair)
    return [
        Row(
            "cron",
            f"{jobs} jobs due at one minute, {name}",
            "ms",
            [percentile(ours, share) for ours, _ in late],
            _NAME,
            [percentile(other, share) for _, other in late],
        )
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]


def _refuse_where_it_cannot_be() -> None:
    """SkippedError where there is no cron, or none can be started beside the machine's own."""
    for tool in ("cron", "unshare"):
        if not shutil.which(tool):
            raise SkippedError(f"there is no {tool} here")
    if not _SPOOL.is_dir():
        raise SkippedError(f"there is no {_SPOOL}: this cron is not Debian's")
    if os.geteuid() != 0:
        raise SkippedError("only root can start a cron that does not see the machine's crontabs")


@contextmanager
def _cron(table: Path) -> Iterator[None]:
    """A cron of its own, with that crontab and no other; gone at the end."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    command = ["unshare", "--mount", "sh", "-c", _ALONE, "sh", str(table), user]
    living = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        if living.poll() is not None:
            raise SkippedError(f"no cron can be started here: exit code {living.returncode}")
        yield
    finally:
        living.kill()
        living.wait()


def _lines(folder: Path) -> int:
    return sum(len(file.read_bytes().splitlines()) for file in folder.iterdir())

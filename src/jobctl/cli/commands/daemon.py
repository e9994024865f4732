"""`jobctl daemon`: run schedules, queued runs, retries and recovery until told to stop."""

from __future__ import annotations

from jobctl.cli.load import existing
from jobctl.core import durations
from jobctl.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.settings import Settings
    from jobctl.process.keepers import Link


def main(
    settings: Settings,
    *,
    once: bool,
    drain: str | None,
    stop_commands: bool,
    max_concurrent_runs: int | None,
    log_format: str | None,
    print_unit: bool,
    user: bool,
) -> int:
    """0 when it was told to stop (143 by SIGTERM, 130 by Ctrl-C), or with `once` when all that was due is done."""
    from jobctl.daemon.systemd import unit

    if print_unit:
        import os

        state_dir = settings.state_dir if user or os.environ.get("JOBCTL_STATE_DIR") else None
        print(unit(user=user, files=settings.files, state_dir=state_dir), end="")
        return 0
    drain_ms = _duration("--drain", drain) if drain is not None else 0
    if max_concurrent_runs is not None and max_concurrent_runs < 1:
        raise UsageError("--max-concurrent-runs is below 1", hint="leave it out for a default that fits the machine")
    import signal

    from jobctl.process import cgroups, keepers

    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)  # "read the definitions again": that is still to come
    cgroups.settle()
    with keepers.make(fork=True) as keeper:  # before there is a store, a lock or a thread that it would have, too
        return _daemon(settings, keeper, once, drain_ms, stop_commands, max_concurrent_runs, log_format)


def _daemon(
    settings: Settings,
    keeper: Link,
    once: bool,
    drain_ms: int,
    stop_commands: bool,
    max_concurrent_runs: int | None,
    log_format: str | None,
) -> int:
    import sys

    from jobctl.cli.printing import note
    from jobctl.daemon.log import Journal
    from jobctl.daemon.loop import Daemon
    from jobctl.daemon.systemd import Notifier
    from jobctl.engines.connect import connect
    from jobctl.host.host import Host

    style = log_format or ("json" if settings.json else "text")
    if style not in ("text", "json"):
        raise UsageError(f"--log-format is {style!r}", hint="one of: text, json")
    files = existing(settings)
    host, notifier = Host(), Notifier()
    journal = Journal(style, sys.stderr, host=host, quiet=settings.quiet)
    with connect(settings, create=True, told=note, told_of_copy=False) as client:
        if client.copy_of is not None:
            if once:
                client.must_be_home("")
            from jobctl.daemon import standstill

            if number := standstill.wait(client, journal, notifier):
                return 128 + number
        client.at_home()
        hire = client.resident(max_concurrent_runs=max_concurrent_runs, keeper=keeper)
        daemon = Daemon(hire, files, journal=journal, notifier=notifier, host=host, stop_commands=stop_commands)
        daemon.start()
        number = daemon.run_once() if once else daemon.run(drain_ms=drain_ms)
    return 0 if number == 0 else 128 + number


def _duration(option: str, text: str) -> int:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint=f"for example: {option} 30s") from error

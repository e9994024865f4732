"""What every worker that stays needs: signals, definitions that are read again, what a supervisor is told, an orderly
end. Its loop is a list of duties, which are the engine's: each has its turn, and none keeps another from its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from types import FrameType

from jobctl.core.errors import JobctlError, StoreLostError, StoreUnavailableError
from jobctl.daemon.log import Journal
from jobctl.daemon.reloader import Reloader
from jobctl.daemon.systemd import Notifier
from jobctl.engines.trouble import in_a_sentence
from jobctl.engines.values import Moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.definitions.files import Catalog
    from jobctl.engines.base import Resident, Surroundings
    from jobctl.host.host import Host

SLACK_MS = 5_000  # beyond its grace, for what was asked to end, to be seen and recorded
LAST_WORDS_MS = 500  # for whoever reads what is said, to take it
RETRY_MS = 1_000  # when a duty could not be done
_NEVER_MS = 1 << 40
_ANEW_AT_MOST_MS = 60_000
_ANEW_FORGOTTEN_MS = 300_000


class Daemon:
    """A worker that is turned until it is told to stop. To it this is the `Surroundings`."""

    def __init__(
        self,
        hire: Callable[[Surroundings], Resident],
        files: Sequence[str],
        *,
        journal: Journal,
        notifier: Notifier,
        host: Host,
        stop_commands: bool = False,
    ) -> None:
        """`hire` makes the worker. `stop_commands`: whether what runs ends with this process, as it does in any case
        where that is PID 1. DefinitionError when the files cannot be used."""
        self.journal = journal
        self._host = host
        self.arm_again = False
        self.reloader = Reloader(files)
        self._is_init = os.getpid() == 1  # of a container, say: the kernel kills the rest when it ends
        self._stops_commands = stop_commands or self._is_init
        self._notifier = notifier
        self._told_at = self._host.monotonic()
        self._told: list[tuple[str, int]] = []
        self._watchdog_ms = notifier.watchdog_ms if notifier.watchdog_ms is not None else _NEVER_MS
        self._anew_at, self._anew_pause = -_ANEW_FORGOTTEN_MS, RETRY_MS
        self._wakeup = -1
        self._handlers: dict[int, Any] = {}
        self._stops: list[int] = []
        self._reload_asked = False
        self.work = hire(self)

    def start(self) -> None:
        """Arm the schedules and take over what is there. From here on the daemon is ready."""
        self._catch_signals()
        self.work.start()
        jobs = self.catalog.jobs
        schedules = sum(len(job.schedules) for job in jobs.values())
        self.journal.say(f"ready: {_count(len(jobs), 'job')}, {_count(schedules, 'schedule')}")
        self._notifier.tell(f"READY=1\nSTATUS={len(jobs)} jobs")

    def run(self, *, drain_ms: int = 0) -> int:
        """Go on until SIGTERM or SIGINT; the number of that signal. What runs then ends within `drain_ms`, or is left
        running for the next daemon; a second signal leaves at once."""
        try:
            while not self._stops:
                self.turn()
            number = self._stops[0]
            self.journal.say(f"{signal.Signals(number).name}: stopping; {_run(self.work.running)}")
            self._notifier.tell("STOPPING=1")
            self._drain(drain_ms)
            self._stop_commands()
        finally:
            self.close()
        return number

    def run_once(self) -> int:
        """Do what is due now, see it through, and end; the number of the signal that cut it short, 0 for none."""
        self.work.fires_until = self._host.now()
        try:
            self.turn(0)
            while self.work.at_work and not self._stops:
                self.turn()
            self._stop_commands()
        finally:
            self.close()
        return self._stops[0] if self._stops else 0

    def close(self) -> None:
        left, running = self.work.left, self.work.running
        if left:
            what = f"{left} {'run is' if left == 1 else 'runs are'} left for the next daemon"
            if running and self._is_init:
                what += f"; {_run(running)}, and the kernel kills them with this process: it is PID 1"
            elif running:
                what += f"; {_run(running)} on"
            self.journal.say(what)
        self.journal.flush(LAST_WORDS_MS)
        self._restore_signals()
        self.work.close()

    def turn(self, timeout_ms: int | None = None) -> None:
        """One round: wait for the next thing to happen, then every duty whose turn has come."""
        try:
            self.work.turn(self.wait_ms() if timeout_ms is None else timeout_ms)
            self.work.say_aside()
        except (StoreUnavailableError, OSError) as error:
            self._begin_anew(error)
        except JobctlError:
            raise  # of the store itself, which does not pass: whoever supervises us is to know
        except Exception as error:
            self._begin_anew(error)
        self._keep_watchdog()
        self.journal.flush()
        self._notifier.flush()
        if self._host.monotonic() >= self.work.not_before:
            self.duties()
        trouble = self.work.trouble
        self.journal.say_once("engine", f"{trouble.message}; trying again" if trouble else "")
        self.journal.say_once("keepers", self.work.keepers_trouble)
        self._tell_troubles()

    def duties(self) -> None:
        """Every duty whose turn has come. One that cannot be done does not keep the others from theirs."""
        now = Moment(self._host.now(), self._host.monotonic())
        trouble, spent = "", self.work.spent
        self.journal.say_once("reserve", spent)
        for duty in self.work.duties:
            if spent and duty.begins:
                continue
            if self.work.trouble is not None:  # nothing can be recorded: nothing new is begun
                self.work.not_before = now.mono + RETRY_MS
                return
            try:
                if duty.due(now):
                    duty.once(now)
            except StoreLostError:
                raise  # nothing that is tried again here will help
            except Exception as error:
                trouble = trouble or in_a_sentence(error)
                self.work.failed(error)
        self.work.say_aside()
        self.journal.say_once("duties", f"{trouble}; trying again" if trouble else "")
        if trouble or spent:
            self.work.rest(now.mono + RETRY_MS)

    def _begin_anew(self, error: Exception) -> None:
        """Something went wrong that is nobody's in particular: what is in memory may be half done, and is let go. All
        of it is taken up again from what is recorded, after a pause that grows as long as that does not help."""
        mono = self._host.monotonic()
        quiet = mono - self._anew_at > _ANEW_FORGOTTEN_MS
        self._anew_at = mono
        self._anew_pause = RETRY_MS if quiet else min(2 * self._anew_pause, _ANEW_AT_MOST_MS)
        self.journal.say_once("anew", f"{in_a_sentence(error)}; all runs are taken up anew")
        self.work.begin_anew(mono + self._anew_pause)

    def _tell_troubles(self) -> None:
        """What we suffer from is for `status`, too, which cannot be told by way of a store that cannot be written."""
        if (troubles := self.journal.troubles()) != self._told:
            self._told = troubles
            self.work.complain(troubles)

    # -- definitions -----------------------------------------------------------------------------------------------

    @property
    def catalog(self) -> Catalog:
        return self.reloader.catalog

    @property
    def files(self) -> Sequence[str]:
        return self.reloader.files

    @property
    def unsettled(self) -> bool:
        return self.reloader.unsettled

    def changed(self) -> bool:
        return self.reloader.changed()

    def reload(self) -> None:
        force = self._reload_asked
        if force:
            self._reload_asked = False
            self._notifier.tell(f"RELOADING=1\nMONOTONIC_USEC={self._host.monotonic() * 1000}")
        self.arm_again = self.reloader.once(force=force) or self.arm_again
        if self.arm_again:
            self.work.new_definitions()
            self.arm_again = False
            self.journal.say(f"definitions reloaded: {_count(len(self.catalog.jobs), 'job')}")
        problem = self.reloader.problem
        self.tell_definitions()
        self.journal.say_once("definitions", f"{problem.message}; the old definitions stay in use" if problem else "")
        if force:
            self._notifier.tell("READY=1")

    def tell_definitions(self) -> None:
        """What `status` asks: which files are used, and why what they say now is not."""
        problem = self.reloader.problem
        why = None if problem is None else {"message": problem.message, "hint": problem.hint}
        self.work.tell(files=list(self.files), definitions_problem=why)

    # -- waiting ---------------------------------------------------------------------------------------------------

    def wait_ms(self) -> int:
        return max(0, min(self.work.wait_until(), self._told_at + self._watchdog_ms) - self._host.monotonic())

    def _keep_watchdog(self) -> None:
        mono = self._host.monotonic()
        if mono >= self._told_at + self._watchdog_ms:
            self._told_at = mono
            self._notifier.tell("WATCHDOG=1")

    # -- stop ------------------------------------------------------------------------------------------------------

    def _drain(self, drain_ms: int) -> None:
        self.work.draining = True
        until = self._host.monotonic() + drain_ms
        while self.work.running and self._host.monotonic() < until and len(self._stops) == 1:
            self._last_turn(until)

    def _stop_commands(self) -> None:
        """Where nothing outlives this process, what runs is asked to end, and how it did is recorded: it ends in any
        case, and would be killed without a word."""
        if not self._stops_commands or len(self._stops) > 1:
            return
        running = self.work.stop_attempts()
        if running:
            self.journal.say(f"{_run(running)}: asked to end, and killed after their kill_grace")
        until = self._host.monotonic() + self.work.grace_ms + SLACK_MS
        while (self.work.stop_attempts() or self.work.trouble is not None) and len(self._stops) < 2:
            if self._host.monotonic() >= until:
                return
            self._last_turn(until)

    def _last_turn(self, until: int) -> None:
        """One round of a daemon that ends: what runs is looked at, and nothing else."""
        try:
            self.work.turn(max(0, min(until - self._host.monotonic(), 1_000, self._watchdog_ms)))
            self.work.say_aside()
        except (StoreUnavailableError, OSError) as error:
            self._begin_anew(error)
        self._keep_watchdog()

    def _catch_signals(self) -> None:
        self._wakeup = signal.set_wakeup_fd(self.work.wake_fd, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, self._came)
        # Ignored, as it may be inherited, it would reap keepers before their time.
        self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Blocked, as they may be inherited too, they would never come.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._handlers)
        self.work.give_up_when(lambda: bool(self._stops))

    def _restore_signals(self) -> None:
        if self._handlers:
            signal.set_wakeup_fd(self._wakeup)
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _came(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reload_asked = True
            self.work.look_at_once()
        else:
            self._stops.append(number)


def _run(commands: int) -> str:
    return f"{commands} {'command runs' if commands == 1 else 'commands run'}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")

"""Attempts on this machine: start one, find one again, stop one, tell how it ended. No idea of stores or runs.

What is wanted of an attempt stands in it; what became of it is told to whoever asked, once. Its process is a keeper's:
deadlines that must hold while nobody looks, and the log's limit, are kept there; heartbeats, the waits of a poll and
what a command says in its files here. An attempt whose keeper has died is held by its pid.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Generic

from jobctl.core.model import Poll
from jobctl.core.run import attempts as rules
from jobctl.core.run.attempts import Outcome
from jobctl.core.run.children import RUN_STOPPED
from jobctl.host.files import PASSING
from jobctl.process import attempt as files_of
from jobctl.process import bare, descent, frames, keepers, links, orders, outcomes, sizes
from jobctl.process.attempt import FileError
from jobctl.process.end import End
from jobctl.process.frames import Message
from jobctl.process.held import (
    Attempt,
    Ended,
    NotStartableError,
    Owner,
    Report,
    Suspended,
    is_probe_of,
    probe_id,
)
from jobctl.process.keepers import Link
from jobctl.process.limits import Limits
from jobctl.process.links import Links
from jobctl.process.timers import RETRY_MS, Timers
from jobctl.process.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.process.journal import Entry, Found

LEFTOVER_CHECK_MS = 50  # while a stopped attempt's other processes use their grace
LOOK_AGAIN_MS = 20  # for a keeper that does not listen yet
REAP_AGAIN_MS = 2
LOCKED_CHECK_MS = 1_000  # for the lock of an attempt that lives out of our sight
PING_MS = 2_000  # while attempts run: is their keeper there?
UNASKED_MS = 60_000  # how long the first process of an attempt that nobody here has is kept, for who may ask
_REFUSALS = 5


class Supervisor(Links, Generic[Owner]):
    """Starts, finds, stops attempts, and tells what became of them."""

    def __init__(
        self,
        folder: str,
        executor: str,
        boot: str,
        watch: Watch,
        timers: Timers,
        told: Callable[[Attempt[Owner], Report], None],
        *,
        stays: bool = False,
        forked: Link | None = None,
    ) -> None:
        """`folder`: where executors and keepers have their files. `stays`: a daemon, whose start may take longer.
        `forked`: its first keeper, when that was made already."""
        super().__init__(folder, executor, boot, watch, timers, forked)
        self.draining = False  # no probe begins any more: what runs ends, and somebody else goes on
        self._told = told
        self._limits: Limits[Owner] = Limits(timers, self.stop)
        self._attempts: dict[str, Attempt[Owner]] = {}  # by probe_id
        self._claims: dict[tuple[str, str], list[Attempt[Owner]]] = {}  # (keeper, run): who waits for the answer
        self._journals: dict[str, Found] = {}  # of keepers that are dead
        self._ended_under: dict[str, tuple[Link, str]] = {}  # attempt -> keeper that waits to hear it is recorded, id
        self._unrecorded: set[str] = set()  # attempts that were told and may be known from a journal alone
        self._pinging = False
        self._unasked: dict[int, int] = {}  # pid -> since when (monotonic)
        self.aside: set[str] = set()  # runs that nobody is at here for now: what a keeper tells of them it is to keep
        if stays:
            self._adopt_orphans()

    # -- for whoever turns the loop --------------------------------------------------------------------------------

    @property
    def running(self) -> int:
        """How many attempts have a process, or may have: those too that are still asked for."""
        return sum(attempt.running or bool(attempt.left) for attempt in self._attempts.values())

    def drop(self, attempt: Attempt[Owner]) -> None:
        """It is somebody else's from here on: nothing more is told of it."""
        attempt.over = True
        self._attempts.pop(attempt.probe_id, None)

    def close(self) -> None:
        """What runs, runs on under its keeper, for whoever takes it up."""
        self.flush()
        nothing_left = not self._attempts and not self._unrecorded
        for link in self._links.values():
            self._watch.drop(link.read)
            link.close()
        if nothing_left and not self._flushing:
            for number in range(1, self._generation + 1):  # it would do so itself, a moment later
                keepers.forget(self.folder, f"{self.executor}.{number}")
        if self._forked is not None:
            self._forked.close()
        for attempt in self._attempts.values():
            bare.let_go_of_pidfd(attempt)
        keepers.reap()

    # -- keepers ---------------------------------------------------------------------------------------------------

    def _read(self, link: Link) -> None:
        found, gone = link.receive()
        if found:
            self._heard[link.name] = self.host.monotonic()
            self._say(link.name, "")
        for message in found:
            try:
                self._fact(link, message)
            except Exception as error:
                attempt = self._attempts.get(frames.fields(message).get("id", ""))
                if not self.timers.failed((attempt,), error):
                    raise
        if gone:
            self._gone(link)

    def _fact(self, link: Link, message: Message) -> None:
        told = frames.fields(message)
        verb = message[0]
        attempt = self._attempts.get(told.get("id", ""))
        if verb == b"ended":
            end = orders.end(told)
            if attempt is None:
                self._latest(link, told["id"], end, told)
            elif attempt.link is link or attempt.link is None:
                self._ended_by_keeper(attempt, link, end, told)
        elif verb == b"live":
            self._live(link, told)
        elif verb == b"claimed":
            self._claimed(link, told["run"])
        elif verb == b"refused":
            if attempt is not None:
                attempt.held_by, attempt.link = "", None
                self.timers.do(self._refused, attempt, int(told["errno"]))
        elif verb == b"stale":
            for one in self._claims.pop((link.name, told["run"]), []):
                self._say(one.id, "")  # somebody else has the run, which the store will tell
        elif verb == b"swept":
            attempt = next((one for one in self._attempts.values() if one.id == told["id"]), None)
            if attempt is not None and attempt.report is not None:
                self._tell(attempt, attempt.report)
        elif verb == b"trouble":
            self._say(link.name + " ", told.get("text", "") and f"a keeper's journal cannot be written: {told['text']}")
        elif verb == b"failed":
            self._say(link.name + " ", f"a keeper cannot begin: {told.get('text')}")

    def _ping(self) -> None:
        """Ask the keepers of attempts whether they are there: stopped is slow, and not dead."""
        # In the order of the attempts, and not in that of a set, which is one of addresses: a simulation is repeatable.
        asked = {attempt.link: None for attempt in self._attempts.values() if attempt.link is not None}
        now = self.host.monotonic()
        for link in asked:
            heard = self._heard.get(link.name, 0)
            if heard >= 0:  # below 0: minus the moment since when an answer is waited for
                link.send(frames.message("ping", n=now))
                self._flushing[link] = None
                self._heard[link.name] = -now
            elif now + heard > links.SLOW_MS:
                self._say(
                    link.name,
                    f"keeper {link.name} does not answer (stopped, or a file system hangs); its commands go on",
                )
        self._pinging = bool(asked)
        if asked:
            self.timers.at(now + PING_MS, self._ping)
            self.flush()

    def _gone(self, link: Link) -> None:
        """A keeper has died."""
        self._watch.drop(link.read)
        link.close()
        self._links.pop(link.name, None)
        self._heard.pop(link.name, None)
        self._flushing.pop(link, None)
        self._say(link.name, "")
        for id, (of, _) in list(self._ended_under.items()):
            if of is link:
                del self._ended_under[id]
        waiting = [
            one for key, waits in list(self._claims.items()) if key[0] == link.name for one in self._claims.pop(key)
        ]
        for attempt in list(self._attempts.values()):
            if attempt.link is link:
                attempt.link, attempt.held_by = None, ""
                if attempt.report is not None:
                    self.timers.do(self._sweep_and_tell, attempt, attempt.report)
                elif attempt.end is None:
                    waiting.append(attempt)
        for attempt in waiting:
            attempt.left = [link.name, *attempt.left]
        self._reap_keeper(link.pid, 0, waiting)

    def _reap_keeper(self, pid: int | None, tries: int, waiting: list[Attempt[Owner]]) -> None:
        """Not before it is gone for good do its children come to us: its descriptors are closed earlier."""
        if pid is not None and not keepers.reap_one(pid) and tries < 50:
            self.timers.at(self.host.monotonic() + REAP_AGAIN_MS, self._reap_keeper, pid, tries + 1, waiting)
            return
        for attempt in waiting:
            self.timers.do(self._seek, attempt)

    def reap_orphans(self) -> None:
        """Take what came to us when a keeper died, or (to PID 1) from anywhere, and has ended: nobody else does. How a
        first process of an attempt ended is left for who asks for that."""
        if not self._adopts and os.getpid() != 1:
            return
        attempts = self._attempts.values()
        if any(attempt.left or not (attempt.running or attempt.between_probes) for attempt in attempts):
            return  # looked for just now: it may be any of them
        known = {attempt.pid for attempt in attempts}
        try:
            orphans = [pid for pid in descent.children(os.getpid()) if pid not in known and not keepers.is_ours(pid)]
        except OSError:
            return  # no descriptor just now, or a kernel that does not tell
        now, before = self.host.monotonic(), self._unasked
        self._unasked = {}
        for pid in orphans:
            found = descent.look(pid)
            if found is None or found.alive:
                continue
            if found.session == pid and descent.mark_of(pid):
                since = self._unasked[pid] = before.get(pid, now)
                if now - since < UNASKED_MS:
                    continue
            with suppress(ChildProcessError):
                os.waitpid(descent.checked(pid), os.WNOHANG)

    # -- start -----------------------------------------------------------------------------------------------------

    def start(self, attempt: Attempt[Owner]) -> None:
        """Begin an attempt that is recorded as started and has never run."""
        self._attempts[attempt.probe_id] = attempt
        self.timers.do(self._begin, attempt)

    def _begin(self, attempt: Attempt[Owner]) -> None:
        if attempt.over or attempt.running or attempt.between_probes:
            return
        if attempt.pending_stop is not None:  # asked to end before it could start
            attempt.kind_of_stop = attempt.pending_stop
            self._over(attempt, None)
            return
        link = self._keeper()
        try:
            command = attempt.command(attempt.checked)
            order = orders.start(attempt, command, link, self.host.now())
        except NotStartableError as error:
            self._tell(attempt, Ended(error.outcome, {}))
            return
        except OSError as error:
            if error.errno in PASSING:
                raise
            self._tell(attempt, Ended(Outcome(rules.FAILED, error=f"it could not be started: {error}"), {}))
            return
        link.send(order)
        # What keepers before it had of the attempt is settled.
        attempt.left, attempt.pid = [], None
        bare.let_go_of_pidfd(attempt)
        self._flushing[link] = None
        attempt.link, attempt.held_by = link, "keeper"
        self._watch_attempt(attempt)

    def _refused(self, attempt: Attempt[Owner], number: int) -> None:
        """Not begun: it is still the same attempt when there is room again."""
        if attempt.over:
            return
        if number == errno.EEXIST:
            # Somebody was faster: find out who.
            attempt.refusals += 1
            if attempt.refusals > _REFUSALS:
                error = f"it could not be started: {attempt.files.log} is there already"
                self._tell(attempt, Ended(Outcome(rules.FAILED, error=error), {}))
            else:
                attempt.left = self._names(attempt)
                self.timers.at(self.host.monotonic() + LOOK_AGAIN_MS, self._seek, attempt)
            return
        self.timers.at(self.host.monotonic() + RETRY_MS, self._begin, attempt)

    def _watch_attempt(self, attempt: Attempt[Owner]) -> None:
        self._limits.set(attempt)
        self._limits.listen(attempt)
        if attempt.link is not None and not self._pinging:
            self._pinging = True
            self.timers.at(self.host.monotonic() + PING_MS, self._ping)

    # -- find again ------------------------------------------------------------------------------------------------

    def attach(
        self,
        attempt: Attempt[Owner],
        candidates: Iterable[str],
        *,
        stop: str | None,
        may_start: bool,
        by_shell: bool = True,
    ) -> None:
        """An attempt that is recorded as started: take it up where it is, tell its end, or start it.

        `candidates`: executors that may have begun it, the first one first. `stop`: what it is to be stopped for.
        `may_start`: an attempt that no journal knows has certainly not run. `by_shell`: it may be one of jobctl 0.1.
        """
        attempt.pending_stop = stop
        attempt.may_start = may_start
        if attempt.poll is not None:
            attempt.probes = (files_of.read_poll(attempt.files.poll) or (0, 0))[0]  # its waits go on growing from there
            attempt.probe_id = probe_id(attempt)
        self._attempts[attempt.probe_id] = attempt
        attempt.executors = list(candidates)
        attempt.left = self._names(attempt)
        self.timers.do(self._find_shell if by_shell else self._seek, attempt)

    def _names(self, attempt: Attempt[Owner]) -> list[str]:
        """Keepers that may have an attempt. The newest first: what an earlier one has of it is older."""
        names = []
        for executor in attempt.executors:
            there = keepers.of_executor(self.folder, executor)
            names += [name for name in self._links if name.startswith(executor + ".") and name not in there] + there
        return names[::-1]

    def _find_shell(self, attempt: Attempt[Owner]) -> None:
        from jobctl.process import shell_keeper

        found = shell_keeper.state(attempt.files.state, attempt.id)
        if found is None:
            self._seek(attempt)
            return
        attempt.checked = found.ran
        if found.pid is None and found.end is None and attempt.looks < 20:  # a keeper that has just made its file
            attempt.looks += 1
            self.timers.at(self.host.monotonic() + LEFTOVER_CHECK_MS, self._find_shell, attempt)
            return
        if found.pid is not None and found.end is None:
            attempt.pid = shell_keeper.find(attempt.files.state, attempt.id, attempt.token)
        if attempt.pid is None:  # it may have ended between the two looks
            now = shell_keeper.state(attempt.files.state, attempt.id)
            self._over(attempt, now.end if now is not None else None)
            return
        self._held(attempt, "shell")
        self._watch.process(attempt.pid, lambda: self.timers.do(self._shell_ended, attempt))

    def _shell_ended(self, attempt: Attempt[Owner]) -> None:
        from jobctl.process import shell_keeper

        if not attempt.over:
            found = shell_keeper.state(attempt.files.state, attempt.id)
            attempt.held_by = ""
            self._over(attempt, found.end if found is not None else None)

    def _seek(self, attempt: Attempt[Owner]) -> None:
        """Ask the keepers that may have it, one after the other."""
        if attempt.over or attempt.running:
            return
        while attempt.left:
            name = attempt.left[0]
            link = self._links.get(name)
            if link is None and keepers.lives(self.folder, name):
                link = keepers.connect(self.folder, name)
                if link is None:
                    attempt.looks += 1
                    if attempt.looks * LOOK_AGAIN_MS > links.SLOW_MS:
                        self._say(
                            attempt.id, f"keeper {name} does not answer; what {attempt.id} has come to is not known yet"
                        )
                    self.timers.at(self.host.monotonic() + LOOK_AGAIN_MS, self._seek, attempt)
                    return
                self._connect(link)
            if link is not None:
                waiting = self._claims.setdefault((name, attempt.run), [])
                if not waiting:
                    link.send(frames.message("claim", run=attempt.run, take=attempt.take))
                    self._flushing[link] = None
                waiting.append(attempt)
                return
            entry = self._entry(name, attempt)
            if entry is not None:
                self._from_journal(attempt, name, entry)
                return
            attempt.left.pop(0)
        self._never_began(attempt)

    def _entry(self, name: str, attempt: Attempt[Owner]) -> Entry | None:
        """What a dead keeper has written of an attempt; of several probes of a poll the last."""
        if name not in self._journals:
            from jobctl.process import journal

            self._journals[name] = journal.read(journal.files(self.folder, name))
        entries = self._journals[name].entries
        if attempt.poll is None:
            found = entries.get(attempt.id)
            return None if found is not None and found.unbegun else found
        return next((entries[id] for id in reversed(entries) if is_probe_of(id, attempt.id)), None)

    def _claimed(self, link: Link, run: str) -> None:
        """All that a keeper has of a run was told: what was not named it does not have."""
        for attempt in self._claims.pop((link.name, run), []):
            if not attempt.over and not attempt.running and attempt.end is None and not attempt.between_probes:
                if attempt.left:
                    attempt.left.pop(0)
                self.timers.do(self._seek, attempt)

    def _live(self, link: Link, told: dict[str, str]) -> None:
        attempt = self._attempts.get(told["id"])
        if attempt is not None and attempt.link is link:  # after its condition, the command
            attempt.checked = True
            attempt.pid = int(told["pid"]) or None
            bare.hold_pidfd(attempt, link, int(told["first"]), int(told["last"]))
            return
        attempt = self._find(link, told["id"])
        if attempt is None:
            return
        self._rename(attempt, told["id"])
        attempt.link = link
        attempt.pid = int(told["pid"]) or None
        if attempt.poll is not None:
            attempt.started_at = int(told["began"]) or attempt.started_at  # start_to_close is for one probe
        bare.hold_pidfd(attempt, link, int(told["first"]), int(told["last"]))
        by = told.get("by")
        if by:
            attempt.kind_of_stop = by
        self._held(attempt, "keeper")

    def _find(self, link: Link, id: str) -> Attempt[Owner] | None:
        """Who asks for an attempt, or for another probe of it than it thought of."""
        attempt = self._attempts.get(id)
        if attempt is not None and attempt.left[:1] == [link.name]:
            return attempt
        return next((one for (name, _), waiting in self._claims.items() if name == link.name for one in waiting
                     if id == one.id or (one.poll is not None and is_probe_of(id, one.id))), None)  # fmt: skip

    def _latest(self, link: Link, id: str, end: End, told: dict[str, str]) -> None:
        attempt = self._find(link, id)
        if attempt is not None and not attempt.running:
            self._rename(attempt, id)
            self._ended_by_keeper(attempt, link, end, told)
        elif id.partition("/")[0] not in self.aside:  # nobody asks for it any more
            self._acks.setdefault(link, []).append(id)

    def _rename(self, attempt: Attempt[Owner], id: str) -> None:
        if attempt.probe_id != id:
            self._attempts.pop(attempt.probe_id, None)
            attempt.probe_id = id
            self._attempts[id] = attempt
            probe = id.rpartition("~")[2]
            attempt.probes = int(probe) if probe.isdigit() and "~" in id else 0

    def _held(self, attempt: Attempt[Owner], how: str) -> None:
        """It is there, and lives."""
        attempt.held_by = how
        self._say(attempt.id, "")
        self._watch_attempt(attempt)
        stop, attempt.pending_stop = attempt.pending_stop, None
        if stop is not None:
            self.timers.do(self.stop, attempt, stop)

    def _from_journal(self, attempt: Attempt[Owner], name: str, entry: Entry) -> None:
        """A keeper that is dead has had it."""
        if attempt.over or attempt.running:
            return
        header = self._journals[name].header
        attempt.mark = entry.mark
        attempt.checked = attempt.checked or entry.ran
        self._rename(attempt, entry.id)
        if entry.end is not None:
            if entry.end.by:
                attempt.kind_of_stop = attempt.kind_of_stop or entry.end.by
            same = header is not None and header.boot == self.boot
            self._over(attempt, entry.end if same else entry.end._replace(boot=0))  # of another boot's clock
            return
        from jobctl.process import kernel

        if header is None or header.boot != self.boot:
            self._over(attempt, None)
        elif header.namespace != kernel.namespace():
            self._locked(attempt)
        elif entry.pid is None:
            # It was about to be made, and nobody has written down whether it was.
            pid, is_coming = bare.leader(attempt.token, entry.mark)
            if pid is not None:
                self._bare(attempt, pid)
            elif is_coming:
                self.timers.at(self.host.monotonic() + REAP_AGAIN_MS, self._from_journal, attempt, name, entry)
            elif name in self._heir_of and attempt.goes_on():
                self._never_began(attempt)  # or it would be a child of ours, dead or alive
            else:
                self._over(attempt, None)
        else:
            found = descent.look(entry.pid)
            if found is not None and found.born_between(*entry.born):
                self._bare(attempt, entry.pid)
            elif attempt.pidfd >= 0 and attempt.pid == entry.pid:
                self._bare_ended(attempt)
            else:
                self._over(attempt, None)

    def _bare(self, attempt: Attempt[Owner], pid: int) -> None:
        """Its keeper is dead and its process is there: a child of ours, or nobody's."""
        attempt.pid = pid
        if attempt.pidfd < 0 and hasattr(os, "pidfd_open"):
            with suppress(OSError):
                attempt.pidfd = os.pidfd_open(descent.checked(pid))
        self._held(attempt, "pid")
        self._watch.process(pid, lambda: self.timers.do(self._bare_ended, attempt))

    def _bare_ended(self, attempt: Attempt[Owner]) -> None:
        if attempt.over or attempt.pid is None:
            return
        from jobctl.process import kernel

        status: int | None
        try:
            found, status = os.waitpid(descent.checked(attempt.pid), os.WNOHANG)
            if found == 0:
                return
        except ChildProcessError:
            status = kernel.exit_status_of(attempt.pidfd) if attempt.pidfd >= 0 else None
            if status is None and attempt.pidfd >= 0 and attempt.looks < 20 and descent.look(attempt.pid) is not None:
                attempt.looks += 1  # its parent has not reaped it yet
                self.timers.at(self.host.monotonic() + LOOK_AGAIN_MS, self._bare_ended, attempt)
                return
        attempt.held_by = ""
        in_condition = attempt.has_condition and not attempt.checked
        if status == 0 and in_condition and attempt.kind_of_stop is None:
            attempt.checked = True  # its condition has said yes; the command is begun by a keeper of ours
            self._begin(attempt)
            return
        how = "condition" if in_condition else "exit"
        now = self.host.now()
        end = End(attempt.probe_id, how, status, ran=not in_condition, wall=now) if status is not None else None
        self._over(attempt, end)

    def _locked(self, attempt: Attempt[Owner]) -> None:
        """It was begun in another PID namespace: only its log's lock tells whether it lives."""
        from jobctl.process import kernel

        if attempt.over:
            return
        if not kernel.is_locked(attempt.files.log):
            attempt.held_by = ""
            self._say(attempt.id, "")
            self._over(attempt, None)
            return
        attempt.held_by = "lock"
        self._say(
            attempt.id,
            f"{attempt.id} may still run in another container or PID namespace, where its keeper was killed; no other"
            f" attempt begins before it is over: end it there (who has it open: fuser {attempt.files.log})",
        )
        self.timers.at(self.host.monotonic() + LOCKED_CHECK_MS, self._locked, attempt)

    def _never_began(self, attempt: Attempt[Owner]) -> None:
        if attempt.pending_stop is not None or not attempt.goes_on():
            attempt.kind_of_stop = attempt.pending_stop
            self._over(attempt, None)  # it never started, and nothing starts any more
        elif not attempt.may_start:
            self._over(attempt, None)
        else:
            if attempt.poll is not None:
                attempt.started_at = self.host.now()
            self._begin(attempt)

    # -- stop ------------------------------------------------------------------------------------------------------

    def stop(self, attempt: Attempt[Owner], kind: str) -> None:
        """Ask the attempt's processes to end, or kill them. A second, harder request replaces the first."""
        if attempt.over:
            return
        if attempt.between_probes:
            attempt.between_probes = False
            attempt.kind_of_stop = kind
            self._over(attempt, None)
            return
        if not attempt.running:
            if attempt.pending_stop is None or kind == "kill":
                attempt.pending_stop = kind
            return
        if attempt.kind_of_stop is not None and kind != "kill":
            return
        if attempt.held_by == "keeper":
            assert attempt.link is not None
            # It says by what it was stopped, if it has not ended by itself.
            verb = "kill" if kind == "kill" else "stop"
            attempt.link.send(frames.message(verb, id=attempt.probe_id, by=kind, grace=attempt.grace))
            self._flushing[attempt.link] = None
            attempt.pending_stop = kind
            return
        if attempt.held_by == "lock":
            attempt.kind_of_stop = kind
            return
        self._stop_bare(attempt, kind)

    def _stop_bare(self, attempt: Attempt[Owner], kind: str) -> None:
        """What a keeper would do, where there is none any more."""
        if kind == "kill":
            attempt.kind_of_stop = kind
            self._kill_bare(attempt)
            return
        bare.ask_to_end(attempt)
        attempt.kind_of_stop = kind
        attempt.kill_at = self.host.monotonic() + attempt.grace
        self.timers.at(attempt.kill_at, self._grace_over, attempt)

    def _grace_over(self, attempt: Attempt[Owner]) -> None:
        if not attempt.over and attempt.held_by in ("pid", "shell"):
            self._kill_bare(attempt)

    def _kill_bare(self, attempt: Attempt[Owner]) -> None:
        attempt.kill_at = self.host.monotonic()
        bare.kill(attempt)

    # -- an attempt ends -------------------------------------------------------------------------------------------

    def _ended_by_keeper(self, attempt: Attempt[Owner], link: Link, end: End, told: dict[str, str]) -> None:
        """Its keeper has seen to it that nothing of a failed or stopped attempt lives on."""
        attempt.link, attempt.held_by = link, "keeper"
        attempt.what = told.get("files", "")
        attempt.mark = int(told.get("mark", "0"))
        attempt.strays = int(told.get("strays", "0"))
        attempt.checked = attempt.checked or end.ran
        if end.by:
            attempt.kind_of_stop = end.by
        elif attempt.kind_of_stop is not None and end.how != "unbegun":
            attempt.kind_of_stop = None  # it had ended before it could be asked
        self._ended_under[attempt.id] = (link, attempt.probe_id)
        attempt.held_by = ""
        attempt.end = end
        self.timers.do(self._conclude, attempt, end)

    def _over(self, attempt: Attempt[Owner], end: End | None) -> None:
        """It has no keeper, and has ended: see that nothing of it lives on where it should not."""
        if attempt.over:
            return
        attempt.held_by = ""
        done = end is not None and end.how == "exit" and end.status == 0
        if attempt.kind_of_stop is not None:
            rest = descent.members(attempt.token, attempt.mark)
            if rest and attempt.kill_at is not None and self.host.monotonic() < attempt.kill_at:
                attempt.held_by = "pid" if attempt.pid is not None else ""
                self.timers.at(self.host.monotonic() + LEFTOVER_CHECK_MS, self._over, attempt, end)
                return  # they were asked to end, and have their grace
        if not done or attempt.kind_of_stop is not None:
            descent.sweep(attempt.token, attempt.mark)
        sizes.keep(attempt.files.base, attempt.log_limit)
        self._conclude(attempt, end)

    def _conclude(self, attempt: Attempt[Owner], end: End | None) -> None:
        """What it has come to, out of how its process ended and what it says in its files."""
        if attempt.over:
            return
        attempt.end = end
        attempt.ended_at = outcomes.when(end, self.host)
        done = end is not None and end.how == "exit" and end.status == 0
        wait: dict[str, Any] | None = None
        damage: str | None = None
        if attempt.kind_of_stop is None and attempt.may_suspend and outcomes.has(attempt, "s"):
            try:
                wait = files_of.read_suspension(attempt.files.suspend)
            except FileError as error:
                damage = str(error)
        if wait is not None:
            extra = outcomes.left_behind(attempt)
            if attempt.has_condition and not (end is not None and end.ran):
                extra["unchecked"] = True
            self._finish(attempt, Suspended(wait, extra), sweep=done)
            return
        poll = attempt.poll if attempt.kind_of_stop is None else None
        if poll is not None and end is not None and end.how == "exit" and end.status == 1 << 8:
            self._not_yet(attempt, poll)
            return
        outcome, extra = outcomes.result(attempt, end)
        if damage is not None:
            outcome = Outcome(rules.FAILED, error=damage)
        if outcome.status == rules.SUCCEEDED and attempt.close_at is not None and attempt.ended_at >= attempt.close_at:
            attempt.kind_of_stop = "schedule_to_close"  # nobody was there to stop it
            outcome = outcomes.stopped(attempt, outcome)
        # What it handed on cannot be read: it has failed after all.
        self._finish(attempt, Ended(outcome, extra), sweep=done and outcome.status != rules.SUCCEEDED)

    def _finish(self, attempt: Attempt[Owner], report: Report, *, sweep: bool) -> None:
        if sweep and attempt.link is not None and not attempt.link.closed:
            attempt.report = report
            link = attempt.link
            link.send(frames.message("sweep", id=attempt.id, token=attempt.token, mark=attempt.mark))
            self._flushing[link] = None
            self._attempts[attempt.probe_id] = attempt
            return
        if sweep:
            self._sweep_and_tell(attempt, report)
        else:
            self._tell(attempt, report)

    def _sweep_and_tell(self, attempt: Attempt[Owner], report: Report) -> None:
        descent.sweep(attempt.token, attempt.mark)
        self._tell(attempt, report)

    def _tell(self, attempt: Attempt[Owner], report: Report) -> None:
        attempt.over = True
        attempt.held_by = ""
        self._attempts.pop(attempt.probe_id, None)
        self._unrecorded.add(attempt.id)
        self._say(attempt.id, "")
        bare.let_go_of_pidfd(attempt)
        self._told(attempt, report)

    def recorded(self, id: str) -> None:
        """The end of an attempt stands where nothing is lost: its keeper need not keep it."""
        self._unrecorded.discard(id)
        found = self._ended_under.pop(id, None)
        if found is not None:
            self._acks.setdefault(found[0], []).append(found[1])

    # -- polls -----------------------------------------------------------------------------------------------------

    def _not_yet(self, attempt: Attempt[Owner], poll: Poll) -> None:
        """A poll's condition does not hold: ask again later, in the same attempt - a thousand times leave no trace."""
        self._acknowledge_probe(attempt)
        attempt.pid = None
        attempt.link, attempt.end, attempt.what = None, None, None
        attempt.probes += 1
        attempt.checked = True
        self._attempts.pop(attempt.probe_id, None)
        attempt.probe_id = probe_id(attempt)
        self._attempts[attempt.probe_id] = attempt
        if not attempt.goes_on():
            self._tell(attempt, Ended(Outcome(rules.CANCELED, 1, error=RUN_STOPPED), {}))
            return
        now = self.host.now()
        next_probe = rules.next_probe(
            poll, attempt.timeouts, probe=attempt.probes, ended_at=now, step_started_at=attempt.step_started_at
        )
        if next_probe.retry_at is None:
            assert next_probe.why is not None
            error = outcomes.did_not_hold(poll, attempt.timeouts, next_probe.why)
            self._tell(attempt, Ended(Outcome(rules.TIMED_OUT, 1, error=error, timeout=next_probe.why), {}))
            return
        try:
            # What was said with a "not yet" is not what the step says.
            for path in (attempt.files.output, attempt.files.failure, attempt.files.calls, attempt.files.state):
                with suppress(FileNotFoundError):
                    os.unlink(path)
        except OSError as error:
            self._tell(attempt, Ended(Outcome(rules.FAILED, error=f"it could not be asked again: {error}"), {}))
            return
        files_of.write_poll(attempt.files.poll, attempt.probes, next_probe.retry_at)
        attempt.between_probes = True
        self.timers.at_wall(next_probe.retry_at, self._probe, attempt, attempt.probes)

    def _acknowledge_probe(self, attempt: Attempt[Owner]) -> None:
        found = self._ended_under.pop(attempt.id, None)
        if found is not None:
            self._acks.setdefault(found[0], []).append(found[1])

    def ask_now(self, attempt: Attempt[Owner]) -> None:
        """A poll need not wait any longer: it is asked. One that is being asked just now is left alone, and so is an
        attempt that is no poll's. Whoever has only taken it over has asked it anyway."""
        self._probe(attempt, attempt.probes)

    def _probe(self, attempt: Attempt[Owner], probes: int) -> None:
        """Ask it again, after so many times."""
        if attempt.over or not attempt.between_probes or self.draining or attempt.probes != probes:
            return
        attempt.between_probes = False
        attempt.started_at = self.host.now()  # start_to_close is for one probe
        self.timers.do(self._begin, attempt)

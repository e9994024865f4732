"""All keepers that an executor has to do with: which is its own, which does not answer, what waits to be written to
them. What one of them is: keepers.py. What is said of attempts: supervisor.py.
"""

from __future__ import annotations

import os

from jobctl.process import keepers
from jobctl.process.keepers import Link
from jobctl.process.timers import Timers
from jobctl.process.watch import Watch

FLUSH_AGAIN_MS = 5  # when a keeper's pipe is full
SLOW_MS = 3_000  # a keeper that has not answered for so long gets a second one beside it
SUBREAPER_AFTER_MS = 100  # what a short run is spared


class Links:
    """The keepers of one executor, and those of others that it has to do with."""

    def __init__(
        self, folder: str, executor: str, boot: str, watch: Watch, timers: Timers, forked: Link | None
    ) -> None:
        self.folder, self.executor, self.boot = folder, executor, boot
        self.timers, self.host = timers, timers.host
        self.trouble = ""  # what keeps attempts waiting, in a sentence; "" for nothing
        self._watch = watch
        self._forked = forked
        self._links: dict[str, Link] = {}  # by name
        self._heard: dict[str, int] = {}  # name -> monotonic
        self._own: Link | None = None
        self._generation = 0
        self._flushing: dict[Link, None] = {}  # in the order in which something was said to them
        self._flush_is_due = False
        self._acks: dict[Link, list[str]] = {}
        self._adopts = False
        self._heir_of: set[str] = set()  # keepers of ours whose children come to us, whenever they die
        self._troubles: dict[str, str] = {}

    def _read(self, link: Link) -> None:
        """A keeper has said something, or has died."""
        raise NotImplementedError

    def flush(self) -> None:
        """Send what was decided."""
        for link, ids in self._acks.items():
            if not link.closed:
                link.send([b"ack", *(b"id=" + os.fsencode(id) for id in ids)])
                self._flushing[link] = None
        self._acks.clear()
        full = {link: None for link in self._flushing if not link.closed and not link.flush()}
        self._flushing = full
        if full and not self._flush_is_due:  # one timer, however often this is called meanwhile
            self._flush_is_due = True
            self.timers.at(self.host.monotonic() + FLUSH_AGAIN_MS, self._flush_later)

    def _flush_later(self) -> None:
        self._flush_is_due = False
        self.flush()

    def current(self) -> str:
        """The name of the keeper that the next attempt will be started by."""
        if self._own is None or self._own.closed or self._is_slow(self._own.name):
            return f"{self.executor}.{self._generation + 1}"
        return self._own.name

    def _is_slow(self, name: str) -> bool:
        asked = self._heard.get(name, 0)
        return asked < 0 and self.host.monotonic() + asked > SLOW_MS

    def _keeper(self) -> Link:
        """Our own, made when there is none. OSError when no process can be made just now."""
        if self._own is not None and not self._own.closed and not self._is_slow(self._own.name):
            return self._own
        link, self._forked = self._forked, None
        if link is None:
            link = keepers.make()
        self._generation += 1
        link.greet(self.folder, f"{self.executor}.{self._generation}", self.boot, keepers.commands_umask())
        self._own = link
        self._connect(link)
        if self._adopts:
            self._heir_of.add(link.name)
        else:
            self.timers.at(self.host.monotonic() + SUBREAPER_AFTER_MS, self._adopt_orphans)
        return link

    def _connect(self, link: Link) -> None:
        self._links[link.name] = link
        self._watch.add(link.read, lambda: self._read(link))
        self._flushing[link] = None

    def _adopt_orphans(self) -> None:
        """When a keeper of ours dies, its commands become our children, and how they end is known."""
        if self._adopts:
            return
        from jobctl.process import kernel

        self._adopts = kernel.become_subreaper()
        if self._adopts:
            # One that has died before had its children go elsewhere.
            self._heir_of |= {link.name for link in self._links.values() if keepers.still_lives(link.pid)}

    def _say(self, about: str, text: str) -> None:
        """Something keeps attempts waiting, or does not any more."""
        if text:
            self._troubles[about] = text
        elif self._troubles:
            self._troubles.pop(about, None)
        self.trouble = next(iter(self._troubles.values()), "")

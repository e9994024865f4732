"""Definitions as the daemon has them: read again when a file changes, whole or not at all. Fires and starts nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence

from jobctl.core.errors import DefinitionError, Problem
from jobctl.definitions.files import Catalog, read_files

Stamp = tuple[tuple[int, ...], ...]


class Reloader:
    """Keeps the newest valid definitions of some files. `problem` says why the newest ones are not in use."""

    def __init__(self, files: Sequence[str]) -> None:
        """DefinitionError when the files cannot be used now: a daemon does not start without definitions."""
        self.files = tuple(files)
        self._seen = self._used = _stamp(self.files)
        self.catalog: Catalog = read_files(self.files)
        self.problem: DefinitionError | None = None

    def once(self, *, force: bool = False) -> bool:
        """Look at the files; whether `catalog` is another one now. A file that still changes is left for the next look.

        An invalid file changes nothing: what was there stays in use, and `problem` tells.
        """
        stamp = _stamp(self.files)
        settled, self._seen = stamp == self._seen, stamp
        if not force and (stamp == self._used or not settled):
            return False
        self._used = stamp
        try:
            catalog = read_files(self.files)
        except DefinitionError as error:
            self.problem = error
            return False
        except Exception as error:  # a fault of ours in reading one file ends no schedule of the others
            what = f"cannot be used: {type(error).__name__}: {error}"
            hint = "this is a fault of jobctl: please report it with what was changed"
            self.problem = DefinitionError([Problem(what, hint=hint, file=", ".join(self.files))])
            return False
        self.problem = None
        changed = catalog != self.catalog
        self.catalog = catalog
        return changed

    def changed(self) -> bool:
        """Whether the files are others now than those that were read last."""
        return _stamp(self.files) != self._used

    @property
    def unsettled(self) -> bool:
        """Whether a change was seen that is not in use yet: worth another look soon."""
        return self._seen != self._used


def _stamp(files: Sequence[str]) -> Stamp:
    """What changes when a file is edited, replaced or removed."""
    found: list[tuple[int, ...]] = []
    for path in files:
        try:
            state = os.stat(path)
            found.append((state.st_mtime_ns, state.st_size, state.st_ino, state.st_mode, state.st_uid))
        except OSError:
            found.append((0,))
    return tuple(found)

"""How an attempt ended, as its keeper saw it. What its command says of that, and what follows: attempt.py."""

from __future__ import annotations

from jobctl.core.record import NamedTuple


class End(NamedTuple):
    """How an attempt ended.

    `how`: exit and condition, with the raw wait status of the command, or of only_if; not_made, with an errno, when
    there is no process that could have ended; unbegun, when it was stopped before its turn.
    """

    id: str
    how: str
    status: int
    by: str = ""  # what it was stopped for, in the words of who asked; "": nobody asked
    what: str = ""  # what kept it from being made: program, folder, interpreter, arguments, log
    ran: bool = False  # its condition said "run", or it has none
    began: int = 0  # wall
    wall: int = 0
    boot: int = 0

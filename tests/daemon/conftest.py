"""The places of these tests."""

from __future__ import annotations

from daemons_of import new_place, place, start

__all__ = ["new_place", "place", "start"]

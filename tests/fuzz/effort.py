"""How many inputs a test of this folder tries."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_LONG = 5  # so many times as much with --hypothesis-profile=long


def tries(count: int) -> settings:
    """So many inputs, the same ones each time; with the long profile many more, and new ones."""
    long = settings.get_current_profile_name() == "long"
    return settings(
        max_examples=count * (_LONG if long else 1),
        derandomize=not long,
        database=None,  # no files beside the tests; a failure prints how to repeat it
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )

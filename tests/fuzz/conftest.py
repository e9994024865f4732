"""How much is tried: `pytest tests/fuzz` a little and always the same, `--hypothesis-profile=long` fresh inputs for a
minute or so. A failure of the long one prints what to put above the test to see it again (`@reproduce_failure`)."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("long", print_blob=True)

"""`python -m jobctl`: the same as `jobctl`."""

from __future__ import annotations

import sys

from jobctl.cli.main import main

sys.exit(main())

"""Reads users: users.py FILE. They are handed on as one JSON list."""

from __future__ import annotations

import csv
import json
import os
import sys

with open(sys.argv[1], newline="", encoding="utf-8") as file:
    users = list(csv.DictReader(file))
with open(os.environ["JOBCTL_OUTPUT"], "a", encoding="utf-8") as output:
    print(f"users={json.dumps(users)}", file=output)
print(f"{len(users)} users")

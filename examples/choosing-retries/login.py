"""Logs in at the server: login.py PORT [--tell]. Exit code 0: in; 65: the password is wrong; 75: try again.

The password comes in the environment, where other users of the machine cannot read it. With --tell, what happened is
written into the failure file, and whether another attempt makes sense.
"""

from __future__ import annotations

import os
import socket
import sys

WRONG_PASSWORD, TRY_AGAIN = 65, 75


def fail(code: int, message: str, kind: str) -> None:
    print(message)
    if "--tell" in sys.argv:
        with open(os.environ["JOBCTL_FAILURE"], "a", encoding="utf-8") as failure:
            print(f"message={message}\ntype={kind}\nnon_retryable={str(code == WRONG_PASSWORD).lower()}", file=failure)
    sys.exit(code)


try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as connection:
        connection.sendall(os.environ["PASSWORD"].encode() + b"\n")
        answer = connection.makefile().readline().strip()
except OSError as error:
    fail(TRY_AGAIN, f"no connection: {error}", "ConnectionDropped")
if answer == "denied":
    fail(WRONG_PASSWORD, "the password is wrong", "WrongPassword")
elif answer != "welcome":
    fail(TRY_AGAIN, "the connection dropped", "ConnectionDropped")
print("logged in")

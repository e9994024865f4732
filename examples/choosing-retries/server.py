"""The other side of login.py: server.py [PORT] [DROP]. Drops the first DROP (1) connections, then asks for `secret`.

Prints its port once it listens, then a line for each connection.
"""

from __future__ import annotations

import socket
import sys

port = int(sys.argv[1]) if len(sys.argv) > 1 else 8766
drop = int(sys.argv[2]) if len(sys.argv) > 2 else 1

with socket.create_server(("127.0.0.1", port)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        connection, _ = server.accept()
        with connection:
            password = connection.makefile().readline().strip()
            if drop:
                drop -= 1
                print("dropped", flush=True)
                continue
            answer = "welcome" if password == "secret" else "denied"
            print(answer, flush=True)
            connection.sendall(answer.encode() + b"\n")

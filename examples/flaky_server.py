"""A web server that is sometimes down: GET reads files of a folder, PUT writes them, the first tries get a 503.

    python3 flaky_server.py FOLDER [--port 8765] [--fail 2]

`--fail`: so many requests of each kind fail before one works. The port is printed once it listens; 0 takes a free one.
"""

from __future__ import annotations

import argparse
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar


class Handler(BaseHTTPRequestHandler):
    folder: Path
    fail: int
    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        path = self.available()
        if path is None:
            return
        if not path.is_file():
            self.answer(404)
            return
        self.answer(200, path.read_bytes())

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.available()
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        self.answer(201)

    def available(self) -> Path | None:
        """The file that is asked for, or None when the request has been refused."""
        path = (self.folder / self.path.lstrip("/")).resolve()
        self.asked[self.command] += 1
        if not path.is_relative_to(self.folder):
            self.answer(403)
        elif self.asked[self.command] <= self.fail:
            self.answer(503)
        else:
            return path
        return None

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--fail", type=int, default=2)
    arguments = parser.parse_args()
    Handler.folder = arguments.folder.resolve()
    Handler.fail = arguments.fail
    with ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

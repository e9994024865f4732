"""A shop: takes orders over HTTP, is down for the first requests, and knows an order that it has already by its key.

python3 shop.py [--port 8769] [--fail 2]
python3 shop.py --cancel BASKET [--port 8769]
"""

from __future__ import annotations

import argparse
import json
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Lock

TOKEN = "open-sesame"
THINGS = ("tea", "rice", "salt")

baskets: dict[str, list[str]] = {}
known: dict[str, str] = {}  # Idempotency-Key -> basket
asked = count(1)
lock = Lock()
fail = 2


class Shop(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            self.answer(*self.order(self.path.split("/")[1:], self.headers["Idempotency-Key"]))

    def do_GET(self) -> None:
        with lock:
            basket = self.path.split("/")[-1]
            self.answer(*(self.refused() or (200, json.dumps(sorted(baskets[basket])))))

    def do_DELETE(self) -> None:
        with lock:
            baskets.pop(self.path.split("/")[-1], None)
            self.answer(204, "")

    def refused(self) -> tuple[int, str] | None:
        if next(asked) <= fail:
            return 503, "come back later"
        return None if self.headers["Authorization"] == f"Bearer {TOKEN}" else (401, "who are you?")

    def order(self, path: list[str], key: str) -> tuple[int, str]:
        if refused := self.refused():
            return refused
        if key not in known:
            if len(path) == 1:
                known[key] = f"basket-{len(baskets) + 1}"
                baskets[known[key]] = []
            elif path[2] not in THINGS:
                return 422, f"there is no {path[2]}"
            else:
                known[key] = path[1]
                baskets[path[1]].append(path[2])
        return 201, known[key]

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


def main() -> None:
    global fail
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8769)
    parser.add_argument("--fail", type=int, default=2)
    parser.add_argument("--cancel", metavar="BASKET")
    arguments = parser.parse_args()
    if arguments.cancel:
        connection = HTTPConnection("127.0.0.1", arguments.port, timeout=10)
        connection.request("DELETE", f"/baskets/{arguments.cancel}")
        print(f"canceled {arguments.cancel}: {connection.getresponse().status}")
        return
    fail = arguments.fail
    with ThreadingHTTPServer(("127.0.0.1", arguments.port), Shop) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

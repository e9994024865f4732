"""A web server whose slow requests are runs of jobctl: server.py [--port 8767] [--wait 20s].

    POST /reports?year=2025     200 and the report; 202 and the run's address when it takes longer than --wait;
                                at once 202 with the header "Prefer: respond-async"
    GET  /reports/RUN           the same, for as often as somebody asks

It keeps nothing itself: restarted, it goes on answering. Prints its port once it listens; 0 takes a free one.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

WRONG_USAGE, NOT_FOUND, STILL_RUNNING = 2, 3, 75  # exit codes of jobctl


def jobctl(*arguments: str) -> tuple[int, dict[str, Any]]:
    """(exit code, the run) - or the error, if there is no run."""
    done = subprocess.run(["jobctl", "--json", *arguments], stdout=subprocess.PIPE, check=False)
    return done.returncode, json.loads(done.stdout)


class Handler(BaseHTTPRequestHandler):
    wait: str

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        if url.path != "/reports":
            self.answer(404, {"error": "no such page"})
            return
        params = [word for key, value in parse_qsl(url.query) for word in ("-p", f"{key}={value}")]
        if self.headers.get("Prefer") == "respond-async":
            code, run = jobctl("run", "report", "--detach", *params)
            code = code or STILL_RUNNING  # 0 says that it was handed over
        else:
            code, run = jobctl("run", "report", "--require-daemon", "--wait", self.wait, *params)
        self.tell(code, run)

    def do_GET(self) -> None:
        # What comes from outside reaches a command line only if it looks like a run's id.
        asked = re.fullmatch(r"/reports/(report-\w{6,32})", self.path)
        if self.path == "/":
            self.send(200, Path("page.html").read_bytes(), "text/html; charset=utf-8")
        elif asked:
            self.tell(*jobctl("status", asked[1], "--exit-status"))
        else:
            self.answer(404, {"error": "no such page"})

    def tell(self, code: int, run: dict[str, Any]) -> None:
        """The answer that a run is, as far as it has come."""
        if "error" in run:
            status = {WRONG_USAGE: 400, NOT_FOUND: 404}.get(code, 503)  # 503: for one, no daemon is there
            self.answer(status, {"error": run["error"]["message"]})
        elif code == STILL_RUNNING:
            waits = run["waiting_for"] and run["waiting_for"]["kind"]
            body = {"run": run["id"], "status": run["status"], "waiting_for": waits}
            self.answer(202, body, Location=f"/reports/{run['id']}")
        elif code == 0:
            self.answer(200, {"run": run["id"], "report": run["steps"][-1]["outputs"]["report"]})
        else:
            self.answer(500, {"run": run["id"], "status": run["status"], "error": run["reason"]})

    def answer(self, status: int, body: dict[str, Any], **headers: str) -> None:
        self.send(status, json.dumps(body).encode() + b"\n", "application/json", **headers)

    def send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8767)
    parser.add_argument("--wait", default="20s")
    arguments = parser.parse_args()
    Handler.wait = arguments.wait
    with ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

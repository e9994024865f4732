"""Makes docs/picture.svg: `jobctl run hello` in a real terminal (tmux), killed with kill -9, and resumed.

.venv/bin/python docs/picture.py
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 80, 24
PATIENCE = 60  # seconds


class Terminal:
    """A shell in a terminal of its own, in the folder of the example."""

    def __init__(self, scratch: Path) -> None:
        self._socket = str(scratch / "tmux")
        environment = {
            "HOME": str(scratch),
            "JOBCTL_STATE_DIR": str(scratch / "state"),
            "LANG": "C.UTF-8",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PS1": "$ ",
        }
        variables = [f"{name}={value}" for name, value in environment.items()]
        size = ("-x", str(WIDTH), "-y", str(HEIGHT))
        folder = str(ROOT / "examples/hello")
        self.tmux("-f", "/dev/null", "-u", "new-session", "-d", *size, "-c", folder, "env", *variables, "sh")

    def tmux(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-S", self._socket, *arguments], check=True, capture_output=True, text=True
        ).stdout

    def type(self, line: str) -> None:
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def screen(self, until: str) -> str:
        """What stands on the screen, colours included, once `until` does."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if until in self.tmux("capture-pane", "-p"):
                return self.tmux("capture-pane", "-e", "-p").rstrip()
            time.sleep(0.05)
        raise TimeoutError(f"{until!r} does not appear:\n{self.tmux('capture-pane', '-p')}")

    def kill(self) -> None:
        """kill -9 what the shell runs in the foreground."""
        shell = self.tmux("display-message", "-p", "#{pane_pid}").strip()
        child = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0]
        os.kill(int(child), signal.SIGKILL)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        terminal = Terminal(Path(scratch))
        try:
            terminal.type("jobctl run hello")
            terminal.screen(until="count  1s")
            terminal.kill()
            terminal.screen(until="Killed")
            terminal.type("jobctl resume hello")
            screen = terminal.screen(until="logs: jobctl logs")
        finally:
            terminal.tmux("kill-server")
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(screen), soft_wrap=True)
    console.save_svg(str(ROOT / "docs/picture.svg"), title="jobctl", theme=MONOKAI, unique_id="jobctl")


if __name__ == "__main__":
    main()

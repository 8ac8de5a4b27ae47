"""A command on a terminal of its own, as a person sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable

from .controller import INVOKE, Controller


class Terminal:
    """`invoke ARGUMENTS` on a terminal of a given size; `output` grows while it runs."""

    def __init__(self, controller: Controller, *arguments: str, columns: int = 80, rows: int = 24) -> None:
        """Start it."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        command = [str(INVOKE), "--search-root", str(controller.project), *arguments]
        command += ["--inventory", str(controller.inventory)]
        environment = {**controller.environment, "TERM": "xterm-256color"}
        environment.pop("CI", None)
        pipes = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = subprocess.Popen(command, cwd=controller.home, env=environment, **pipes, start_new_session=True)
        os.close(theirs)
        self.output = ""
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def _read(self, ours: int) -> None:
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # nobody has the other side open any more
                return
            self.output += chunk.decode(errors="replace")

    def wait_until(self, shown: Callable[[str], bool], what: str, timeout: float = 90) -> None:
        """Wait until its output is such."""
        deadline = time.monotonic() + timeout
        while not shown(self.output):
            assert self.process.poll() is None, f"it ended without showing {what}:\n{self.output}"
            assert time.monotonic() < deadline, f"it did not show {what} within {timeout} s:\n{self.output}"
            time.sleep(0.05)

    def interrupt(self) -> int:
        """Press Ctrl-C; give the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        self._reader.join(10)
        return code

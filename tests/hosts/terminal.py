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
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        command = [str(INVOKE), "--search-root", str(controller.project), *arguments]
        command += ["--inventory", str(controller.inventory)]
        # No terminal is here to say where its cursor is.
        environment = {**controller.environment, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
        environment.pop("CI", None)
        pipes = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        program = ["setsid", "--ctty", *command]  # the terminal turns Ctrl-C into a signal for it
        self.process = subprocess.Popen(program, cwd=controller.home, env=environment, **pipes)
        os.close(theirs)
        self.output = ""
        self._read_up_to = 0
        self._reader = threading.Thread(target=self._read, args=(self._ours,), daemon=True)
        self._reader.start()

    def _read(self, ours: int) -> None:
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # nobody has the other side open any more
                return
            self.output += chunk.decode(errors="replace")

    @property
    def news(self) -> str:
        """What it has shown since something was typed."""
        return self.output[self._read_up_to :]

    def type(self, keys: str) -> None:
        """Press keys; what is shown from now on is news."""
        self._read_up_to = len(self.output)
        os.write(self._ours, keys.encode())

    def wait_until(self, shown: Callable[[str], bool], what: str, timeout: float = 90) -> None:
        """Wait until its output is such."""
        deadline = time.monotonic() + timeout
        while not shown(self.output):
            assert self.process.poll() is None, f"it ended without showing {what}:\n{self.output}"
            assert time.monotonic() < deadline, f"it did not show {what} within {timeout} s:\n{self.output}"
            time.sleep(0.05)

    def wait_for(self, *words: str, timeout: float = 90) -> str:
        """Wait until these words, one after another, are news; give the news."""
        self.wait_until(lambda _: _in_order(self.news, words), f"{words} in {self.news!r}", timeout)
        return self.news

    def interrupt(self) -> int:
        """Press Ctrl-C; give the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> int:
        """Wait until it ends; give the exit code."""
        code = self.process.wait(30)
        self._reader.join(10)
        return code


def _in_order(text: str, words: tuple[str, ...]) -> bool:
    place = 0
    for word in words:
        if (place := text.find(word, place)) < 0:
            return False
        place += len(word)
    return True

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

    def __init__(
        self, controller: Controller, *arguments: str, columns: int = 80, rows: int = 24, inventory: bool = True
    ) -> None:
        """Start it; with `inventory`, for the controller's."""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        command = [str(INVOKE), "--search-root", str(controller.project), *arguments]
        command += ["--inventory", str(controller.inventory)] if inventory else []
        # No terminal is here to say where its cursor is.
        environment = {**controller.environment, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
        environment.pop("CI", None)
        pipes = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        program = ["setsid", "--ctty", *command]  # the terminal turns Ctrl-C into a signal for it
        self.process = subprocess.Popen(program, cwd=controller.home, env=environment, **pipes)
        os.close(theirs)
        self.output = ""
        self._read_up_to = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._ours, 65536)
            except OSError:  # nobody has the other side open any more
                return
            self.output += chunk.decode(errors="replace")

    @property
    def news(self) -> str:
        """What it has shown since something was typed."""
        return self.output[self._read_up_to :]

    @property
    def shows_typing(self) -> bool:
        """Whether it echoes what is typed."""
        return bool(termios.tcgetattr(self._ours)[3] & termios.ECHO)

    def type(self, keys: str) -> None:
        """Press keys; what is shown from now on is news."""
        self._read_up_to = len(self.output)
        os.write(self._ours, keys.encode())

    def wait_until(self, shown: Callable[[str], bool], what: str, timeout: float = 90) -> None:
        """Wait until its output is such."""
        deadline = time.monotonic() + timeout
        while True:
            ended = not self._reader.is_alive()  # and has been read to its end
            if shown(self.output):
                return
            assert not ended, f"it ended without showing {what}:\n{self.output}"
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
        code = self.process.wait(120)
        self._reader.join(60)
        return code


class Dialogue(Terminal):
    """`invoke ARGUMENTS` that asks questions, on a terminal that is wide enough to break no line."""

    def __init__(self, controller: Controller, *arguments: str) -> None:
        """Start it; it is told no inventory."""
        super().__init__(controller, *arguments, columns=400, rows=50, inventory=False)
        self._heard = 0

    def expect(self, words: str) -> None:
        """Wait until it says these words, after those that were waited for before."""
        self.wait_until(lambda output: words in output[self._heard :], repr(words), timeout=240)
        self._heard = self.output.index(words, self._heard) + len(words)

    def answer(self, question: str, text: str) -> None:
        """Wait for the question, type the answer, and press Enter."""
        self.expect(question)
        os.write(self._ours, f"{text}\n".encode())

    def press_ctrl_d(self) -> None:
        """Say that there is nothing more to say."""
        os.write(self._ours, b"\x04")

    def end(self) -> int:
        """Wait for its end; give the exit code."""
        code = self.process.wait(240)
        self._reader.join(60)
        return code


def _in_order(text: str, words: tuple[str, ...]) -> bool:
    place = 0
    for word in words:
        if (place := text.find(word, place)) < 0:
            return False
        place += len(word)
    return True

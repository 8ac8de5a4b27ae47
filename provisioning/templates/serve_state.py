"""What outlives one run of serve.py, for the next one and for whoever looks from outside; and words for systemd.

Standard library only, Python 3.9 and later: the system's interpreter runs it, not the environment's.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


class State:
    """What outlives this process: the attempts of the series, and the phase, for whoever looks from outside."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.phase, self.since, self.shown = directory, "", 0.0, ""
        self.pid, self.restarts = 0, 0
        self.server: dict[str, Any] = {}  # what is known of the server that runs: model, vllm, started

    def enter(self, phase: str, message: str = "") -> None:
        """Say where the server stands: in state.json, in systemd's STATUS=, and in the log where the phase is new."""
        shown = f"{phase}: {message}" if message else phase
        if shown == self.shown:
            return
        if phase != self.phase:
            self.since = time.time()
            print(f"serve: {shown}", file=sys.stderr, flush=True)
        self.phase, self.shown = phase, shown
        content = {"phase": phase, "since": self.since, "pid": self.pid, "restarts": self.restarts, "message": message}
        content["fingerprint"] = os.environ.get("VLLM_FINGERPRINT", "")
        self.write("state.json", json.dumps({**content, **self.server}, ensure_ascii=False))
        notify(f"STATUS={shown}")

    def measured(self, sample: dict[str, Any]) -> None:
        """Keep the last sample of the server's counters. That it cannot be kept is no reason not to serve."""
        with suppress(OSError):
            self.write("metrics.json", json.dumps(sample))

    def read(self, name: str) -> list[int]:
        """The numbers in a file of the state directory; none where there is no such file."""
        try:
            return [int(word) for word in (self.directory / name).read_text().split()]
        except (OSError, ValueError):
            return []

    def write(self, name: str, content: str) -> None:
        """Write beside and rename: a reader sees the old content or the new."""
        beside = self.directory / f".{name}"
        beside.write_text(content, encoding="utf-8")
        beside.chmod(0o644)  # no secrets: `status` reads it as anybody
        beside.replace(self.directory / name)


def notify(message: str) -> None:
    """Tell systemd, where it listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.sendto(message.encode(), "\0" + address[1:] if address[0] == "@" else address)

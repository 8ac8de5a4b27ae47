"""What the hosts of one run know of one another while vLLM is compiled: who does it for whom, and who has it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection


class Builders:
    """The hosts that compile in this run."""

    def __init__(self) -> None:
        self.compiling: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        """For each key, the lock of the host that compiles it."""
        self.failed: dict[str, str] = {}
        """For each key, the host on which it could not be compiled."""
        self.finished: dict[str, threading.Event] = {}

    def expect(self, hosts: Collection[str]) -> None:
        """Begin a run with these hosts."""
        self.compiling.clear()
        self.failed.clear()
        self.finished = {host: threading.Event() for host in hosts}

    def finish(self, host: str) -> None:
        """Let go who waits for this host: it has its wheel, or will have none in this run."""
        if event := self.finished.get(host):
            event.set()

    def wait_for(self, host: str) -> None:
        """Wait until a host of this run has finished; no host of another run is waited for."""
        if event := self.finished.get(host):
            event.wait()


BUILDERS = Builders()

"""The end of an inference before its time: `--stop`, and Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from provisioning import fleet, job
from provisioning.asking import Askable
from provisioning.errors import ProvisioningError, SkippedError
from provisioning.host import quote


def stop(asked: Askable, *names: str) -> bool:
    """End the jobs of these names on the host of a service; give whether any ran."""
    host = fleet.open_host(asked.entry)
    try:
        stopped = [job.stop(host, name) for name in names]
        return any(stopped)
    finally:
        host.close()


class Ending:
    """Ends on Ctrl-C what a thread of this program has begun on the host: who leaves wants nothing to go on there."""

    def __init__(self, asked: Askable, job_name: str) -> None:
        self._asked, self._job_name = asked, job_name
        self._leaving, self._idle = threading.Event(), threading.Event()
        self._idle.set()

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Frame what begins something on the host."""
        self._idle.clear()
        try:
            self.check()
            yield
        finally:
            self._idle.set()

    def check(self) -> None:
        """Raise `SkippedError`, in the thread, where nothing more is to begin."""
        if self._leaving.is_set():
            raise SkippedError(f"{self._asked.name}: interrupted")

    def end(self) -> str:
        """End it, and say what came of that; "" where nothing had begun. The thread may be about to: look again."""
        self._leaving.set()
        name, service = self._asked.entry.name, self._asked.service.name
        if self._idle.is_set():
            return ""
        try:
            while not stop(self._asked, self._job_name) and not self._idle.wait(1):
                pass
        except (ProvisioningError, KeyboardInterrupt):
            there = f"--hosts {quote(name)} --service {quote(service)}"
            return f"{self._asked.name} may go on answering. To end that: invoke infer --stop {there}"
        return f"{self._asked.name} answers no more."

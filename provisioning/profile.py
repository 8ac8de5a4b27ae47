"""Where the time of a run goes: until its task begins, until hosts are worked on, and on each host, in seconds."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PHASES = ("connect", "facts", "look", "apply", "other")
"""What is done on a host, in this order. To look again after a change is part of `apply`; all else is `other`."""


class Profile:
    """Takes the times of many threads at once. A phase within another counts for itself alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._inner = threading.local()
        self._marks: dict[str, float] = {}
        self._hosts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def mark(self, name: str) -> None:
        """Note that something begins now, if it is the first time."""
        self._marks.setdefault(name, self._clock())

    @contextmanager
    def phase(self, host: str, name: str) -> Iterator[None]:
        """Frame a phase of the work on a host."""
        around, self._inner.seconds, began = getattr(self._inner, "seconds", 0.0), 0.0, self._clock()
        try:
            yield
        finally:
            took = self._clock() - began
            with self._lock:
                self._hosts[host][name] += took - self._inner.seconds
            self._inner.seconds = around + took

    def lines(self) -> list[str]:
        """A table: what came before and after the hosts, then each host's phases."""
        begun, hosts = self._marks.get("task", 0.0), self._marks.get("hosts", self._clock())
        before = f"start {begun - process_began():.2f} s, inventory and imports {hosts - begun:.2f} s"
        width = max(map(len, self._hosts), default=0)
        rows = [f"{before}, hosts {self._clock() - hosts:.2f} s", f"{'':{width}}" + "".join(f"{p:>9}" for p in PHASES)]
        for host, took in sorted(self._hosts.items(), key=lambda item: _natural(item[0])):
            rows.append(f"{host:{width}}" + "".join(f"{took.get(phase, 0.0):9.2f}" for phase in PHASES))
        return rows


def _natural(name: str) -> list[str]:
    """What sorts web2 before web10."""
    return [part.zfill(20) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def process_began() -> float:
    """When this process began, on the monotonic clock, to a hundredth of a second: field 22 of /proc/self/stat."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    after_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return after_boot - (time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic())


PROFILE = Profile()
"""Of this run."""

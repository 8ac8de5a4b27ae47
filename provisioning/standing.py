"""Where things stand while a run goes on: what each host is doing, and how many changes were made on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioning.figures import clock

if TYPE_CHECKING:
    from provisioning.transfer import Said

LONG = 5
"""Seconds from which on it is said how long a change has taken so far."""


@dataclass
class _Host:
    state: str = "waiting"
    """`waiting`, `at work`, `done` or `failed`."""
    doing: str = ""
    said: Said = ""
    since: float = 0
    """When the change began that is being made."""
    changes: int = 0

    def __str__(self) -> str:
        if self.state == "waiting":
            return "not begun"
        made = f"{self.changes} change{'s' if self.changes != 1 else ''}" if self.changes else "no change"
        if self.state != "at work":
            return f"{self.state}, {made} made"
        said = f" ({self.said})" if self.said else ""
        return f"{self.doing or 'looking'}{said}, {made} made before"


class Standing:
    """Takes notes from many threads at once; hosts are told of in the order in which they were announced."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}

    def announce(self, hosts: Sequence[str]) -> None:
        """Name the hosts that will be worked on."""
        with self._lock:
            self._hosts |= {host: _Host() for host in hosts}

    @contextmanager
    def working(self, host: str) -> Iterator[None]:
        """Frame the work on a host."""
        self._note(host, state="at work")
        try:
            yield
        except Exception:
            self._note(host, state="failed", doing="", said="")
            raise
        self._note(host, state="done", doing="", said="")

    def begin(self, host: str, what: str) -> None:
        """Note the change that begins."""
        self._note(host, doing=what, said="", since=self._clock())

    def end(self, host: str) -> None:
        """Note that the change has ended, one way or the other."""
        self._note(host, doing="", said="")

    def say(self, host: str, said: Said) -> None:
        """Note the last piece of progress."""
        self._note(host, said=said)

    def count(self, host: str) -> None:
        """Note a change that was made."""
        with self._lock:
            self._hosts.setdefault(host, _Host()).changes += 1

    def _note(self, host: str, **values: Said | float) -> None:
        with self._lock:
            found = self._hosts.setdefault(host, _Host())
            for name, value in values.items():
                setattr(found, name, value)

    def now(self) -> list[tuple[str, Said]]:
        """What every host that is at work is doing now, and for how long; a download says itself how long still."""
        with self._lock:
            return [(name, self._now(host)) for name, host in self._hosts.items() if host.said or host.doing]

    def _now(self, host: _Host) -> Said:
        said, passed = host.said or host.doing, self._clock() - host.since
        return f"{clock(passed)} {said}" if isinstance(said, str) and host.doing and passed >= LONG else said

    def lines(self) -> list[str]:
        """Where things stand, in a line for each host."""
        with self._lock:
            return [f"{name}: {host}" for name, host in self._hosts.items()]

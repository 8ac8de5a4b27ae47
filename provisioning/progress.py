"""Progress of long work, from the lines of its log. Pure but for the clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from provisioning.job import JOINED
from provisioning.resources.base import Tell

PAUSE = 1.0
"""Seconds between two lines, from which they are as far apart as they were written."""
WIDTH = 20
"""Columns of a bar."""


class Compiling:
    """Takes ninja's lines, `[12/490] Building …`, and tells a bar, how much is done, and how long it may still take."""

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._began: tuple[float, int] | None = None
        self._joined = False
        self._last = 0.0

    def __call__(self, line: str) -> None:
        """Tell what a line of the log means; lines that are no progress as they are."""
        match = re.match(r"\s*\[(\d+)/(\d+)\] ", line)
        if not match or int(match[2]) < 2:
            self._joined = self._joined or line == JOINED
            self._tell(line)
            return
        done, total = int(match[1]), int(match[2])
        now = self._clock()
        # The log of a job that was joined comes at once, up to where the job is now.
        replayed = self._joined and now - self._last > PAUSE
        self._last = now
        if self._began is None or done < self._began[1] or replayed:
            self._joined = self._joined and not replayed
            self._began = now, done
        self._tell(f"compiling {bar(done / total)} {done} of {total}, {self._times(now, done, total)}")

    def _times(self, now: float, done: int, total: int) -> str:
        began, first = self._began or (now, done)
        elapsed = now - began
        if self._joined:
            return "read again"
        if done - first < 5:
            return f"{clock(elapsed)} gone"
        return f"{clock(elapsed)} gone, about {clock(elapsed * (total - done) / (done - first))} left"


def bar(share: float) -> str:
    """A bar of text."""
    full = round(share * WIDTH)
    return "█" * full + "░" * (WIDTH - full)


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02} h" if minutes >= 60 else f"{minutes}:{rest:02} min"

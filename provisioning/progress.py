"""Progress of long work, from the lines of its log. Pure but for the clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


class Sending:
    """Tells how much of several files has been sent, or fetched: after each, and meanwhile now and then."""

    def __init__(self, tell: Tell, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._size, self._clock = tell, size, clock
        self._done = 0
        self._said = 0.0

    @contextmanager
    def file(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """Give what is to be told the bytes of one file that have passed."""

        def on_passed(passed: int) -> None:
            if self._clock() - self._said > PAUSE:
                self._say(name, self._done + passed)

        yield on_passed
        self._done += size
        self._say(name, self._done)

    def _say(self, name: str, done: int) -> None:
        self._said = self._clock()
        self._tell(f"{bar(done / max(self._size, 1))} {done / 1e6:.0f} of {self._size / 1e6:.0f} MB, {name}")


def bar(share: float) -> str:
    """A bar of text."""
    full = round(share * WIDTH)
    return "█" * full + "░" * (WIDTH - full)


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02} h" if minutes >= 60 else f"{minutes}:{rest:02} min"

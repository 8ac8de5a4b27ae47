"""Progress of long work, from the lines of its log. Pure but for the clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from pydantic_core import from_json

from provisioning.figures import amount, bar, clock, printable, size
from provisioning.job import JOINED
from provisioning.masking import masked
from provisioning.transfer import Transfer

if TYPE_CHECKING:
    from provisioning.resources.base import Tell

PAUSE = 1.0
"""Seconds between two lines, from which they are as far apart as they were written."""


PROGRESS = "progress "
"""How a download's lines of progress begin; a JSON object follows."""


class Replay:
    """Whether progress is read again: the log of a job that was joined comes at once, up to where the job is now."""

    def __init__(self) -> None:
        self.on = False
        self._last: float | None = None

    def begin(self) -> None:
        """The job was joined."""
        self.on, self._last = True, None

    def progress(self, now: float) -> bool:
        """Take note that a line of progress has come; give whether it was read again."""
        self.on = self.on and (self._last is None or now - self._last <= PAUSE)
        self._last = now
        return self.on


class Compiling:
    """Takes ninja's lines, `[12/490] Building …`, and tells a bar, how much is done, and how long it may still take."""

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._began: tuple[float, int] | None = None
        self._replay = Replay()

    def __call__(self, line: str) -> None:
        """Tell what a line of the log means; lines that are no progress as they are."""
        match = re.match(r"\s*\[(\d+)/(\d+)\] ", line)
        if not match or int(match[2]) < 2:
            if line == JOINED:
                self._replay.begin()
            self._tell(line)
            return
        done, total = int(match[1]), int(match[2])
        now = self._clock()
        if self._replay.progress(now) or self._began is None or done < self._began[1]:
            self._began = now, done
        self._tell(f"compiling {bar(done / total)} {done} of {total}, {self._times(now, done, total)}")

    def _times(self, now: float, done: int, total: int) -> str:
        began, first = self._began or (now, done)
        elapsed = now - began
        if self._replay.on:
            return "read again"
        if done - first < 5:
            return f"{clock(elapsed)} gone"
        return f"{clock(elapsed)} gone, about {clock(elapsed * (total - done) / (done - first))} left"


class Downloading:
    """Takes the lines of a download's log, and tells `progress {json}` as a `Transfer`, other lines as they are."""

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock, self._replay = tell, clock, Replay()
        self._now: Transfer | None = None

    def __call__(self, line: str) -> None:
        """Tell what a line means. One that is no progress stands below the bars, which it does not end."""
        if transfer := _transfer(line):
            # A rate of long ago does not say how long it takes from now.
            again = self._replay.progress(self._clock())
            self._now = transfer.model_copy(update={"rate": 0.0}) if again else transfer
            self._tell(self._now)
            return
        if line == JOINED:
            self._replay.begin()
        self._tell(line)
        if self._now and not self._now.complete:
            self._tell(self._now.model_copy(update={"note": printable(masked(line))}))


class Installing:
    """Takes apt's lines, `dlstatus:3:42.1:Retrieving …` and `pmstatus:git:40:Unpacking …`, and tells a bar and times.

    They are those of its APT::Status-Fd (README.progress-reporting of apt): a percentage of all, in two phases.
    """

    PHASES: ClassVar = {"dl": "downloading packages", "pm": "unpacking and setting up packages"}

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._phase, self._began = "", 0.0

    def __call__(self, line: str) -> None:
        """Tell what a line means; lines that are no progress as they are."""
        match = re.match(r"(dl|pm)status:.*?:([0-9.]+):", line)
        if not match:
            self._tell(line)
            return
        now, share = self._clock(), min(float(match[2]) / 100, 1)
        if match[1] != self._phase:
            self._phase, self._began = match[1], now
        gone = now - self._began
        left = f", about {clock(gone * (1 - share) / share)} left" if 0.05 < share < 1 else ""
        self._tell(f"{self.PHASES[self._phase]} {bar(share)} {share:.0%}, {clock(gone)} gone{left}")


class Sending:
    """Tells how much of several files has been sent, or fetched: after each, and meanwhile now and then."""

    def __init__(self, tell: Tell, whole: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._size, self._clock = tell, whole, clock
        self._done = 0
        self._said = 0.0
        self._began = clock()

    @contextmanager
    def file(self, name: str, length: int) -> Iterator[Callable[[int], None]]:
        """Give what is to be told the bytes of one file that have passed."""

        def on_passed(passed: int) -> None:
            if self._clock() - self._said > PAUSE:
                self._say(name, self._done + passed)

        yield on_passed
        self._done += length
        self._say(name, self._done)

    def _say(self, name: str, done: int) -> None:
        self._said = self._clock()
        share, gone = done / max(self._size, 1), self._said - self._began
        rate = f", {size(done / gone)}/s, about {clock(gone * (1 - share) / share)} left" if gone > 1 and done else ""
        self._tell(f"{bar(share)} {amount(done, self._size)}{rate}, {name}")


def _transfer(line: str) -> Transfer | None:
    if not line.startswith(PROGRESS):
        return None
    try:
        return Transfer.model_validate(from_json(line.removeprefix(PROGRESS)))
    except ValueError:
        return None

"""How much of what is installed is there: from uv's lines, or those of download.sh. Pure but for the clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from provisioning.job import JOINED
from provisioning.progress import Downloading, Replay
from provisioning.transfer import Transfer

if TYPE_CHECKING:
    from provisioning.resources.base import Tell

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class Fetching:
    """Takes uv's lines, `Downloading torch (190.3MiB)` and ` Downloaded torch`, and tells them as a `Transfer`.

    uv names packages of 1 MiB and more, and says no more of one until it is there (uv, crates/uv/src/commands/
    reporters.rs): so rate and time left move in steps.
    """

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock, self._replay = tell, clock, Replay()
        self._others = Downloading(tell, clock)
        self._sizes: dict[str, int] = {}
        self._there: set[str] = set()
        self._began: tuple[float, int] | None = None

    def __call__(self, line: str) -> None:
        """Tell what a line of the log means; one that is not uv's as `Downloading` does."""
        if begun := re.fullmatch(r"\s*Downloading (\S+) \(([0-9.]+)([KMG]iB)\)", line):
            self._sizes[begun[1]] = round(float(begun[2]) * UNITS[begun[3]])
        elif (arrived := re.fullmatch(r"\s*Downloaded (\S+)", line)) and arrived[1] in self._sizes:
            self._there.add(arrived[1])
        else:
            if line == JOINED:
                self._replay.begin()
            self._others(line)
            return
        self._tell(self._now())

    def _now(self) -> Transfer:
        now, done = self._clock(), sum(self._sizes[name] for name in self._there)
        if self._replay.progress(now) or self._began is None:
            self._began = now, done
        began, before = self._began
        rate = (done - before) / (now - began) if now - began > 1 else 0
        whole, of = sum(self._sizes.values()), len(self._sizes)
        return Transfer(done=done, size=whole, rate=rate, finished=len(self._there), of=of)

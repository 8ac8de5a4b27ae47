"""How often a long change says that it goes on, where no terminal shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.transfer import Said, Transfer

STILL = 30
"""Seconds from one line to the next, at least."""
SELDOM = 300
"""Seconds after which a download says so even if little has come: CI systems kill what is mute for ten minutes."""
STEP = 0.1
"""How much of a download is worth a line."""


class Pace:
    """One change on one host, from its beginning."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._share = 0.0
        self._downloading = False

    def due(self, said: Said) -> bool:
        """Whether this is to be said; whoever asks says it then."""
        passed = self._clock() - self._last
        due = passed > STILL and not self._downloading if isinstance(said, str) else self._step(said, passed)
        if due:
            self._last = self._clock()
        return due

    def _step(self, said: Transfer, passed: float) -> bool:
        """Whether a download has come a good step further, or to its end; lines wait until then."""
        under_way, self._downloading = self._downloading, not said.complete
        if said.complete:
            return under_way
        due = passed > STILL and (abs(said.share - self._share) >= STEP or passed > SELDOM)
        if due:
            self._share = said.share
        return due

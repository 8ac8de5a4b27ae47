"""Who has come to its end while others go on: told now and then, for the summary comes when all have."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from provisioning.errors import ProvisioningError, SkippedError
from provisioning.outcome import Outcome

PAUSE = 3.0
"""Seconds for which an ending is kept back: where all end together, the summary says it."""


class Endings:
    """Takes notes from many threads at once."""

    def __init__(self, tell: Callable[[Outcome], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._ended: list[tuple[float, Outcome]] = []

    @contextmanager
    def noting(self, outcome: Outcome) -> Iterator[None]:
        """Frame the work on a host, and note how it ended."""
        try:
            yield
        except SkippedError:
            raise
        except ProvisioningError as error:
            outcome.fail(error)
            self._note(outcome)
            raise
        self._note(outcome)

    def _note(self, outcome: Outcome) -> None:
        with self._lock:
            self._ended.append((time.monotonic(), outcome))

    def tell(self) -> None:
        """Tell of those that ended a while ago: others are at work still."""
        with self._lock:
            due = [outcome for ended, outcome in self._ended if time.monotonic() - ended >= PAUSE]
            self._ended = self._ended[len(due) :]
        for outcome in due:
            self._tell(outcome)

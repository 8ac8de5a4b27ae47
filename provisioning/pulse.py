"""Waits between attempts at a host that is away, for what goes on until Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator

LONGEST = 60
"""Seconds."""


def growing_waits(first: float = 2) -> Iterator[float]:
    """Give 2, 4, 8 … seconds, a minute at most, for ever."""
    wait = first
    while True:
        yield wait
        wait = min(2 * wait, LONGEST)

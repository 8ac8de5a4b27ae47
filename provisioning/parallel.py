"""How many hosts are worked on at once: as many threads, and as many connections."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

HOSTS: ContextVar[int] = ContextVar("hosts at once", default=32)
"""Told by `--parallel`."""


def all_succeed(check: Callable[[T], bool], items: Sequence[T], patience: float) -> bool:
    """Whether a check succeeds for every item; the first that fails ends the waiting, as does `patience` in seconds
    without an end of any check.

    Nobody waits for checks that go on then.
    """
    left, ended = iter(items), queue.Queue[bool]()
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                item = next(left, None)
            if item is None:
                return
            ended.put(check(item))

    for _ in range(min(HOSTS.get(), len(items))):
        threading.Thread(target=work, daemon=True).start()
    try:
        return all(ended.get(timeout=patience) for _ in items)
    except queue.Empty:
        return False

"""Looking on while something else happens. Machines are containers: their processes show in this machine's list too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def looking(look: Callable[[], None], every: float) -> Iterator[None]:
    """Look again and again meanwhile, `every` so many seconds."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


@contextmanager
def command_lines(seen: set[str], every: float = 0.2) -> Iterator[set[str]]:
    """Collect every process's command line meanwhile."""

    def look() -> None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue

    with looking(look, every):
        yield seen

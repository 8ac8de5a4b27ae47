"""Tells, while a download goes on, how far it is: lines that the controller turns into bars."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.templates.download_sources import Wanted, say
else:
    from download_sources import Wanted, say

ACTIVE = 8
"""Files that a line tells of."""
WINDOW = 10.0
"""Seconds over which the rate is taken."""


class Progress:
    """How far some files are; `partial` gives the bytes of each that are here."""

    def __init__(self, files: "dict[str, Wanted]", partial: Callable[[], dict[str, int]], before: int, of: int) -> None:
        self._files, self._partial, self._before, self._of = files, partial, before, of
        self._seen: list[tuple[float, int]] = []
        self._had: dict[str, int] = {}

    def line(self, now: float) -> str:
        """One line: bytes in all, bytes a second, and the files that move."""
        here = {name: had for name, had in self._partial().items() if name in self._files}
        done, size = sum(here.values()), sum(max(each.size, 0) for each in self._files.values())
        self._seen = [*[each for each in self._seen if now - each[0] <= WINDOW], (now, done)]
        since, first = self._seen[0]
        rate = (done - first) / (now - since) if now > since else 0
        moving = [name for name, had in here.items() if had != self._had.get(name, 0)] or list(here)
        finished = sum(had == self._files[name].size for name, had in here.items())
        active = [[name, here[name], self._files[name].size] for name in moving if here[name] != self._files[name].size]
        self._had = here
        told = {
            "done": done,
            "size": size,
            "rate": round(max(rate, 0)),
            "files": active[:ACTIVE],
            "finished": self._before + finished,
            "of": self._of,
        }
        return f"progress {json.dumps(told, ensure_ascii=False)}"

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell every second at first, and less often the longer it takes: the log stays small."""
        ended, began = threading.Event(), time.monotonic()

        def tell() -> None:
            while not ended.wait(min(10.0, 1 + (time.monotonic() - began) / 120)):
                say(self.line(time.monotonic()))

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            say(self.line(time.monotonic()))

"""Results on disk, a line for each line that was asked, in its order: whatever cuts the writing off, the file says
where to go on. Standard library only, Python 3.10 and later.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO


class Results:
    """A file of results. What was cut off in the middle is dropped when it is opened."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        self.done = 0
        """Lines with a result."""
        self.last = self._mend()
        """The number of the last of them; 0 for none."""

    def _mend(self) -> int:
        """Cut off what is behind the last whole result: half a line, or what a power failure left."""
        self._file.seek(0)
        last = whole = 0
        while (number := line_of(self._file)) > last:
            last, whole, self.done = number, self._file.tell(), self.done + 1
        self._file.truncate(whole)
        self._file.seek(whole)
        return last

    def append(self, results: Iterable[Mapping[str, object]]) -> None:
        """Add results, and return when they would survive a power failure."""
        lines = [json.dumps(result, ensure_ascii=False) + "\n" for result in results]
        self._file.write("".join(lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done += len(lines)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def line_of(file: BinaryIO) -> int:
    """The number that the next whole result of a file has; 0 where there is none."""
    raw = file.readline()
    try:
        result = json.loads(raw) if raw.endswith(b"\n") else None
    except ValueError:
        return 0
    number = result.get("line") if isinstance(result, dict) else 0
    return number if isinstance(number, int) else 0

"""Print the last lines of a log file and, if told, all that comes: an object of JSON for each, as journalctl does it.

    /usr/bin/python3 -I -c PROGRAM FILE LINES FOLLOW AFTER

FOLLOW is 1 or 0. AFTER is the `__CURSOR` of the last line that was seen, or empty: INODE:OFFSET, the place behind it.
What was rotated away meanwhile (FILE.1, FILE.2 …) is read to its end first. It ends when nobody reads it any more.

Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO

BACKUPS = 9
PAUSE = 500  # milliseconds between two looks at the file


def generations(path: str) -> list[str]:
    """The file and what it was rotated to, the oldest first."""
    names = [*(f"{path}.{number}" for number in range(BACKUPS, 0, -1)), path]
    return [name for name in names if os.path.exists(name)]


def opened(name: str, offset: int) -> IO[bytes]:
    """Open a file at a place; whoever reads it closes nothing, for the program ends with it."""
    file = Path(name).open("rb")  # noqa: SIM115
    file.seek(offset)
    return file


def place(file: IO[bytes]) -> str:
    """Where a file has been read to."""
    return f"{os.fstat(file.fileno()).st_ino}:{file.tell()}"


def begin(path: str, lines: int, after: str) -> IO[bytes] | None:
    """Open the file at the place to read from; None where there is none yet."""
    inode, _, offset = after.partition(":")
    for name in generations(path):
        if after and os.stat(name).st_ino == int(inode):
            return opened(name, int(offset))
    if not os.path.exists(path):
        return None
    file = opened(path, 0)
    if not after:  # else all of this one is new
        starts = deque((0,), maxlen=lines + 1)
        for line in file:
            starts.append(starts[-1] + len(line))
        file.seek(starts[0] if len(starts) > lines else 0)
    return file


def successor(path: str, file: IO[bytes]) -> IO[bytes] | None:
    """The file that was begun after this one, if one was; the same one from its start where it was cut."""
    own = os.fstat(file.fileno())
    if own.st_size < file.tell():
        file.seek(0)
        return file
    names = generations(path)
    inodes = [os.stat(name).st_ino for name in names]
    if not names or inodes[-1] == own.st_ino:
        return None
    following = inodes.index(own.st_ino) + 1 if own.st_ino in inodes else -1
    return opened(names[following], 0)


def read(file: IO[bytes], *, to_the_end: bool) -> Iterator[bytes]:
    """Lines that are complete; and what has no end yet, if told."""
    while True:
        start = file.tell()
        line = file.readline()
        if not line or not (line.endswith(b"\n") or to_the_end):
            file.seek(start)
            return
        yield line


def main(path: str, lines: int, follow: bool, after: str) -> None:
    """Print until there is no more; with `follow` until nobody reads."""
    watch = select.poll()
    watch.register(sys.stdout, 0)
    file = begin(path, lines, after)
    while True:
        if file:
            following = successor(path, file)  # first: what is read then is all that the old one will ever hold
            for line in read(file, to_the_end=not follow or following is not None):
                entry = {"__CURSOR": place(file), "MESSAGE": line.decode("utf-8", "replace").rstrip("\n")}
                print(json.dumps(entry), flush=True)
            if following:
                file = following
                continue
        if not follow or watch.poll(PAUSE):
            return
        file = file or begin(path, lines, after)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4])

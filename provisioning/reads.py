"""What this process reads: the files and folders on which its result depends."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

_LISTINGS = ("os.listdir", "os.scandir")
_NO_FILES = ("/proc/", "/sys/", "/dev/")


class Reads:
    """Takes note of files that are opened to be read, be they there or not, and of folders that are listed.

    By Python's audit events (https://docs.python.org/3/library/audit_events.html), so that nobody has to tell. Modules
    that were imported before count, too.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._noting = True
        sys.addaudithook(self._note)  # for the life of the process

    def _note(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._noting:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and not flags & (os.O_WRONLY | os.O_RDWR):
                self._see(path)
        elif event in _LISTINGS:
            self._see(arguments[0] or ".")

    def _see(self, path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            self._seen.add(os.path.abspath(os.fsdecode(path)))

    def paths(self) -> list[str]:
        """Everything that was read so far; nothing is noted any more. Of modules it is the source that counts."""
        self._noting = False
        modules = {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
        seen = {path for path in self._seen if not path.startswith(_NO_FILES) and not path.endswith(".pyc")}
        return sorted(modules | seen)


class State(NamedTuple):
    """Files and folders as they are now."""

    digest: str
    """Tells whether they are what they were: by number, size, and time of the last change, which nobody can set."""
    changed_at: int
    """When one of them was changed last, in nanoseconds since 1970."""


def state(paths: Iterable[str]) -> State:
    """Look at files and folders, be they there or not."""
    digest, newest = hashlib.sha256(), 0
    for path in paths:
        try:
            seen = os.stat(path)
        except OSError:
            told = "absent"
        else:
            told, newest = f"{seen.st_ino} {seen.st_size} {seen.st_ctime_ns}", max(newest, seen.st_ctime_ns)
        digest.update(f"{path}\0{told}\n".encode(errors="surrogateescape"))
    return State(digest.hexdigest(), newest)

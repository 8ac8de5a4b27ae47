"""The folder that a model is brought into: one download at a time, room on its disk, and what is wrong with it."""

import errno
import fcntl
import os
import pwd
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.templates.download_records import OURS
    from provisioning.templates.download_sources import Source, Wanted, say
else:
    from download_records import OURS
    from download_sources import Source, Wanted, say

MARGIN = 64 << 20
"""Bytes of the disk to leave free."""


@contextmanager
def alone(folder: str) -> Iterator[None]:
    """Wait for another download into the same folder."""
    with open(os.path.join(folder, OURS, "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another download into {folder} goes on: waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def require_room(folder: str, missing: "dict[str, Wanted]", source: "Source") -> None:
    """Exit where too little disk is free for what is still missing."""
    partial = source.partial()
    needed = sum(max(0, wanted.size - partial.get(name, 0)) for name, wanted in missing.items()) + MARGIN
    if (free := shutil.disk_usage(folder).free) < needed:
        sys.exit(
            f"too little disk: {needed / 1e9:.2f} GB are needed for what is missing, and {free / 1e9:.2f} GB are free "
            f"where {folder} is. Make room, or give the model another path."
        )


def explained(error: OSError, folder: str) -> str:
    """What is wrong with the disk or the folder, and what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(folder).free
        return (
            f"the disk of {folder} is full: {error.strerror}, {free / 1e9:.2f} GB are free. "
            "Make room, then run it again: what is here is kept."
        )
    place = os.fsdecode(error.filename2 or error.filename or folder)
    account = pwd.getpwuid(os.geteuid()).pw_name
    what = {
        errno.EACCES: f"Give it to {account}, who serves the model, or give the model another path.",
        errno.EROFS: "Give the model a path that can be written to; or, where it is whole there, method: path.",
        errno.EISDIR: "The model has a file of this name: move the folder away.",
        errno.ENOTDIR: "The model needs a folder of this name: move the file away.",
        errno.EEXIST: "The model needs a folder of this name: move the file away.",
    }
    return f"{place}: {error.strerror or error}. {what.get(error.errno or 0, '')}".strip()

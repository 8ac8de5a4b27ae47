"""Standard streams as they may be: closed, without some letters, on a full disk; and a terminal that goes away."""

from __future__ import annotations

import errno
import os
import signal
import sys
from io import TextIOWrapper

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of a write that no program can do anything about."""


def mend() -> None:
    """Open those that are closed, onto nothing; a character that an encoding has not is shown by its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a test may have put something else in its place
            stream.reconfigure(errors="backslashreplace")


def end_as_by_ctrl_c() -> None:
    """Let `kill`, and a terminal that is closed, end the program as Ctrl-C does: with all that it has to put away."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)

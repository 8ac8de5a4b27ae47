"""How much is said: told by `--verbose` and `--quiet`, and the same for all that a program does."""

from __future__ import annotations

from contextvars import ContextVar

QUIET, NORMAL, VERBOSE = -1, 0, 1

VERBOSITY: ContextVar[int] = ContextVar("verbosity", default=NORMAL)
"""Only failures; events; or every command that changes a host, and every line of every log."""

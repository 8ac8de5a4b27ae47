"""How many hosts are worked on at once: as many threads, and as many connections."""

from __future__ import annotations

from contextvars import ContextVar

HOSTS: ContextVar[int] = ContextVar("hosts at once", default=32)
"""Told by `--parallel`."""

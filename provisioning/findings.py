"""What `doctor` finds: one line each, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, ERROR = "ok", "warning", "error"
GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    level: str
    topic: str
    text: str
    remedy: str = ""

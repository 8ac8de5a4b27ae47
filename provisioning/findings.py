"""What `doctor` finds: one line each, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.masking import masked

OK, WARNING, ERROR = "ok", "warning", "error"
GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One line of the table; URLs in it lose their passwords."""

    level: str
    topic: str
    text: str
    remedy: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", masked(self.text))
        object.__setattr__(self, "remedy", masked(self.remedy))

"""Where a download stands, as the host's program says it in its log."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from provisioning.figures import LONG, amount, clock, printable, size

Bytes = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Rate = Annotated[float, Field(ge=0, lt=1e15, allow_inf_nan=False)]
# A hub's names may hold anything.
Name = Annotated[str, BeforeValidator(lambda name: printable(str(name)))]


class Part(NamedTuple):
    """One file on its way."""

    name: Name
    done: Bytes
    size: Annotated[int, Field(ge=-1, lt=2**63)]
    """0 or -1 where unknown."""

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return min(self.done / self.size, 1) if self.size > 0 else 0


class Transfer(BaseModel):
    """A download as a whole, and the files that are on their way now."""

    model_config = ConfigDict(frozen=True)

    done: Bytes
    size: Bytes = 0
    """0 where unknown."""
    rate: Rate = 0
    """Bytes a second; 0 where unknown."""
    files: tuple[Part, ...] = ()
    finished: Count = 0
    of: Count = 0
    """How many files there are."""
    note: Name = ""
    """What the log said last that is no progress."""

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return min(self.done / self.size, 1) if self.size else 0

    @property
    def complete(self) -> bool:
        """Whether every file is there."""
        return 0 < self.of <= self.finished

    @property
    def figures(self) -> list[str]:
        """How much, how fast, how long still, and how many files; what is unknown is empty."""
        moving = self.rate >= 1 and not self.complete
        left = (self.size - self.done) / self.rate if moving else 0
        return [
            amount(self.done, self.size),
            f"{size(self.rate)}/s" if moving else "",
            f"{clock(left)} left" if 0 < left < LONG else "",
            f"{self.finished} of {self.of} file{'s' if self.of != 1 else ''}" if self.of else "",
        ]

    def __str__(self) -> str:
        """On a line of its own."""
        much, *rest = self.figures
        share = f" ({int(self.share * 100)} %)" if self.size else ""
        return ", ".join([f"downloading {much}{share}", *filter(None, rest)])


Said = str | Transfer
"""One piece of progress: a line, or where a download stands."""

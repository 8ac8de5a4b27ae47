"""How it went on one host: what was changed, or would be, and what failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provisioning.errors import ProvisioningError, SkippedError, UnreachableError
from provisioning.masking import masked

DONE = ("ok", "changed")
"""The statuses of hosts that went well."""
NAMED = 12
"""Hosts that a line names, at most."""

if TYPE_CHECKING:
    from provisioning.ahead import Question
    from provisioning.site import Site


@dataclass(frozen=True)
class Change:
    """One difference between a host and its settings; URLs in it lose their passwords."""

    step: str
    resource: str
    diff: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "resource", masked(self.resource))
        object.__setattr__(self, "diff", masked(self.diff))


@dataclass
class Outcome:
    """How it went on one host."""

    host: str
    status: str = "ok"
    """`ok`, `changed`, `failed`, `unreachable` or `skipped`."""
    changes: list[Change] = field(default_factory=list)
    error: ProvisioningError | None = None
    site: Site | None = None
    looked: tuple[Question, str] | None = None
    """What the host was asked, and the digest of its answers."""

    def fail(self, error: ProvisioningError) -> None:
        """Note how it failed; a host that was skipped has no error of its own."""
        skipped = isinstance(error, SkippedError)
        self.error = None if skipped else error
        self.status = "skipped" if skipped else "unreachable" if isinstance(error, UnreachableError) else "failed"


def alike(outcomes: Iterable[Outcome]) -> list[list[Outcome]]:
    """Those that failed, by how: together where the words differ in nothing but the host's name, and in numbers.

    Addresses and times are numbers, too.
    """
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.error:
            words = re.sub(r"[0-9]+", "0", str(outcome.error).replace(outcome.host, "HOST"))
            found.setdefault(f"{outcome.status} {words}", []).append(outcome)
    return list(found.values())


def some(names: Sequence[str]) -> str:
    """Names in a line, and how many there are more."""
    more = len(names) - NAMED
    return ", ".join(names) if more < 2 else f"{', '.join(names[:NAMED])} and {more} more"

"""The contract of a resource."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from provisioning.host import Host
from provisioning.masking import masked
from provisioning.probe import AS_WANTED, OnDisk, Probe
from provisioning.transfer import Said

Tell = Callable[[Said], None]
"""Takes one piece of progress."""


@dataclass(frozen=True)
class Difference:
    """What would change on the host: a unified diff, or a sentence. Never holds a secret; URLs lose their passwords."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", masked(self.text))


class Resource(ABC):
    """Desired state of one thing on a host. Frozen, and without I/O but in `apply`."""

    isolated = True
    """Whether its probe takes a shell of its own (see `Probe`)."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Kind and identity, such as `file /etc/motd`; unique on a host."""

    @abstractmethod
    def probe(self) -> str:
        """Give read-only shell that prints the actual state and exits 0; cheap, for it runs on every run."""

    def on_disk(self) -> tuple[OnDisk, ...]:
        """Name the files and folders that tell, alone, that it is as it should be; none where it takes more."""
        return ()

    def question(self) -> Probe:
        """Give what a look asks: `probe`, unless what is on disk answers it."""
        return Probe(self.probe(), self.on_disk(), self.isolated)

    def difference(self, answer: str) -> Difference | None:
        """Compare desired state with the answer to `question`."""
        return None if answer.strip() == AS_WANTED else self.diff(answer)

    @abstractmethod
    def diff(self, actual: str) -> Difference | None:
        """Compare desired state with what `probe` printed. Pure."""

    @abstractmethod
    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Mend the difference. Safe to repeat after being cut off anywhere."""

    def forecast(self) -> str:
        """Say more of what `apply` will do, for a plan: this may ask servers. "" where there is no more to say."""
        return ""

    def undo(self, actual: str) -> str:
        """Give shell that takes back what `apply` will make, given the state before it; "" where it makes nothing."""
        return ""

    def made(self, actual: str) -> str:
        """Name what `apply` will make, given the state before it, for whoever is asked to remove it."""
        return self.name

    def keep(self, actual: str) -> str:
        """Give shell that keeps what was there before our first change, for `undo` to put back."""
        return ""

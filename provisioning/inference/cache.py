"""A service's folder for what it caches, made by an inference where the service never ran."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.host import quote
from provisioning.resources.files import ABSENT, Directory


@dataclass(frozen=True)
class Cache(Directory):
    """The folder as the service's unit has it. `remove` takes it back, whatever lies in it."""

    def undo(self, actual: str) -> str:
        """Remove it if it was made here."""
        if actual.strip() != ABSENT:
            return ""
        return f"rm -rf {quote(self.path)}; rmdir --ignore-fail-on-non-empty /var/cache/vllm 2>/dev/null || :"

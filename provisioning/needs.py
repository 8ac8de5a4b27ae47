"""What a host needs of a bundle, and what it lacks of one that was packed for another host. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Needs:
    """Everything that decides what goes into a bundle, in words that everybody may read."""

    system: str
    """Distribution and release, such as "debian 12"."""
    architecture: str
    manager: str
    """What makes the environment: conda or uv."""
    python: str
    vllm: str
    """All that decides what is installed, in a line: see `steps.vllm.state`."""
    tools: tuple[str, ...]
    """Our tools, pinned, and the version of Miniconda's installer, where conda makes the environment."""
    packages: tuple[str, ...]
    """Debian packages."""
    models: tuple[str, ...] = ()
    """Models whose weights come from elsewhere than the host itself."""

    @classmethod
    def read(cls, found: dict[str, Any]) -> Needs:
        """From a manifest. Raises KeyError or TypeError where something is missing."""
        values: dict[str, Any] = {}
        for each in fields(cls):
            value = found[each.name]
            values[each.name] = tuple(value) if isinstance(value, list) else value
        return cls(**values)

    def unmet_by(self, offered: Needs) -> list[str]:
        """What of this a bundle that was packed for other needs does not give, a line each."""
        return [line for each in fields(self) for line in self._unmet(each.name, offered)]

    def _unmet(self, name: str, offered: Needs) -> Iterator[str]:
        wanted, found = getattr(self, name), getattr(offered, name)
        if isinstance(wanted, str):
            if wanted != found:
                yield f"{TITLES[name]}: the bundle is for {found}, and the host needs {wanted}"
        elif missing := [one for one in wanted if one not in found]:
            yield f"{TITLES[name]}: the bundle lacks {', '.join(missing)}"


TITLES = {
    "system": "system",
    "architecture": "architecture",
    "manager": "what makes the environment",
    "python": "Python",
    "vllm": "vLLM",
    "tools": "tools",
    "packages": "Debian packages",
    "models": "models",
}

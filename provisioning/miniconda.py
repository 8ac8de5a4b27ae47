"""Miniconda's installers: which file, and the SHA-256 it must have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from provisioning import data
from provisioning.errors import IncompatibleError


@dataclass(frozen=True)
class Installer:
    """An installer. `sha256` is empty for `latest`, whose hash nobody can know beforehand."""

    file: str
    sha256: str


@cache
def _data() -> dict[str, Any]:
    found: dict[str, Any] = data.read("miniconda.yaml")
    return found


def installer(version: str, architecture: str) -> Installer:
    """Give the installer of a version for an architecture. Raises `IncompatibleError` naming those that are known."""
    if version == "latest":
        return Installer(f"Miniconda3-latest-Linux-{architecture}.sh", "")
    known = _data()["installers"]
    found = known.get(version, {}).get(architecture)
    if not found:
        fitting = [name for name, files in known.items() if architecture in files]
        raise IncompatibleError(
            f"miniconda.version: the hash of {version} for {architecture} is not known",
            remedy=f"Use one of {', '.join(fitting)}; or latest, which is not checked."
            if fitting
            else "Set environment.manager to uv: Miniconda does not exist for this architecture.",
        )
    return Installer(found["file"], found["sha256"])

"""Compiled wheels, kept on the controller: what went into each stands in its manifest, and nothing compiles twice."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from provisioning.data_folder import data_folder
from provisioning.errors import ConfigurationError
from provisioning.releases import number

MANIFEST = "manifest.json"
WHEEL_NAME = re.compile(r"\w[\w.+-]*\.whl")
FIELDS = {"key", "commit", "version", "python", "torch", "compilers", "architecture", "glibc", "cpu_flags"}
FIELDS |= {"wheel", "sha256", "size", "host", "made", "seconds"}
"""What every manifest says; what wrote one is compile_wheel.py."""
UNFINISHED = ".new-"
ABANDONED = 3600
"""Seconds after which what a run has not finished writing is taken for left behind."""


@dataclass(frozen=True)
class Target:
    """What a wheel must be able to run on."""

    architecture: str
    glibc: str
    cpu_flags: frozenset[str]


@dataclass(frozen=True)
class Wheel:
    """One wheel of the store."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def file(self) -> Path:
        """The wheel itself."""
        return self.folder / str(self.manifest["wheel"])

    @property
    def name(self) -> str:
        """Its name in the store: the beginning of its SHA-256."""
        return str(self.manifest["sha256"])[:12]

    def has_plain_names(self) -> bool:
        """Whether its manifest names files of its own folder only: manifests come from hosts and from elsewhere."""
        return bool(WHEEL_NAME.fullmatch(str(self.manifest["wheel"])) and re.fullmatch("[0-9a-f]{12}", self.name))

    def obstacle(self, target: Target) -> str:
        """Why a host cannot run it, as the end of a sentence; "" where it can."""
        needs = self.manifest
        if needs["architecture"] != target.architecture:
            return f"is for {needs['architecture']}"
        if number(needs["glibc"]) > number(target.glibc):
            return f"needs glibc {needs['glibc']}, and the host has {target.glibc}"
        if missing := [flag for flag in needs["cpu_flags"] if flag not in target.cpu_flags]:
            return f"needs a processor with {', '.join(missing)}"
        return ""

    def is_whole(self) -> bool:
        """Whether the file is the one that was compiled."""
        return self.file.is_file() and sha256_of(self.file) == self.manifest["sha256"]


def default_folder() -> Path:
    """Where the store lies."""
    return data_folder("wheels")


class Store:
    """The wheels in a folder, one folder each."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def wheels(self) -> list[Wheel]:
        """All of them, newest first."""
        found = list(self._read())
        return sorted(found, key=lambda wheel: float(wheel.manifest["made"]), reverse=True)

    def _read(self) -> Iterator[Wheel]:
        for file in self.folder.glob(f"[0-9a-f]*/{MANIFEST}"):
            try:
                manifest = json.loads(file.read_text("utf-8"))
                wheel = Wheel(file.parent, manifest)
                if manifest.keys() >= FIELDS and wheel.name == file.parent.name and wheel.has_plain_names():
                    yield wheel
            except (ValueError, AttributeError):
                continue  # not ours, or of a version to come

    def has(self, key: str, target: Target, states: Iterable[str] = ()) -> bool:
        """Whether `find` would give one, as far as the manifests tell."""
        return any(not wheel.obstacle(target) for wheel in self._of(key, states))

    def _of(self, key: str, states: Iterable[str]) -> list[Wheel]:
        wheels = (wheel for wheel in self.wheels() if wheel.manifest["key"] == key)
        return [wheel for wheel in wheels if set(states) <= commits(wheel.manifest)]

    def find(self, key: str, target: Target, states: Iterable[str] = ()) -> tuple[Wheel | None, str]:
        """The newest whole wheel of this key (of folders: of their states) that runs there; or why there is none."""
        obstacles = []
        for wheel in self._of(key, states):
            if not (obstacle := wheel.obstacle(target)) and wheel.is_whole():
                return wheel, ""
            obstacles.append(obstacle or "is damaged")
        return None, obstacles[0] if obstacles else ""

    def add(self, manifest: dict[str, Any], fetch: Callable[[Path], object]) -> Wheel:
        """Keep a wheel that `fetch` writes. Raises `ConfigurationError` where it is not what its manifest says."""
        if not Wheel(self.folder, manifest).has_plain_names():
            raise ConfigurationError(f"{manifest['wheel']!r} is no name of a wheel")
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=UNFINISHED) as name:
            wheel = Wheel(Path(name) / "wheel", manifest)
            wheel.folder.mkdir()
            fetch(wheel.file)
            if not wheel.is_whole():
                raise ConfigurationError(
                    f"{wheel.file.name} ({wheel.name}) is not what its manifest says",
                    cause=f"its SHA-256 should be {manifest['sha256']}",
                    remedy="Copy it again, or compile it again: invoke build",
                )
            (wheel.folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
            target = self.folder / wheel.name
            shutil.rmtree(target, ignore_errors=True)
            wheel.folder.rename(target)
        return Wheel(target, manifest)

    def export(self, names: list[str], to: Path) -> list[Wheel]:
        """Copy wheels, with their manifests, into a folder of another store's form."""
        other = Store(to)
        return [other.add(wheel.manifest, _copy_of(wheel.file)) for wheel in self.named(names)]

    def take(self, folder: Path) -> list[Wheel]:
        """Take the wheels of an exported folder. Raises `ConfigurationError` where it holds none."""
        found = Store(folder).wheels()
        if not found:
            raise ConfigurationError(
                f"{folder} holds no exported wheel", remedy="Name a folder that `invoke wheels --export` has written."
            )
        return [self.add(wheel.manifest, _copy_of(wheel.file)) for wheel in found]

    def prune(self, keep: int) -> list[Wheel]:
        """Delete all but the newest `keep` wheels of each key, and what killed runs have left."""
        gone = self.beyond(keep)
        left = (each for each in self.folder.glob(f"{UNFINISHED}*") if time.time() - each.stat().st_mtime > ABANDONED)
        for folder in (*(wheel.folder for wheel in gone), *left):
            shutil.rmtree(folder)
        return gone

    def beyond(self, keep: int) -> list[Wheel]:
        """All but the newest `keep` wheels of each key."""
        seen: dict[str, int] = {}
        old = []
        for wheel in self.wheels():
            key = str(wheel.manifest["key"])
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > keep:
                old.append(wheel)
        return old

    def named(self, names: list[str]) -> list[Wheel]:
        """The wheels whose names begin so; all without a name. Raises `ConfigurationError` for an unknown one."""
        wheels = self.wheels()
        for name in names:
            if not any(wheel.name.startswith(name) for wheel in wheels):
                known = ", ".join(wheel.name for wheel in wheels) or "none"
                raise ConfigurationError(f"the store has no wheel {name}", cause=f"it has: {known}")
        return [wheel for wheel in wheels if not names or any(wheel.name.startswith(name) for name in names)]


def commits(manifest: Mapping[str, Any]) -> set[str]:
    """What a wheel was made of: commits, hashes of archives, states of folders."""
    libraries = (manifest.get(name) or {} for name in ("onednn", "acl"))
    return {str(part.get("commit")) for part in (manifest, *libraries)}


def _copy_of(source: Path) -> Callable[[Path], object]:
    return partial(shutil.copyfile, source)


def sha256_of(path: Path) -> str:
    """A file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

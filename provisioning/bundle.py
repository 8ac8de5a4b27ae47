"""A bundle: a folder with all that a kind of host needs where there is no network, and a manifest of it.

FOLDER/manifest.json   what it was packed for, and every file with its size and SHA-256; written last
FOLDER/debs/           Debian packages, and the index that makes an archive of them
FOLDER/wheels/         the Python packages of the environment
FOLDER/tools/          those of our tools (uv, supervisor)
FOLDER/miniconda/      Miniconda's installer, where conda makes the environment
FOLDER/conda/          and the packages of conda in it, as a channel has them, with explicit.txt, which names them
FOLDER/compiled/       wheels of vLLM that were compiled, as `invoke wheels --export` writes them
FOLDER/models/NAME/    weights
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from provisioning.errors import ConfigurationError
from provisioning.needs import Needs
from provisioning.wheel_store import sha256_of
from provisioning.whole_file import write_whole

FORMAT = 1
MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
"""Lies in a folder that is being packed, instead of the manifest."""
COMPILED, MODELS = "compiled", "models"
READERS = 4
"""Files that are hashed at once."""
REMEDY = "Copy the bundle again, or make it again: invoke bundle --to FOLDER"


@dataclass(frozen=True)
class BundledFile:
    """One file. `mtime_ns` is that of a model's file, whose records tell it by that; else 0."""

    size: int
    sha256: str
    mtime_ns: int = 0


@dataclass(frozen=True)
class Bundle:
    """A folder with its manifest."""

    folder: Path
    made: Mapping[str, str]
    """When, on which host, and of what."""
    needs: Needs
    files: Mapping[str, BundledFile]
    """By their paths in the folder."""

    @classmethod
    def read(cls, folder: Path) -> Bundle:
        """Read the manifest. Raises `ConfigurationError` where there is none that is understood."""
        if not (folder / MANIFEST).is_file():
            began = (folder / UNFINISHED).exists()
            raise ConfigurationError(
                f"{folder} is not a bundle that was finished" if began else f"{folder} is not a bundle",
                cause=f"it has no {MANIFEST}",
                remedy=f"Run invoke bundle --to {folder} on a machine with network: it goes on where it stopped.",
            )
        try:
            return cls._of(folder, json.loads((folder / MANIFEST).read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"{folder / MANIFEST} cannot be read", cause=f"{type(error).__name__}: {error}", remedy=REMEDY
            ) from error

    @classmethod
    def _of(cls, folder: Path, found: dict[str, Any]) -> Bundle:
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']!r}, and this program knows {FORMAT}")
        files = {path: BundledFile(**entry) for path, entry in found["files"].items()}
        for path in files:
            require_plain(path)
        return cls(folder, found["made"], Needs.read(found["needs"]), files)

    def write(self) -> None:
        """Write the manifest: beside, then renamed. From then on the folder is a bundle."""
        content = {
            "format": FORMAT,
            "made": dict(self.made),
            "needs": asdict(self.needs),
            "files": {path: _without_zero(asdict(self.files[path])) for path in sorted(self.files)},
        }
        write_whole(self.folder / MANIFEST, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        (self.folder / UNFINISHED).unlink(missing_ok=True)

    def verify(self) -> None:
        """Hash every file. Raises one `ConfigurationError` that names those which are not as the manifest says."""
        with ThreadPoolExecutor(READERS) as pool:
            wrong = [words for words in pool.map(self._problem, self.files) if words]
        if wrong:
            more = [f"and {len(wrong) - 10} more"] if len(wrong) > 10 else []
            raise ConfigurationError(
                f"the bundle {self.folder} is damaged; nothing was changed on any host",
                cause="\n".join([*wrong[:10], *more]),
                remedy=REMEDY,
            )

    def _problem(self, path: str) -> str:
        file, wanted = self.folder / path, self.files[path]
        try:
            if (size := file.stat().st_size) != wanted.size:
                return f"{path}: it has {size} bytes instead of {wanted.size}"
            found = sha256_of(file)
        except OSError as error:
            return f"{path}: {error.strerror}"
        return "" if found == wanted.sha256 else f"{path}: its SHA-256 is {found} instead of {wanted.sha256}"

    def below(self, folder: str) -> dict[str, BundledFile]:
        """The files of one of its folders, by their paths there."""
        return {
            path.removeprefix(f"{folder}/"): file for path, file in self.files.items() if path.startswith(f"{folder}/")
        }

    def model(self, name: str) -> dict[str, BundledFile]:
        """The files of a model, by their paths in its folder; none where it was not packed."""
        return self.below(f"{MODELS}/{name}")

    def without(self, folders: Iterable[str]) -> dict[str, BundledFile]:
        """The files that lie in none of these folders."""
        return {path: file for path, file in self.files.items() if path.partition("/")[0] not in folders}


def require_plain(path: str) -> None:
    """Raise ValueError for a path that leaves its folder: manifests and listings come from elsewhere."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or re.search(r"[\0\n]", path):
        raise ValueError(f"{path!r} is no path within a bundle")


def nanoseconds(time: str) -> int:
    """Read a time as `find -printf %T@` prints it: seconds, with ten digits behind the point."""
    seconds, _, fraction = time.partition(".")
    return int(seconds) * 10**9 + int(f"{fraction:0<9}"[:9])


def _without_zero(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value != 0 or name == "size"}

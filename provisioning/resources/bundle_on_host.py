"""A bundle's files on a host that is not the machine where the bundle lies."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from provisioning import free_space
from provisioning.bundle import COMPILED, MODELS, Bundle, BundledFile
from provisioning.errors import CommandError
from provisioning.host import Host, quote
from provisioning.progress import Sending
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.sending import send

SENT = ".sent"
"""SHA-256 and path of every file that has arrived, a line each."""


@dataclass(frozen=True)
class BundleOnHost(Resource):
    """What programs on the host take from a bundle, in a folder of root's; models and compiled wheels go elsewhere."""

    bundle: Bundle
    folder: str

    @property
    def name(self) -> str:
        """`bundle FOLDER`."""
        return f"bundle {self.folder}"

    @property
    def _wanted(self) -> dict[str, BundledFile]:
        return self.bundle.without((COMPILED, MODELS))

    def probe(self) -> str:
        """Print what has arrived, and what is there with its size."""
        return (
            f"cd {quote(self.folder)} 2>/dev/null || exit 0; cat {SENT} 2>/dev/null; "
            f"find . -type f ! -name {SENT} -printf '%s %P\\n'"
        )

    def diff(self, actual: str) -> Difference | None:
        """Compare hashes as they arrived, and sizes as they are."""
        missing, others = self._missing(actual), self._others(actual)
        lines = [f"send {_count(missing)}, {_megabytes(missing)}, into {self.folder}"] if missing else []
        lines += [f"delete {len(others)} of another bundle in {self.folder}"] if others else []
        return Difference("\n".join(lines)) if lines else None

    def _missing(self, actual: str) -> dict[str, BundledFile]:
        # Of a path that was sent twice, the last line counts.
        arrived = {path: sha256 for sha256, path in re.findall(r"^([0-9a-f]{64}) (.+)$", actual, re.MULTILINE)}
        sizes = _sizes(actual)
        return {
            path: file
            for path, file in self._wanted.items()
            if (arrived.get(path), sizes.get(path)) != (file.sha256, file.size)
        }

    def _others(self, actual: str) -> list[str]:
        return sorted(path for path in _sizes(actual) if path.removesuffix(".new") not in self._wanted)

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Send what is missing; what a broken connection left of a file is gone on with."""
        missing, folder = self._missing(actual), quote(self.folder)
        self._require_room(host, missing)
        others = " ".join(quote(f"{self.folder}/{path}") for path in self._others(actual))
        folders = " ".join(quote(f"{self.folder}/{each}") for each in sorted({*map(posixpath.dirname, missing), ""}))
        host.run(f"set -e; umask 022; mkdir -p {folders}; chmod 755 {folders}; rm -f -- {folder}/.none {others}")
        sending = Sending(tell, sum(file.size for file in missing.values()))
        for path, file in missing.items():
            arrived = f"printf '%s %s\\n' {file.sha256} {quote(path)} >>{folder}/{SENT}"
            with sending.file(path, file.size) as on_sent:
                here, there = self.bundle.folder / path, f"{self.folder}/{path}"
                send(host, here, there, sha256=file.sha256, then=arrived, on_sent=on_sent)

    def _require_room(self, host: Host, missing: dict[str, BundledFile]) -> None:
        row = host.run(f"{free_space.ROW}; df_row {quote(self.folder)} | awk '{{ print $4, $6 }}'").stdout.split()
        wanted = sum(file.size for file in missing.values())
        if len(row) == 2 and row[0].isdecimal() and int(row[0]) < wanted:
            raise CommandError(
                f"{host.name}: too little disk for the bundle: {int(row[0]) / 1e6:.0f} MB are free on {row[1]}",
                cause=f"{wanted / 1e6:.0f} MB are to be sent",
                remedy="Make room, then run the same command again.",
            )

    def undo(self, actual: str) -> str:
        """Delete it, if it was not there before."""
        return "" if actual.strip() else f"rm -rf -- {quote(self.folder)}"


def _sizes(actual: str) -> dict[str, int]:
    return {path: int(size) for size, path in re.findall(r"^(\d{1,20}) (.+)$", actual, re.MULTILINE)}


def _count(files: dict[str, BundledFile]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files)} files"


def _megabytes(files: dict[str, BundledFile]) -> str:
    return f"{sum(file.size for file in files.values()) / 1e6:.0f} MB"

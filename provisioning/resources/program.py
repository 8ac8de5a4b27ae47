"""A program of ours on a host: several files that go together, root's, and brought in one round trip."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from provisioning.host import Host, quote
from provisioning.probe import OnDisk
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.site import LIBRARY
from provisioning.templates import text

STATE = "644 root root"


@dataclass(frozen=True)
class Program(Resource):
    """Files of `templates/` in the folder of our programs. Programs may share files."""

    purpose: str
    """What it does, such as `serves`."""
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """`program that PURPOSE`."""
        return f"program that {self.purpose}"

    def probe(self) -> str:
        """Print the hash of each file, then the mode, owner and group of each."""
        return (
            f"cd {LIBRARY} 2>/dev/null || exit 0; set --; for file in {_words(self.files)}; do "
            '[ -L "$file" ] || ! [ -f "$file" ] || set -- "$@" "$file"; done; '
            '[ $# = 0 ] || { sha256sum -- "$@" && stat -c "%n %a %U %G" -- "$@"; }'
        )

    def on_disk(self) -> tuple[OnDisk, ...]:
        """Name the files."""
        return tuple(OnDisk(f"{LIBRARY}/{each}", STATE, _hash(each)) for each in self.files)

    def diff(self, actual: str) -> Difference | None:
        """Compare hashes, modes and owners."""
        there = set(actual.splitlines())
        differ = [each for each in self.files if not {f"{_hash(each)}  {each}", f"{each} {STATE}"} <= there]
        if not differ:
            return None
        named = ", ".join(differ) if len(differ) < len(self.files) else f"{len(differ)} files"
        return Difference(f"install the {self.name} into {LIBRARY}: {named}")

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Write all files beside, then rename them."""
        lines = ["set -eu", "umask 022", f"mkdir -p {LIBRARY}", f"cd {LIBRARY}"]
        for file in self.files:
            encoded = base64.encodebytes(text(file).encode()).decode()
            lines.append(f"base64 -d >{quote(file)}.new <<'END'\n{encoded}END")
        lines.append(
            f"for f in {_words(self.files)}; do "
            'chown root:root "$f.new"; ! cmp -s "$f.new" "$f" || touch -r "$f" "$f.new"; mv -fT "$f.new" "$f"; done'
        )
        host.run("\n".join(lines) + "\n")

    def undo(self, actual: str) -> str:
        """Remove the files."""
        return f"cd {LIBRARY} 2>/dev/null && rm -f {_words(self.files)}; :"


def _hash(file: str) -> str:
    return hashlib.sha256(text(file).encode()).hexdigest()


def _words(files: Iterable[str]) -> str:
    return " ".join(map(quote, files))

"""A model's folder as a bundle has it, with the records of how it was downloaded, if it was."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import partial

from provisioning.accounts import as_account, looking_as
from provisioning.bundle import MODELS, Bundle, BundledFile, nanoseconds
from provisioning.host import Host, quote
from provisioning.progress import Sending
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.sending import send

RECORDS = ".vllm-provisioning"


@dataclass(frozen=True)
class BundledModel(Resource):
    """Its files, each as it was packed: by size and time, as records tell them. The manifest of records comes last."""

    model: str
    path: str
    account: str
    group: str
    home: str
    bundle: Bundle

    @property
    def name(self) -> str:
        """`model NAME`."""
        return f"model {self.model}"

    @property
    def _wanted(self) -> dict[str, BundledFile]:
        files = self.bundle.model(self.model)
        last = f"{RECORDS}/manifest.json"
        order = sorted(files, key=lambda path: (path == last, path.startswith(f"{RECORDS}/"), path))
        return {path: files[path] for path in order}

    def probe(self) -> str:
        """Print size, time and path of each file."""
        look = f"cd {quote(self.path)} 2>/dev/null && find -L . -type f -printf '%s %T@ %P\\n'; :"
        return looking_as(self.account, self.group, look)

    def diff(self, actual: str) -> Difference | None:
        """Compare sizes and times."""
        missing = self._missing(actual)
        size = sum(file.size for file in missing.values())
        count = "1 file" if len(missing) == 1 else f"{len(missing)} files"
        return Difference(f"send {count}, {size / 1e6:.0f} MB, into {self.path}") if missing else None

    def _missing(self, actual: str) -> dict[str, BundledFile]:
        rows = re.findall(r"^(\d+) (\d+\.\d+) (.+)$", actual, re.MULTILINE)
        there = {path: (int(size), nanoseconds(time)) for size, time, path in rows}
        return {path: file for path, file in self._wanted.items() if there.get(path) != (file.size, file.mtime_ns)}

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Send what is missing, as the account."""
        missing = self._missing(actual)
        folders = " ".join(quote(f"{self.path}/{each}") for each in sorted({*map(posixpath.dirname, missing), ""}))
        host.run(as_account(self.account, self.home, f"umask 022; mkdir -p {folders}"))
        sending = Sending(tell, sum(file.size for file in missing.values()))
        for path, file in missing.items():
            here, there = self.bundle.folder / MODELS / self.model / path, f"{self.path}/{path}"
            with sending.file(path, file.size) as on_sent:
                as_it_was = partial(send, sha256=file.sha256, mtime_ns=file.mtime_ns)
                as_it_was(host, here, there, account=self.account, on_sent=on_sent)

    def undo(self, actual: str) -> str:
        """Delete the folder, if nothing was there before."""
        return "" if actual.strip() else f"rm -rf -- {quote(self.path)}"

"""A model that another host has: rsync brings it, along a way that the controller prepares.

The controller writes into a folder that only this account can read: `manifest.json` is the record of the model on its
source; `way.json` says how to reach that, and is read before every attempt, for a way that was lost is made anew.
Called with that folder alone, this says whether the source answers.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.templates.download_exit import INCOMPLETE, LOST
    from provisioning.templates.download_records import OURS
    from provisioning.templates.download_sources import Listing, Wanted, say
else:
    from download_exit import INCOMPLETE, LOST
    from download_records import OURS
    from download_sources import Listing, Wanted, say

ATTEMPTS = 5
"""Attempts in a row without a byte, after which the source is taken for lost."""
SILENCE = 60
"""Seconds without a byte after which an attempt has failed."""
SECRETS = ("key", "secret")
NO_SPACE = "No space left on device"


class Copied:
    """A model on another host."""

    def __init__(self, config: dict[str, Any], folder: str) -> None:
        self._private, self._folder = config["endpoint"], folder
        self._staging = os.path.join(folder, OURS, "parts", "copied")
        self._manifest = _read(self._private, "manifest.json")
        self.shown = str(self._manifest.get("source", ""))
        self.proven: dict[str, str] = {}

    def listing(self) -> "Listing":
        """What the source has recorded."""
        files = {name: Wanted(each["size"], each["sha256"]) for name, each in self._manifest["files"].items()}
        return Listing(self._manifest["revision"], files)

    def partial(self) -> dict[str, int]:
        """Bytes of each file that are here."""
        return {os.path.relpath(path, self._staging): os.path.getsize(path) for path in _below(self._staging)}

    def fetch(self, files: "Mapping[str, Wanted]") -> None:
        """Bring these files. Exits with `LOST` or `INCOMPLETE` where that is for the controller to mend."""
        os.makedirs(self._staging, exist_ok=True)
        if _read(self._private, "way.json").get("brought"):
            self._take(files)
            return
        self._write_down("wanted", files)
        try:
            self._copy()
        finally:
            for name in SECRETS:
                _remove(os.path.join(self._private, name))
        self._take(files)

    def _take(self, files: "Mapping[str, Wanted]") -> None:
        """Give what has come its place; it is proven there."""
        here = self.partial()
        for name in files.keys() & here.keys():
            if here[name] >= files[name].size:
                place = os.path.join(self._folder, name)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                os.replace(os.path.join(self._staging, name), place)
        if missing := [name for name in files if not os.path.lexists(os.path.join(self._folder, name))]:
            self._write_down("missing", missing)
            sys.exit(INCOMPLETE)

    def _write_down(self, file: str, names: "Mapping[str, Wanted] | list[str]") -> None:
        with open(os.path.join(self._private, file), "wb") as opened:
            opened.write(b"".join(os.fsencode(name) + b"\0" for name in names))

    def _copy(self) -> None:
        """Let rsync run until it has all. What it appends to is proven as a whole afterwards."""
        wanted = f"--files-from={self._private}/wanted"
        options = ["--append", "--chmod=D755,F644", f"--timeout={SILENCE}", "--from0", wanted]
        failures, before = 0, self._arrived()
        while words := _rsync(self._private, *options, to=[self._staging]):
            if NO_SPACE in words:
                sys.exit(f"{words}\nMake room, then run it again: what is here is kept.")
            now = self._arrived()
            failures, before = (1, now) if now > before else (failures + 1, before)
            if failures >= ATTEMPTS:
                say(f"the source does not answer: {words}")
                sys.exit(LOST)
            say(f"rsync: {words}; trying again in {2**failures} s")
            time.sleep(2**failures)

    def _arrived(self) -> int:
        return sum(self.partial().values())


def answers(private: str) -> bool:
    """Whether the source shows its record."""
    path = f"{OURS}/manifest.json"
    return not _rsync(private, "--list-only", "--timeout=15", path=path)


def _rsync(private: str, *options: str, path: str = "", to: "list[str] | None" = None) -> str:
    """Let rsync run; give its words where it fails."""
    way = _read(private, "way.json")
    remote = ["-e", f"ssh -F {private}/ssh_config"] if way["ssh"] else []
    command = ["rsync", *remote, f"--password-file={private}/secret", "--no-motd", *options, f"{way['url']}/{path}"]
    done = subprocess.run(
        [*command, *(to or [])],
        # Whoever logs in to ssh, this is who asks the rsync behind it.
        env={**os.environ, "USER": "copy", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    return (done.stderr.strip() or f"exit {done.returncode}")[-1000:] if done.returncode else ""


def _read(private: str, name: str) -> dict[str, Any]:
    """A file of the controller's. Exits with `LOST` where there is none: nobody has prepared the way."""
    try:
        with open(os.path.join(private, name), encoding="utf-8", errors="surrogateescape") as file:
            content: dict[str, Any] = json.load(file)
            return content
    except OSError as error:
        say(f"the way to the source is not prepared: {error}")
        sys.exit(LOST)


def _below(folder: str) -> list[str]:
    return [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]


def _remove(path: str) -> None:
    if os.path.lexists(path):
        os.unlink(path)


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1]) else LOST)

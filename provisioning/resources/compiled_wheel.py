"""A wheel that is compiled on one host, and taken from the controller's store by every other that can run it."""

from __future__ import annotations

import json
import posixpath
import threading
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from provisioning import job
from provisioning.errors import CommandError, ProvisioningError
from provisioning.facts import STATE
from provisioning.host import Host, as_account, quote
from provisioning.progress import Compiling
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.templates import text
from provisioning.wheel_store import MANIFEST, Store, Target, Wheel

WHEELS = f"{STATE}/wheels"
"""Where a host keeps the wheel that it installs: root's."""


class _Builders:
    """What the hosts of one run know of one another: who compiles what, and who has finished."""

    def __init__(self) -> None:
        self.compiling: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self.failed: dict[str, str] = {}
        self.finished: dict[str, threading.Event] = {}

    def expect(self, hosts: list[str]) -> None:
        """Begin a run with these hosts."""
        self.compiling.clear()
        self.failed.clear()
        self.finished = {host: threading.Event() for host in hosts}

    def finish(self, host: str) -> None:
        """Let go who waits for this host."""
        self.finished[host].set()


BUILDERS = _Builders()


@dataclass(frozen=True)
class CompiledWheel(Resource):
    """The wheel that `script` makes, in a folder of root's on the host."""

    key: str
    """Hash of all that is asked of it."""
    title: str
    script: str
    """Root shell that compiles, and leaves the wheel with its manifest in `output`."""
    output: str
    account: str
    home: str
    target: Target
    builder: str = ""
    """Host that compiles for all; "" for the first that comes to it."""
    watched: tuple[str, ...] = ()
    """A folder of sources whose changes matter, if there is one."""
    disk: int = 0
    """Bytes that compiling takes."""

    @property
    def name(self) -> str:
        """`wheel TITLE`."""
        return f"wheel of {self.title}"

    @property
    def folder(self) -> str:
        """Where it lies on the host."""
        return f"{WHEELS}/{self.key[:12]}"

    def probe(self) -> str:
        """Print the manifest on a line, the wheel's size, and the state of a watched folder."""
        state = "".join(f"; set -- {quote(folder)}; {text('tree_state.sh').strip()}" for folder in self.watched)
        folder = quote(self.folder)
        return (
            f"cat {folder}/{MANIFEST} 2>/dev/null | tr -d '\\n'; echo; stat -c %s {folder}/*.whl 2>/dev/null || echo 0"
            f"{state}; :"
        )

    def diff(self, actual: str) -> Difference | None:
        """Compare key, size and state."""
        manifest, size, state = _read(actual)
        if manifest.get("key") == self.key and str(manifest.get("size")) == size:
            if not self.watched or manifest.get("commit") == state:
                return None
            return Difference(f"compile {self.title} again: {self.watched[0]} has changed")
        who = f" on {self.builder}" if self.builder else ""
        return Difference(f"compile {self.title} from source{who}, or take the wheel if it was compiled before")

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Take it from the store; else compile it, or wait for the host that does. Raises `CommandError`."""
        store, state = Store(), _read(actual)[2]
        if self.builder and self.builder != host.name:
            self._wait_for_builder(host, tell)
        with BUILDERS.compiling[self.key]:
            wheel, obstacle = store.find(self.key, self.target, state)
            if obstacle:
                tell(f"a wheel of this was compiled before, and {obstacle}")
            if wheel is None:
                self._require_builder(host, obstacle)
                wheel = self._compile(host, store, tell)
        tell(f"taking {wheel.file.name} ({wheel.name}), compiled on {wheel.manifest['host']}")
        self._put(host, wheel)

    def _wait_for_builder(self, host: Host, tell: Tell) -> None:
        if event := BUILDERS.finished.get(self.builder):
            tell(f"waiting for {self.builder}, which compiles")
            event.wait()

    def _require_builder(self, host: Host, obstacle: str) -> None:
        """Refuse to compile where another host should have done it, or has failed at the same."""
        if self.builder and self.builder != host.name:
            raise CommandError(
                f"{host.name}: there is no wheel of {self.title} for this host",
                cause=f"that of {self.builder} {obstacle}" if obstacle else f"{self.builder} has not compiled it",
                remedy=f'Run `invoke build --hosts {self.builder}` first, or leave build."on" out.',
            )
        if failed := BUILDERS.failed.get(self.key):
            raise CommandError(
                f"{host.name}: the wheel was to be compiled on {failed}, and that failed",
                remedy=f"Mend what is said for {failed}, then run the same command again.",
            )

    def _compile(self, host: Host, store: Store, tell: Tell) -> Wheel:
        try:
            self._require_disk(host)
            job.run(host, job.Job("compile", self.script, self.key), Compiling(tell))
            read = as_account(self.account, self.home, f"cat {quote(posixpath.join(self.output, MANIFEST))}")
            manifest = json.loads(host.run(read).stdout)
            path = posixpath.join(self.output, posixpath.basename(manifest["wheel"]))
            return store.add(manifest, partial(self._fetch, host, path))
        except ProvisioningError:
            BUILDERS.failed[self.key] = host.name
            raise

    def _fetch(self, host: Host, path: str, file: Path) -> None:
        with file.open("wb") as opened:
            read = as_account(self.account, self.home, f"exec cat {quote(path)}")
            host.run(read, on_output=partial(_write, opened))

    def _require_disk(self, host: Host) -> None:
        rows = host.run(f"df -P -B1 {quote(self.home)} | tail -n 1").stdout.split()
        if (free := int(rows[3])) < self.disk:
            raise CommandError(
                f"{host.name}: too little disk to compile: {free / 1e9:.1f} GB are free on {rows[5]}",
                cause=f"sources, objects and the wheel take {self.disk / 1e9:.1f} GB",
                remedy="Make room, then run the same command again.",
            )

    def _put(self, host: Host, wheel: Wheel) -> None:
        folder = quote(self.folder)
        host.run(f"mkdir -p {folder} && rm -f {folder}/*.whl {folder}/{MANIFEST} && chmod 755 {WHEELS} {folder}")
        host.send(wheel.file, f"{self.folder}/{wheel.file.name}")
        host.send(wheel.folder / MANIFEST, f"{self.folder}/{MANIFEST}")

    def undo(self, actual: str) -> str:
        """Delete it, and what compiling has left."""
        cache = f"{self.home}/.cache/vllm-provisioning"
        return "" if _read(actual)[0] else f"rm -rf -- {quote(WHEELS)} {quote(cache)}"


def _write(file: IO[bytes], chunk: bytes) -> None:
    file.write(chunk)


def _read(actual: str) -> tuple[dict[str, Any], str, str]:
    manifest, size, state, *_ = [*actual.split("\n"), "", ""]
    try:
        return json.loads(manifest or "{}"), size, state
    except ValueError:
        return {}, size, state

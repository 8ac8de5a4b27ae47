"""A wheel that is compiled on one host, and taken from the controller's store by every other that can run it."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from provisioning import free_space, job
from provisioning.accounts import as_account
from provisioning.builders import BUILDERS
from provisioning.errors import CommandError, IncompatibleError
from provisioning.host import Host, quote
from provisioning.places import STATE
from provisioning.progress import Compiling
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.sending import send
from provisioning.templates import text
from provisioning.wheel_store import MANIFEST, Store, Target, Wheel, commits

WHEELS = f"{STATE}/wheels"
"""Where a host keeps the wheel that it installs: root's."""
JOB = "compile"

# Free bytes, the mount, and the KiB that a folder takes already.
_ROOM = (
    f"{free_space.ROW}; "
    """echo "$(df_row "$1" | awk '{ print $4, $6 }') $(du -sk "$1" 2>/dev/null | cut -f 1)\""""
)


@dataclass(frozen=True)
class CompiledWheel(Resource):
    """The wheel that `script` makes, in a folder of root's on the host."""

    host: str
    key: str
    """Hash of all that is asked of it."""
    title: str
    script: str
    """Root shell that compiles in `workshop`, and leaves the wheel with its manifest in its folder `output`."""
    workshop: str
    account: str
    home: str
    target: Target
    builder: str = ""
    """Host that compiles for all; "" for the first that comes to it."""
    watched: tuple[str, ...] = ()
    """Folders of sources whose changes matter."""
    disk: int = 0
    """Bytes that compiling takes."""
    refusal: IncompatibleError | None = None
    """Why it cannot be compiled on this host, where it cannot."""

    @property
    def name(self) -> str:
        """`wheel TITLE`."""
        return f"wheel of {self.title}"

    @property
    def folder(self) -> str:
        """Where it lies on the host."""
        return f"{WHEELS}/{self.key[:12]}"

    def probe(self) -> str:
        """Print the manifest on a line, the wheel's size, the room to compile, and the states of watched folders."""
        folder, lock = quote(self.folder), f"{job.JOBS}/{JOB}/lock"
        # Room is of no interest where the wheel is, or while a job makes it.
        room = (
            f"if [ -e {folder}/{MANIFEST} ] || {{ [ -e {lock} ] && ! flock -n {lock} true; }}; then echo; else "
            f"set -- {quote(self.workshop)}; {_ROOM}; fi"
        )
        state = "".join(
            f"; if [ -d {quote(one)} ]; then set -- {quote(one)}; {text('tree_state.sh').strip()}; fi"
            for one in self.watched
        )
        return (
            f"cat {folder}/{MANIFEST} 2>/dev/null | tr -d '\\n'; echo; "
            f"stat -c %s {folder}/*.whl 2>/dev/null || echo 0; {room}{state}; :"
        )

    def diff(self, actual: str) -> Difference | None:
        """Compare key, size and state; and let go who waits for the wheel of this host, where it is kept already.

        Raises what stands against compiling, where it would have to be compiled.
        """
        found = _Found.read(actual)
        if found.holds(self.key):
            if found.is_current():
                if self.builder == self.host and not Store().has(self.key, self.target):
                    return Difference(f"keep the wheel of {self.title} here, for other hosts")
                BUILDERS.finish(self.host)
                return None
            return Difference(f"compile {self.title} again: {' or '.join(self.watched)} has changed")
        if self._compiles_here(found.states):
            if self.refusal:
                raise self.refusal
            found.require_room(self.host, self.disk)
        who = f" on {self.builder}" if self.builder else ""
        return Difference(f"compile {self.title} from source{who}, or take the wheel if it was compiled before")

    def _compiles_here(self, states: tuple[str, ...]) -> bool:
        return self.builder in ("", self.host) and not Store().has(self.key, self.target, states)

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Take it from the store; else compile it, or wait for the host that does. Raises `CommandError`."""
        store, found = Store(), _Found.read(actual)
        if found.holds(self.key) and found.is_current():
            store.add(found.manifest, partial(self._fetch, host, f"cat {quote(self.folder)}/*.whl"))
            BUILDERS.finish(host.name)
            return
        if self.builder and self.builder != host.name:
            tell(f"waiting for {self.builder}, which compiles")
            BUILDERS.wait_for(self.builder)
        with BUILDERS.compiling[self.key]:
            wheel, obstacle = store.find(self.key, self.target, found.states)
            if obstacle:
                tell(f"a wheel of this was compiled before, and {obstacle}")
            if wheel is None:
                self._require_builder(obstacle)
                wheel = self._compile(host, store, tell)
        BUILDERS.finish(host.name)
        tell(f"taking {wheel.file.name} ({wheel.name}), compiled on {wheel.manifest['host']}")
        self._put(host, wheel)

    def _require_builder(self, obstacle: str) -> None:
        """Refuse to compile where another host should have done it, or has failed at the same."""
        if self.builder and self.builder != self.host:
            raise CommandError(
                f"{self.host}: there is no wheel of {self.title} for this host",
                cause=f"that of {self.builder} {obstacle}" if obstacle else f"{self.builder} has not compiled it",
                remedy=f'Run `invoke build --hosts {self.builder}` first, or leave build."on" out.',
            )
        failed = BUILDERS.failed.get(self.key, self.host)
        if failed != self.host:
            raise CommandError(
                f"{self.host}: the wheel was to be compiled on {failed}, and that failed",
                remedy=f"Mend what is said for {failed}, then run the same command again.",
            )
        if self.refusal:
            raise self.refusal

    def _compile(self, host: Host, store: Store, tell: Tell) -> Wheel:
        """Compile it here. A host that is away, unlike one whose compiler complains, leaves it to the next."""
        try:
            job.run(host, job.Job(JOB, self.script, self.key), Compiling(tell))
        except CommandError:
            BUILDERS.failed[self.key] = host.name
            raise
        output = posixpath.join(self.workshop, "output")
        manifest = json.loads(host.run(self._read(posixpath.join(output, MANIFEST))).stdout)
        path = posixpath.join(output, posixpath.basename(str(manifest["wheel"])))
        return store.add(manifest, partial(self._fetch, host, self._read(path)))

    def _read(self, path: str) -> str:
        """Shell that prints a file as the account that wrote it: root does not follow its links."""
        return as_account(self.account, self.home, f"exec cat {quote(path)}")

    @staticmethod
    def _fetch(host: Host, read: str, file: Path) -> None:
        with file.open("wb") as opened:
            host.run(read, on_output=partial(_write, opened))

    def _put(self, host: Host, wheel: Wheel) -> None:
        folder = quote(self.folder)
        host.run(f"mkdir -p {folder} && rm -f {folder}/*.whl {folder}/{MANIFEST} && chmod 755 {WHEELS} {folder}")
        send(host, wheel.file, f"{self.folder}/{wheel.file.name}", sha256=str(wheel.manifest["sha256"]))
        send(host, wheel.folder / MANIFEST, f"{self.folder}/{MANIFEST}")

    def undo(self, actual: str) -> str:
        """Delete it, and what compiling has left."""
        cache = f"{self.home}/.cache/vllm-provisioning"
        return "" if _Found.read(actual).manifest else f"rm -rf -- {quote(WHEELS)} {quote(cache)}"


def _write(file: IO[bytes], chunk: bytes) -> None:
    file.write(chunk)


@dataclass(frozen=True)
class _Found:
    """What the probe has found on the host."""

    manifest: dict[str, Any]
    size: str
    room: str
    states: tuple[str, ...]
    """Those of the watched folders that are there."""

    @classmethod
    def read(cls, actual: str) -> _Found:
        manifest, size, room, *rest = [*actual.split("\n"), "", ""]
        states = tuple(filter(None, rest))
        try:
            return cls(json.loads(manifest or "{}"), size, room, states)
        except ValueError:
            return cls({}, size, room, states)

    def holds(self, key: str) -> bool:
        """Whether the wheel of this key is there, whole."""
        return self.manifest.get("key") == key and str(self.manifest.get("size")) == self.size

    def is_current(self) -> bool:
        """Whether it was made of the watched folders as they are now."""
        return set(self.states) <= commits(self.manifest)

    def require_room(self, host: str, disk: int) -> None:
        """Raise `CommandError` where too little disk is free for what is still to be written."""
        free, mount, *used = [*self.room.split(), "", ""]
        if not free.isdecimal():
            return
        wanted = disk - int(next((one for one in used if one.isdecimal()), "0")) * 1024
        if int(free) < wanted:
            raise CommandError(
                f"{host}: too little disk to compile vLLM: {int(free) / 1e9:.1f} GB are free on {mount}",
                cause=f"{wanted / 1e9:.1f} GB are needed for sources, objects and the wheel",
                remedy="Make room, then run the same command again.",
            )

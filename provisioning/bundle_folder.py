"""The folder that a bundle is packed into: nothing of other people's is touched, nothing is fetched twice."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from provisioning.accounts import as_account
from provisioning.bundle import COMPILED, MANIFEST, UNFINISHED, BundledFile, nanoseconds, require_plain
from provisioning.errors import CommandError, ConfigurationError
from provisioning.host import Host, quote
from provisioning.transport.local import LocalTransport
from provisioning.wheel_store import Store, Wheel, sha256_of


@dataclass(frozen=True)
class Source:
    """A file of a host that goes into a bundle."""

    path: str
    """In the bundle."""
    file: BundledFile
    place: str
    """On the host."""
    account: str
    home: str
    """Who reads it there: root does not follow other accounts' links."""

    @classmethod
    def read(cls, line: str, folder: str, account: str, home: str) -> Source:
        """From a line of the list that packing leaves. Raises ValueError for one that it does not leave."""
        sha256, size, mtime, path = line.split(" ", 3)
        require_plain(path)
        return cls(path, BundledFile(int(size), sha256, nanoseconds(mtime)), f"{folder}/{path}", account, home)

    def from_byte(self, offset: int) -> str:
        """Shell that prints it from there."""
        return as_account(self.account, self.home, f"exec tail -c +{offset + 1} -- {quote(self.place)}")


class Folder:
    """Where a bundle is being packed. Raises `ConfigurationError` for one that holds something else, or is not ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._writing():
            above = next(each for each in (path, *path.parents) if each.exists())
            os.listdir(above)  # a file has none
            if not os.access(above, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(above))
            ours = any((path / name).exists() for name in (MANIFEST, UNFINISHED))
            if path.exists() and not ours and any(path.iterdir()):
                raise ConfigurationError(
                    f"{path} holds something else than a bundle", remedy="Name a new folder, or an empty one."
                )

    def begin(self) -> None:
        """From now on, and until its manifest is written, it is no bundle."""
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / UNFINISHED).touch()
            (self.path / MANIFEST).unlink(missing_ok=True)

    def fetch(self, host: Host, source: Source, on_fetched: Callable[[int], object]) -> None:
        """Get a file from the host, unless it is here. Raises `CommandError` where it arrives as another."""
        target = self.path / source.path
        with self._writing():
            if _is(target, source.file):
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            if isinstance(host.transport, LocalTransport) and _linked(source, target):
                return
        part = target.with_name(f"{target.name}.part")
        self._stream(host, source, part, on_fetched)
        with self._writing():
            if not _is(part, source.file):
                found = sha256_of(part)
                part.unlink()
                raise CommandError(
                    f"{host.name}: {source.path} did not arrive as it should",
                    cause=f"its SHA-256 is {found} instead of {source.file.sha256}",
                    remedy="Run the same command again: what has arrived is not fetched again.",
                )
            part.rename(target)

    def _stream(self, host: Host, source: Source, part: Path, on_fetched: Callable[[int], object]) -> None:
        with self._writing():
            if part.exists() and part.stat().st_size > source.file.size:
                part.unlink()
            opened = part.open("ab")
        with opened:

            def on_output(chunk: bytes) -> None:
                with self._writing():
                    opened.write(chunk)
                on_fetched(opened.tell())

            host.run(source.from_byte(opened.tell()), timeout=300, on_output=on_output)

    def keep(self, wheel: Wheel) -> dict[str, BundledFile]:
        """Copy a compiled wheel of the controller's store; give its files."""
        store = Store(self.path / COMPILED)
        with self._writing():
            if not any(one.name == wheel.name and one.is_whole() for one in store.wheels()):
                store.add(wheel.manifest, lambda to: shutil.copyfile(wheel.file, to))
            files = (self.path / COMPILED / wheel.name / name for name in (wheel.file.name, MANIFEST))
            return {
                str(file.relative_to(self.path)): BundledFile(file.stat().st_size, sha256_of(file)) for file in files
            }

    def keep_only(self, paths: Collection[str]) -> None:
        """Delete what an earlier bundle held and this one does not."""
        with self._writing():
            for file in self.path.rglob("*"):
                if not file.is_dir() and str(file.relative_to(self.path)) not in (*paths, UNFINISHED):
                    file.unlink()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} cannot be written",
                cause=f"{error.filename or self.path}: {error.strerror}",
                remedy="Make room there, or name another folder; what has arrived is not fetched again.",
            ) from error


def _is(file: Path, wanted: BundledFile) -> bool:
    return file.is_file() and file.stat().st_size == wanted.size and sha256_of(file) == wanted.sha256


def _linked(source: Source, target: Path) -> bool:
    """Whether a hard link could be made, on this machine and on one file system: it takes no room."""
    with suppress(OSError):
        os.link(os.path.realpath(source.place), target)
        return True
    return False

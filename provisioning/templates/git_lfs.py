"""Objects of Git LFS in a repository: brought by git-lfs, which goes on from its partial files, and kept once.

`git lfs fetch` is the half of `git lfs pull` that downloads. Each object is then cloned (reflink) or hard-linked to
where it belongs.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.templates.download_records import sha256_of
    from provisioning.templates.download_retry import persevering
    from provisioning.templates.download_sources import Transient, Unavailable
    from provisioning.templates.git_client import TIED, shown
    from provisioning.templates.git_repository import Repository
else:
    from download_records import sha256_of
    from download_retry import persevering
    from download_sources import Transient, Unavailable
    from git_client import TIED, shown
    from git_repository import Repository

FICLONE = 0x40049409
"""https://man7.org/linux/man-pages/man2/ioctl_ficlonerange.2.html"""
EMPTY = hashlib.sha256().hexdigest()
"""The object without a byte. Hubs let a pointer to it in; git-lfs, which makes none, fetches none."""
REFUSED = re.compile(
    r"\b40[1347]\b|does not exist on the server|authenticat|authoriz|forbidden|not found|x509: certificate", re.I
)


class Objects:
    """The objects of one repository, by their SHA-256."""

    def __init__(self, repository: "Repository") -> None:
        self._repository = repository
        self._folder = os.path.join(repository.git_folder, "lfs")

    def path(self, oid: str) -> str:
        """Where an object lies."""
        return path_of(self._repository.folder, oid)

    def sizes(self, oids: Iterable[str]) -> dict[str, int]:
        """Bytes of each object that are here, whole or in part."""
        found: dict[str, int] = {}
        for path, oid in self._parts():
            with suppress(FileNotFoundError):
                found[oid] = max(found.get(oid, 0), os.path.getsize(path))
        for oid in oids:
            with suppress(FileNotFoundError):
                found.setdefault(oid, os.path.getsize(self.path(oid)))
        return found

    def fetch(self, wanted: dict[str, "tuple[str, str]"]) -> None:
        """Bring these objects, each with the blob that points to it, and its name for people. Raises `Unavailable`."""
        for oid in wanted:
            # What an interrupted run has left may not have reached the disk; what git-lfs brings now it has hashed.
            path = self.path(oid)
            if os.path.exists(path) and sha256_of(path) != oid:
                os.unlink(path)
        if EMPTY in wanted:
            os.makedirs(os.path.dirname(self.path(EMPTY)), exist_ok=True)
            open(self.path(EMPTY), "wb").close()
        if self._missing(wanted):
            persevering("git-lfs", lambda: sum(self.sizes(wanted).values()))(self._fetch, wanted)

    def _missing(self, oids: Iterable[str]) -> list[str]:
        return [oid for oid in oids if not os.path.exists(self.path(oid))]

    def _fetch(self, wanted: dict[str, "tuple[str, str]"]) -> None:
        """Bring them with git-lfs: of a commit that has those and no others, whatever their names are."""
        self._adopt_parts()
        rows = "".join(f"100644 blob {wanted[oid][0]}\t{oid}\0" for oid in self._missing(wanted)).encode()
        tree = self._repository.git("mktree", "-z", text=rows).decode().strip()
        author = ("-c", "user.name=x", "-c", "user.email=x@x")
        commit = self._repository.git(*author, "commit-tree", "-m", "wanted", tree).decode().strip()
        # As a program of its own, which ends with us: a child of git's would go on alone.
        done = self._repository.run([*TIED, "git-lfs", "fetch", "--include=", "--exclude=", "origin", commit])
        words = done.stderr.decode(errors="replace")
        if "no space left" in words.lower():
            raise OSError(errno.ENOSPC, "No space left on device")
        if done.returncode or self._missing(wanted):
            said = shown(_complaint(words) or f"git-lfs ended with {done.returncode}, and without every file")
            named = re.sub(r"[0-9a-f]{64}", lambda oid: wanted.get(oid[0], ("", oid[0]))[1], said)
            raise Unavailable(named) if REFUSED.search(said) else Transient(named)

    def _parts(self) -> Iterator[tuple[str, str]]:
        """Paths and objects of unfinished files: `OID` and digits while git-lfs fetches, `OID.part` after it failed."""
        folder = os.path.join(self._folder, "incomplete")
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            yield os.path.join(folder, name), name[:64]

    def _adopt_parts(self) -> None:
        """Let git-lfs go on with what it left when it was killed: it only knows `OID.part` again."""
        largest: dict[str, str] = {}
        for path, oid in sorted(self._parts(), key=lambda part: os.path.getsize(part[0])):
            if oid in largest:
                os.unlink(largest[oid])
            largest[oid] = path
        for oid, path in largest.items():
            os.replace(path, os.path.join(os.path.dirname(path), f"{oid}.part"))

    def unite(self, path: str, oid: str) -> None:
        """Let an object cost nothing beside the file that has its content, as after a person's `git lfs pull`."""
        kept = self.path(oid)
        if not os.path.exists(kept) or os.path.samefile(kept, path):
            return
        beside = f"{kept}.new"
        with suppress(FileNotFoundError):
            os.unlink(beside)
        if _cloned(path, beside) or _linked(path, beside):
            os.replace(beside, kept)
        else:
            os.unlink(kept)

    def tidy(self) -> None:
        """Delete what is left of unfinished objects."""
        shutil.rmtree(os.path.join(self._folder, "incomplete"), ignore_errors=True)


def path_of(folder: str, oid: str) -> str:
    """Where an object lies in the clone in a folder, if there is one."""
    return os.path.join(folder, ".git/lfs/objects", oid[:2], oid[2:4], oid)


def drop(folder: str, oids: Iterable[str]) -> None:
    """Delete objects that are no longer used."""
    for oid in oids:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path_of(folder, oid))


def share(source: str, target: str) -> None:
    """Give a file a second name that costs nothing: a reflink, else a hard link, else by moving it."""
    if not _cloned(source, target) and not _linked(source, target):
        os.rename(source, target)


def _cloned(source: str, target: str) -> bool:
    with open(source, "rb") as file, open(target, "wb") as clone:
        try:
            fcntl.ioctl(clone, FICLONE, file.fileno())
            return True
        except OSError:
            pass
    os.unlink(target)
    return False


def _linked(source: str, target: str) -> bool:
    try:
        os.link(source, target)
        return True
    except OSError:
        return False


def _complaint(words: str) -> str:
    """The line of git-lfs that says most."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"error|LFS:|fatal|\[\w{64}\]", line, re.IGNORECASE)]
    return (told or lines or [""])[0]

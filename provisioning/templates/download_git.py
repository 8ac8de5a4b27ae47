"""Models in git repositories whose weights are in Git LFS: the clone is the model's folder, and has each weight once.

Pointers come first. Then `git lfs fetch` (the half of `git lfs pull` that downloads) brings what is missing and no
more, going on from its partial files; each object is then cloned (reflink) or hard-linked to where it belongs.
"""

import difflib
import errno
import fcntl
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.templates.download_modelscope import ModelScope
    from provisioning.templates.download_records import OURS, sha256_of
    from provisioning.templates.download_retry import persevering
    from provisioning.templates.download_sources import Listing, Transient, Unavailable, Wanted, say
    from provisioning.templates.download_verify import POINTER
    from provisioning.templates.git_client import SLOW, TIED, shown
    from provisioning.templates.git_repository import MISSING, Repository
else:
    from download_modelscope import ModelScope
    from download_records import OURS, sha256_of
    from download_retry import persevering
    from download_sources import Listing, Transient, Unavailable, Wanted, say
    from download_verify import POINTER
    from git_client import SLOW, TIED, shown
    from git_repository import MISSING, Repository

FICLONE = 0x40049409
"""https://man7.org/linux/man-pages/man2/ioctl_ficlonerange.2.html"""
LARGEST_POINTER = 1024
"""Bytes: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""
LFS_REFUSED = re.compile(r"\b40[134]\b|does not exist on the server|authenticat|authoriz|forbidden|not found", re.I)
OF_LFS = re.compile(rb"oid sha256:([0-9a-f]{64})\nsize (\d+)\n")


class Git:
    """One repository, at one revision."""

    def __init__(self, config: dict[str, Any], folder: str) -> None:
        url = config["endpoint"].rstrip("/") + "/" + config["id"] + ".git"
        self._config, self._folder, self._revision = config, folder, config["revision"]
        self._repository = Repository(folder, url, config["token"])
        self._git, self.shown = self._repository.git, self._repository.shown
        self._blobs: dict[str, str] = {}
        self._oids: dict[str, str] = {}
        self.proven: dict[str, str] = {}

    def listing(self) -> "Listing":
        """Fetch the commit without its weights, and read what it has."""
        if not os.path.isdir(self._repository.git_folder):
            self._git("init", "-q")
        if "origin" not in self._git("remote").decode().split():
            self._git("remote", "add", "origin", self._repository.url)
        self._git("remote", "set-url", "origin", self._repository.url)
        say(f"git: fetching {self._revision or 'the default branch'} of {self.shown}")
        persevering("git", attempts=self._config["attempts"])(self._fetch_commit)
        commit = self._git("rev-parse", "FETCH_HEAD^{commit}").decode().strip()
        files = {}
        for row in self._git("ls-tree", "-r", "-l", "-z", commit).split(b"\0")[:-1]:
            about, _, name = os.fsdecode(row).partition("\t")
            _, kind, blob, size = about.split()
            if kind == "blob":
                files[name] = Wanted(int(size), git_blob=blob)
                self._blobs[name] = blob
        self._read_pointers(files)
        return Listing(commit, files)

    def _fetch_commit(self) -> None:
        wanted = self._revision or "HEAD"
        try:
            self._git(*SLOW, "fetch", "-q", "--no-tags", "--depth", "1", "origin", wanted)
            return
        except Unavailable as error:
            if not MISSING.search(str(error)):
                raise Unavailable(self._explained(str(error))) from error
            if not re.fullmatch(r"[0-9a-f]{7,40}", wanted):
                raise Unavailable(f"{self.shown} has no revision {wanted}{self._close_revisions()}") from error
        # Some servers give a commit only with all that leads to it.
        self._git(*SLOW, "fetch", "-q", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        try:
            self._git("fetch", "-q", ".", self._git("rev-parse", "--verify", f"{wanted}^{{commit}}").decode().strip())
        except Unavailable as error:
            raise Unavailable(f"{self.shown} has no revision {wanted}") from error

    def _close_revisions(self) -> str:
        said = self._repository.tried(*SLOW, "ls-remote", "--heads", "--tags", "origin")
        known = [re.sub(r"^refs/(heads|tags)/", "", row.partition("\t")[2]) for row in said.splitlines()]
        close = difflib.get_close_matches(self._revision, known, 3, 0.5)
        return (
            f"; did you mean {' or '.join(close)}?" if close else f"; it has {', '.join(known[:10])}" if known else ""
        )

    def _read_pointers(self, files: "dict[str, Wanted]") -> None:
        """Replace each pointer by what it points to."""
        small = [name for name, wanted in files.items() if wanted.size < LARGEST_POINTER]
        names = "".join(f"{self._blobs[name]}\n" for name in small).encode()
        said = self._git("cat-file", "--batch", text=names)
        place = 0
        for name in small:
            end = said.index(b"\n", place)
            size = int(said[place:end].split()[2])
            content = said[end + 1 : end + 1 + size]
            place = end + size + 2
            if content.startswith(POINTER) and (found := OF_LFS.search(content)):
                self._oids[name] = found[1].decode()
                files[name] = Wanted(int(found[2]), sha256=found[1].decode())

    def fetch(self, files: "dict[str, Wanted]") -> None:
        """Bring the files: those in git from git, the others' objects by git-lfs."""
        weights = {name: self._oids[name] for name in files if name in self._oids}
        self._write_blobs([name for name in files if name not in weights])
        objects = set(weights.values())
        for oid in objects:
            # What an interrupted run has left may not have reached the disk; what git-lfs brings now it has hashed.
            path = self._object(oid)
            if os.path.exists(path) and sha256_of(path) != oid:
                os.unlink(path)
        missing = {name: oid for name, oid in weights.items() if not os.path.exists(self._object(oid))}
        if missing:
            persevering("git-lfs", lambda: sum(self.partial().values()))(self._fetch_objects, missing)
        for name, oid in weights.items():
            self._place(name, lambda path, oid=oid: _share(self._object(oid), path))
            self.proven[name] = oid

    def finish(self, revision: str) -> None:
        """Let the clone stand at this commit, and on its branch, so that a person can pull."""
        self._git("lfs", "install", "--local", "--skip-repo")
        self._git("read-tree", revision)
        asked = ("HEAD", f"refs/heads/{self._revision or 'HEAD'}")
        said = self._repository.tried(*SLOW, "ls-remote", "--symref", "origin", *asked)
        default, *_ = [*re.findall(r"^ref: refs/heads/(\S+)\tHEAD$", said, re.MULTILINE), ""]
        branch = self._revision or default
        if f"\trefs/heads/{branch}\n" not in said and branch != default:
            self._git("update-ref", "--no-deref", "HEAD", revision)
            return
        for reference in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
            self._git("update-ref", reference, revision)
        self._git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        self._git("config", f"branch.{branch}.remote", "origin")
        self._git("config", f"branch.{branch}.merge", f"refs/heads/{branch}")

    def partial(self) -> dict[str, int]:
        """Bytes of each file's object that are here, whole or in part."""
        parts: dict[str, int] = {}
        for path, oid in self._parts():
            with suppress(FileNotFoundError):
                parts[oid] = max(parts.get(oid, 0), os.path.getsize(path))
        found = {}
        for name, oid in self._oids.items():
            with suppress(FileNotFoundError):
                found[name] = parts[oid] if oid in parts else os.path.getsize(self._object(oid))
        return found

    def _parts(self) -> Iterator[tuple[str, str]]:
        """Paths and objects of unfinished files: `OID` and digits while git-lfs fetches, `OID.part` after it failed."""
        folder = os.path.join(self._repository.git_folder, "lfs/incomplete")
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

    def _object(self, oid: str) -> str:
        return os.path.join(self._repository.git_folder, "lfs/objects", oid[:2], oid[2:4], oid)

    def _fetch_objects(self, missing: dict[str, str]) -> None:
        """Bring objects with git-lfs: of a commit that has those and no others, whatever their names are."""
        self._adopt_parts()
        rows = "".join(f"100644 blob {self._blobs[name]}\t{oid}\0" for name, oid in missing.items()).encode()
        tree = self._git("mktree", "-z", text=rows).decode().strip()
        author = ("-c", "user.name=x", "-c", "user.email=x@x")
        commit = self._git(*author, "commit-tree", "-m", "wanted", tree).decode().strip()
        # As a program of its own, which ends with us: a child of git's would go on alone.
        command = [*TIED, "git-lfs", "fetch", "origin", commit]
        done = self._repository.run(command)
        words = done.stderr.decode(errors="replace")
        if "no space left" in words.lower():
            raise OSError(errno.ENOSPC, "No space left on device")
        if done.returncode:
            said = shown(_lfs_complaint(words) or f"git-lfs ended with {done.returncode}")
            raise Unavailable(said) if LFS_REFUSED.search(said) else Transient(said)

    def _place(self, name: str, write: Any) -> None:
        """Write a file beside, then rename it to its name."""
        target = os.path.join(self._folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        beside = os.path.join(self._folder, OURS, "placing")
        os.makedirs(os.path.dirname(beside), exist_ok=True)
        if os.path.lexists(beside):
            os.unlink(beside)
        write(beside)
        os.replace(beside, target)
        # Two names of one file: renaming one to the other does nothing.
        if os.path.lexists(beside):
            os.unlink(beside)

    def _write_blobs(self, names: list[str]) -> None:
        """Write files that are in git itself: by one process, however many there are."""
        command = ["git", "cat-file", "--batch"]
        with TemporaryFile() as asked:
            asked.write("".join(f"{self._blobs[name]}\n" for name in names).encode())
            asked.seek(0)
            process = subprocess.Popen(
                command, cwd=self._folder, stdin=asked, stdout=subprocess.PIPE, env=self._repository.environment
            )
        assert process.stdout
        with process:
            for name in names:
                size = int(process.stdout.readline().split()[2])
                self._place(name, lambda path, size=size: _write(process.stdout, size, path))
                process.stdout.read(1)  # a line's end after each

    def _explained(self, said: str) -> str:
        """What git said, and what to do about it."""
        if re.search("authentication failed|could not read (username|password)|40[13]", said, re.IGNORECASE):
            setting = self._config["setting"]
            how = "the token does not open it" if self._config["token"] else f"name a token in {setting}/token"
            return f"{self._config['id']} does not exist at {self.shown}, or is private or gated: {how} ({said})"
        if re.search("not found|404", said, re.IGNORECASE):
            # git cannot list models; where it is ModelScope's, its API can.
            close = ModelScope({**self._config, "attempts": 1}, self._folder).close_models()
            return f"there is no model {self._config['id']} at {self.shown} ({said}){close}"
        return said


def _write(stream: IO[bytes], size: int, path: str) -> None:
    """Write the next bytes of a stream to a file, without having them all in memory."""
    with open(path, "wb") as file:
        while block := stream.read(min(size, 1 << 20)):
            file.write(block)
            size -= len(block)


def _share(source: str, target: str) -> None:
    """Give a file a second name that costs nothing: a reflink, else a hard link, else by moving it."""
    with open(source, "rb") as file, open(target, "wb") as clone:
        try:
            fcntl.ioctl(clone, FICLONE, file.fileno())
            return
        except OSError:
            pass
    os.unlink(target)
    try:
        os.link(source, target)
    except OSError:
        os.rename(source, target)


def _lfs_complaint(words: str) -> str:
    """The line of git-lfs that says most."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"error|LFS:|fatal|\[\w{64}\]", line, re.IGNORECASE)]
    return (told or lines or [""])[0]

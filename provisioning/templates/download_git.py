"""Models in git repositories whose weights are in Git LFS: the clone is the model's folder, and has each weight once.

Pointers come first. Then git-lfs brings what is missing and no more.
"""

import os
import re
import subprocess
from collections.abc import Iterable
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.templates.download_modelscope import ModelScope
    from provisioning.templates.download_records import OURS
    from provisioning.templates.download_retry import persevering
    from provisioning.templates.download_sources import Listing, Unavailable, Wanted, names_instead, say
    from provisioning.templates.git_client import SLOW
    from provisioning.templates.git_lfs import Objects, share
    from provisioning.templates.git_repository import MISSING, Repository
    from provisioning.templates.git_tree import Tree
else:
    from download_modelscope import ModelScope
    from download_records import OURS
    from download_retry import persevering
    from download_sources import Listing, Unavailable, Wanted, names_instead, say
    from git_client import SLOW
    from git_lfs import Objects, share
    from git_repository import MISSING, Repository
    from git_tree import Tree


class Git:
    """One repository, at one revision."""

    def __init__(self, config: dict[str, Any], folder: str) -> None:
        url = config["endpoint"].rstrip("/") + "/" + config["id"] + ".git"
        self._config, self._folder, self._revision = config, folder, config["revision"]
        self._repository = Repository(folder, url, config["token"])
        self._git, self.shown = self._repository.git, self._repository.shown
        self._objects = Objects(self._repository)
        self._tree = Tree(self._repository)
        self.proven: dict[str, str] = {}

    def listing(self) -> "Listing":
        """Fetch the commit without its weights, and read what it has."""
        try:
            self._repository.prepare()
        except Unavailable as error:
            raise Unavailable(self._explained(str(error))) from error
        say(f"git: fetching {self._revision or 'the default branch'} of {self.shown}")
        persevering("git", attempts=self._config["attempts"])(self._fetch_commit)
        commit = self._git("rev-parse", "FETCH_HEAD^{commit}").decode().strip()
        return Listing(commit, self._tree.read(commit))

    def _fetch_commit(self) -> None:
        wanted = self._revision or "HEAD"
        try:
            self._git(*SLOW, "fetch", "-q", "--no-tags", "--depth", "1", "origin", wanted)
            return
        except Unavailable as error:
            if not MISSING.search(str(error)):
                raise Unavailable(self._explained(str(error))) from error
            if not re.fullmatch(r"[0-9a-f]{7,40}", wanted):
                what = f"no revision {self._revision}" if self._revision else "no default branch"
                raise Unavailable(f"{self.shown} has {what}{self._close_revisions()}") from error
        # Some servers give a commit only with all that leads to it.
        self._git(*SLOW, "fetch", "-q", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        try:
            self._git("fetch", "-q", ".", self._git("rev-parse", "--verify", f"{wanted}^{{commit}}").decode().strip())
        except Unavailable as error:
            raise Unavailable(f"{self.shown} has no revision {wanted}") from error

    def _close_revisions(self) -> str:
        said = self._repository.tried(*SLOW, "ls-remote", "--heads", "--tags", "origin")
        names = [row.partition("\t")[2] for row in said.splitlines() if not row.endswith("^{}")]
        known = [re.sub(r"^refs/(heads|tags)/", "", name) for name in names]
        if not known:
            return ": it is empty"
        return names_instead(self._revision, known)

    def fetch(self, files: "dict[str, Wanted]") -> None:
        """Bring the files: those in git from git, the others' objects by git-lfs."""
        weights = {name: self._tree.oids[name] for name in files if name in self._tree.oids}
        self._write_blobs([name for name in files if name not in weights])
        self._objects.fetch({oid: (self._tree.blobs[name], name) for name, oid in weights.items()})
        for name, oid in weights.items():
            self._place(name, lambda path, oid=oid: share(self._objects.path(oid), path))
            self.proven[name] = oid

    def finish(self, revision: str, files: Iterable[str]) -> None:
        """Let the clone stand at this commit, and on its branch, so that a person can pull; it has each weight once."""
        weights = {name: self._tree.oids[name] for name in files if name in self._tree.oids}
        self._objects.tidy()
        for name in weights.keys() - self.proven.keys():
            self._objects.unite(os.path.join(self._folder, name), weights[name])
        self._repository.keep_out(OURS)
        self._git("lfs", "install", "--local", "--skip-repo")
        self._git("read-tree", revision)
        asked = ("HEAD", f"refs/heads/{self._revision or 'HEAD'}")
        said = self._repository.tried(*SLOW, "ls-remote", "--symref", "origin", *asked)
        default, *_ = [*re.findall(r"^ref: refs/heads/(\S+)\tHEAD$", said, re.MULTILINE), ""]
        branch = self._revision or default
        if not branch or (f"\trefs/heads/{branch}\n" not in said and branch != default):
            self._git("update-ref", "--no-deref", "HEAD", revision)
            return
        for reference in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
            self._git("update-ref", reference, revision)
        self._git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        self._git("config", f"branch.{branch}.remote", "origin")
        self._git("config", f"branch.{branch}.merge", f"refs/heads/{branch}")

    def partial(self) -> dict[str, int]:
        """Bytes of each file's object that are here, whole or in part."""
        sizes = self._objects.sizes(self._tree.oids.values())
        return {name: sizes[oid] for name, oid in self._tree.oids.items() if oid in sizes}

    def _place(self, name: str, write: Any) -> None:
        """Write a file beside, then rename it to its name."""
        target = os.path.join(self._folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        beside = os.path.join(self._folder, OURS, "placing")
        os.makedirs(os.path.dirname(beside), exist_ok=True)
        if os.path.lexists(beside):
            os.unlink(beside)
        write(beside)
        if name in self._tree.programs:
            os.chmod(beside, os.stat(beside).st_mode | 0o111)
        os.replace(beside, target)
        # Two names of one file: renaming one to the other does nothing.
        if os.path.lexists(beside):
            os.unlink(beside)

    def _write_blobs(self, names: list[str]) -> None:
        """Write files that are in git itself: by one process, however many there are."""
        command = ["git", "cat-file", "--batch"]
        with TemporaryFile() as asked:
            asked.write("".join(f"{self._tree.blobs[name]}\n" for name in names).encode())
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
        if "dubious ownership" in said:
            return f"{said}: give the folder to the account that serves (chown -R), or the model another path"
        if re.search("authentication failed|could not read (username|password)|error: 40[13]", said, re.IGNORECASE):
            setting = self._config["setting"]
            how = "the token does not open it" if self._config["token"] else f"name a token in {setting}/token"
            return f"{self._config['id']} does not exist at {self.shown}, or is private or gated: {how} ({said})"
        if re.search("not found|error: 404", said, re.IGNORECASE):
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

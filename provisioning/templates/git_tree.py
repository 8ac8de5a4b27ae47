"""What a commit of a repository with Git LFS has: files that are in git itself, and weights that pointers stand for."""

import os
import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.templates.download_sources import Wanted, say
    from provisioning.templates.download_verify import POINTER
    from provisioning.templates.git_repository import Repository
else:
    from download_sources import Wanted, say
    from download_verify import POINTER
    from git_repository import Repository

LARGEST_POINTER = 1024
"""Bytes: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""
OF_LFS = re.compile(rb"oid sha256:([0-9a-f]{64})\nsize (\d+)\n")


class Tree:
    """One commit, once it was read."""

    def __init__(self, repository: "Repository") -> None:
        self._git = repository.git
        self.blobs: dict[str, str] = {}
        """What git has for each file."""
        self.oids: dict[str, str] = {}
        """SHA-256 of each file that is in LFS."""
        self.programs: set[str] = set()
        """Files that can be run."""

    def read(self, commit: str) -> "dict[str, Wanted]":
        """The files of a commit, each weight in the place of the pointer to it."""
        files, links = {}, []
        for row in self._git("ls-tree", "-r", "-l", "-z", commit).split(b"\0")[:-1]:
            about, _, name = os.fsdecode(row).partition("\t")
            mode, kind, blob, size = about.split()
            if kind != "blob":
                say(f"{name} is another repository: it is left out")
                continue
            files[name] = Wanted(int(size), git_blob=blob)
            self.blobs[name] = blob
            if mode == "120000":
                links.append(name)
            if mode == "100755":
                self.programs.add(name)
        self._read_pointers(files)
        self._follow(links, files)
        return files

    def _follow(self, links: list[str], files: "dict[str, Wanted]") -> None:
        """Let a link be one more name of the file that it leads to."""
        for name in links:
            there = os.fsdecode(self._git("cat-file", "blob", self.blobs[name]))
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), there))
            del files[name], self.blobs[name]
            if target not in files or target in links:
                say(f"{name} is a link to {there}, which is no file of the repository: it is left out")
                continue
            files[name], self.blobs[name] = files[target], self.blobs[target]
            if target in self.oids:
                self.oids[name] = self.oids[target]

    def _read_pointers(self, files: "dict[str, Wanted]") -> None:
        """Replace each pointer by what it points to."""
        small = [name for name, wanted in files.items() if wanted.size < LARGEST_POINTER]
        names = "".join(f"{self.blobs[name]}\n" for name in small).encode()
        said = self._git("cat-file", "--batch", text=names)
        place = 0
        for name in small:
            end = said.index(b"\n", place)
            size = int(said[place:end].split()[2])
            content = said[end + 1 : end + 1 + size]
            place = end + size + 2
            if content.startswith(POINTER) and (found := OF_LFS.search(content)):
                self.oids[name] = found[1].decode()
                files[name] = Wanted(int(found[2]), sha256=found[1].decode())

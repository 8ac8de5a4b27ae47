"""What a repository of a hub holds: files of a folder, with the names that git and LFS have for them."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

LFS = ("*.safetensors", "*.bin", "*.gguf", "*.pt", "*.pth", "*.onnx", "*.h5", "*.model")
"""What hubs' usual .gitattributes leave to LFS."""


@dataclass(frozen=True)
class Content:
    """One file: where it lies, its hash, and what git stores for it."""

    file: Path
    size: int
    sha256: str
    lfs: bool

    @property
    def pointer(self) -> bytes:
        """What git stores in the place of an LFS file (git-lfs, docs/spec.md)."""
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (
            self.sha256.encode(),
            self.size,
        )

    @property
    def stored(self) -> bytes:
        """The content of git's blob."""
        return self.pointer if self.lfs else self.file.read_bytes()

    @property
    def oid(self) -> str:
        """The name of git's blob."""
        return git_oid("blob", self.stored)


@dataclass
class Repository:
    """What a hub has under one name: commits, and the branches and tags that point at them."""

    id: str
    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, Content]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, revision: str) -> str | None:
        """The commit that a branch, a tag or the beginning of a commit's name means."""
        known = self.branches.get(revision) or self.tags.get(revision)
        return known or next((each for each in self.commits if len(revision) >= 7 and each.startswith(revision)), None)


@dataclass
class Repositories:
    """The repositories of a hub, and the token that opens the private ones."""

    token: str = ""
    default_branch: str = "main"
    known: dict[str, Repository] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Have a place for the files as they were when they were added."""
        self._store = tempfile.TemporaryDirectory(prefix="hub-")

    def add(
        self, id: str, folder: Path, *, branch: str = "", tag: str = "", private: bool = False, gated: bool = False
    ) -> str:
        """Commit a folder's present files to a branch, make the repository if it is new, and give the commit's name."""
        repository = self.known.setdefault(id, Repository(id))
        repository.private, repository.gated = private, gated
        files = self._kept(folder)
        listed = "".join(f"{path}\0{content.oid}\n" for path, content in files.items())
        commit = git_oid("commit", f"{id}\n{listed}".encode())
        repository.commits[commit] = files
        repository.branches[branch or self.default_branch] = commit
        if tag:
            repository.tags[tag] = commit
        return commit

    def _kept(self, folder: Path) -> dict[str, Content]:
        target = tempfile.mkdtemp(dir=self._store.name)
        # cp keeps the holes of a sparse file, so 4 GB cost neither time nor room.
        subprocess.run(["cp", "-r", "--sparse=always", "--reflink=auto", f"{folder}/.", target], check=True)
        return {path: replace(content, file=Path(target) / path) for path, content in contents(folder).items()}


def contents(folder: Path) -> dict[str, Content]:
    """The files of a folder by relative path, in order."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(folder).as_posix(): _content(path) for path in paths}


def _content(path: Path) -> Content:
    status = path.stat()
    lfs = any(fnmatchcase(path.name, pattern) for pattern in LFS)
    return Content(path, status.st_size, _sha256(path, status.st_size, status.st_mtime_ns), lfs)


@cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def git_oid(kind: str, data: bytes) -> str:
    """The name that git has for an object (gitformat: the SHA-1 of its header and content)."""
    return hashlib.sha1(b"%s %d\0%s" % (kind.encode(), len(data), data), usedforsecurity=False).hexdigest()


def make_sparse(path: Path, size: int, *, seed: bytes = b"weights") -> None:
    """A file that is as long as told and takes no room, with something in it that is not zero at either end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(seed)
        file.truncate(size)
        file.seek(max(len(seed), size - len(seed)))
        file.write(seed[: size - file.tell()])


HEADER = 136
"""Bytes before the weights: their number, and a header filled up with blanks."""


def safetensors(data: bytes) -> bytes:
    """One tensor of bytes (https://github.com/huggingface/safetensors#format)."""
    header = json.dumps({"weight": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", HEADER - 8) + header.ljust(HEADER - 8) + data


def make_model(folder: Path, *, weights: int = 300_000, small: int = 0) -> Path:
    """A folder with what a model's has: configuration, weights in two parts, odd names, and `small` files more."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"architectures": ["Qwen2ForCausalLM"]}\n')
    (folder / "README.md").write_text("# A model for tests\n")
    (folder / "模型 说明.md").write_text("名字里有空格和汉字。\n")
    for part in (1, 2):
        data = hashlib.shake_256(b"%d" % part).digest(weights - HEADER)
        (folder / f"model-0000{part}-of-00002.safetensors").write_bytes(safetensors(data))
    for number in range(small):
        file = folder / "tokens" / f"{number // 100:02}" / f"{number:04}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{{"token": {number}}}\n')
    return folder

"""Proves files of a model: their hashes, side by side, and that none is half a file or a pointer to one."""

import json
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.templates.download_records import git_blob_of, intact, load, save, sha256_of
    from provisioning.templates.download_sources import Wanted, say
else:
    from download_records import git_blob_of, intact, load, save, sha256_of
    from download_sources import Wanted, say

POINTER = b"version https://git-lfs.github.com/spec/v1\n"
"""How a pointer file begins: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""

LARGEST_HEADER = 100_000_000
"""Bytes: https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs"""


def proven(folder: str, files: "dict[str, Wanted]") -> dict[str, str]:
    """The SHA-256 of each of these files that is here and is what is wanted. Hashes several at once."""
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        found = pool.map(lambda name: (name, _matching(os.path.join(folder, name), files[name])), files)
        return {name: digest for name, digest in found if digest}


def here(folder: str, files: "dict[str, Wanted]", *, trusting: bool) -> dict[str, str]:
    """The SHA-256 of what is here and right: by the records where they are trusted, else by hashing."""
    known = intact(folder) if trusting else {}
    hashes = {name: known[name] for name, wanted in files.items() if known.get(name) == wanted.sha256 != ""}
    rest = {name: wanted for name, wanted in files.items() if name not in hashes}
    found = proven(folder, rest)
    for name in sorted(load(folder).get("files", {}).keys() & rest.keys() - found.keys()):
        say(f"{name} is not (any more) what is wanted: fetching it")
    return hashes | found


def _matching(path: str, wanted: "Wanted") -> str:
    """The file's SHA-256 if it is what is wanted, else ""."""
    if not os.path.isfile(path) or os.path.islink(path) or wanted.size not in (-1, os.path.getsize(path)):
        return ""
    if wanted.git_blob and git_blob_of(path) != wanted.git_blob:
        return ""
    digest = sha256_of(path)
    return digest if wanted.sha256 in ("", digest) else ""


def stands(key: str, folder: str) -> bool:
    """Whether the model was brought before, and every file has the recorded SHA-256 still: no server is needed then."""
    known = load(folder)
    if known.get("key") != key:
        return False
    files = {name: Wanted(each["size"], each["sha256"]) for name, each in known.pop("files").items()}
    hashes = proven(folder, files)
    for name in files.keys() - hashes.keys():
        say(f"{name} is not (any more) what was downloaded")
    if files.keys() != hashes.keys():
        return False
    save(folder, known, hashes)
    return True


def mismatch(folder: str, name: str, wanted: "Wanted") -> str:
    """What is wrong with a file, with both hashes."""
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return f"{name} did not come"
    came = git_blob_of(path) if not wanted.sha256 else sha256_of(path)
    right = wanted.sha256 or wanted.git_blob
    return f"{name} came with hash {came} ({os.path.getsize(path)} bytes), and {right} ({wanted.size} bytes) is right"


def faults(folder: str, names: list[str]) -> Iterator[str]:
    """Say what keeps files from being served, whatever their hashes: a pointer, truncated safetensors, half a model."""
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            head = file.read(len(POINTER))
        if head == POINTER:
            yield f"{name} is a pointer of git-lfs, and not the file itself"
        elif name.endswith(".safetensors") and (words := _unsafe(path)):
            yield f"{name} is {words}"
        elif name.endswith(".index.json") and (lacking := _lacking(folder, name, set(names))):
            yield f"{name} names {lacking}, which is not here: include and exclude leave it out, or the server lacks it"


def _unsafe(path: str) -> str:
    """What is wrong with safetensors, by their header (https://github.com/huggingface/safetensors#format), or ""."""
    size = os.path.getsize(path)
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LARGEST_HEADER:
                return f"no safetensors: its header would have {length} bytes"
            if length > size - 8:
                return f"truncated: {size} bytes, and its header alone has {length}"
            header = json.loads(file.read(length))
            end = max((tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"), default=0)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError):
        return "no safetensors: its header cannot be read"
    wanted = 8 + length + end
    return "" if size == wanted else f"truncated: {size} bytes of {wanted}"


def _lacking(folder: str, index: str, names: "set[str]") -> str:
    """A part of the weights that an index names, where that is missing and others are here; else ""."""
    try:
        with open(os.path.join(folder, index), encoding="utf-8") as file:
            parts = {os.path.join(os.path.dirname(index), part) for part in json.load(file)["weight_map"].values()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""  # of another kind than Hugging Face's
    return min(parts - names) if parts & names and parts - names else ""

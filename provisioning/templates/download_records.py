"""What is known of a model's folder without reading its weights: each file's size, time and SHA-256.

A manifest that is there is true: it is written last, when all files are on the disk.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

OURS = ".vllm-provisioning"
FIELDS: dict[str, Any] = {"size": int, "sha256": str, "mtime_ns": int}
"""What is recorded of each file."""
STATE = "xargs -0 -r stat -c '%s %.9Y %n' -- <.vllm-provisioning/files | sha256sum"
"""Shell that prints the hash of all sizes and times, in the model's folder."""


def load(folder: str) -> dict[str, Any]:
    """The manifest; empty where there is none, or one that is spoilt."""
    try:
        with open(os.path.join(folder, OURS, "manifest.json"), encoding="utf-8", errors="surrogateescape") as file:
            return parsed(file.read())
    except (OSError, ValueError):
        return {}


def parsed(manifest: str) -> dict[str, Any]:
    """What a manifest says. Raises ValueError where it is spoilt."""
    try:
        found: dict[str, Any] = json.loads(manifest)
        files = {name: {key: kind(each[key]) for key, kind in FIELDS.items()} for name, each in found["files"].items()}
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error
    return {**found, "files": files}


def intact(folder: str) -> dict[str, str]:
    """The SHA-256 of each file whose size and time are as they were recorded."""
    found = {}
    for name, known in load(folder).get("files", {}).items():
        try:
            state = os.lstat(os.path.join(folder, name))
        except OSError:
            continue
        if (state.st_size, state.st_mtime_ns) == (known["size"], known["mtime_ns"]):
            found[name] = known["sha256"]
    return found


def save(folder: str, about: dict[str, Any], hashes: dict[str, str]) -> None:
    """Record files that were proven. `about` comes first, its key in the first line of it."""
    subprocess.run(["sync", "-f", folder], check=True)
    files = {}
    for name in sorted(hashes, key=os.fsencode):
        state = os.stat(os.path.join(folder, name))
        files[name] = {"size": state.st_size, "sha256": hashes[name], "mtime_ns": state.st_mtime_ns}
    ours = os.path.join(folder, OURS)
    os.makedirs(ours, exist_ok=True)
    _write(os.path.join(ours, "files"), b"".join(os.fsencode(name) + b"\0" for name in files))
    state_line = subprocess.run(["sh", "-c", STATE], cwd=folder, capture_output=True, check=True).stdout
    _write(os.path.join(ours, "state"), state_line)
    text = json.dumps({**about, "files": files}, indent=1, ensure_ascii=False)
    _write(os.path.join(ours, "manifest.json"), text.encode("utf-8", "surrogateescape") + b"\n")


def forget(folder: str) -> None:
    """Withdraw the manifest before files change: what is cut off then is looked at again."""
    for name in ("state", "files"):
        path = os.path.join(folder, OURS, name)
        if os.path.exists(path):
            os.unlink(path)


def former(folder: str, files: Iterable[str]) -> list[str]:
    """What was recorded, and is no longer one of the files."""
    return sorted(load(folder).get("files", {}).keys() - set(files))


def recorded(folder: str) -> set[str]:
    """The SHA-256 of all that was recorded."""
    return {each["sha256"] for each in load(folder).get("files", {}).values()}


def in_the_way(names: Iterable[str], files: Iterable[str]) -> list[str]:
    """Those of the names that are a folder of the files, or the other way round."""
    folders = {str(folder) for name in files for folder in PurePosixPath(name).parents}
    known = set(files)
    return [name for name in names if name in folders or known & {str(each) for each in PurePosixPath(name).parents}]


def remove(folder: str, names: Iterable[str]) -> None:
    """Delete files, and the folders that are empty then."""
    for name in names:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            os.unlink(os.path.join(folder, name))
        above = os.path.dirname(name)
        with suppress(OSError):
            while above:
                os.rmdir(os.path.join(folder, above))
                above = os.path.dirname(above)


def sha256_of(path: str) -> str:
    """A file's SHA-256."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def git_blob_of(path: str) -> str:
    """A file's SHA-1 as git counts it."""
    digest = hashlib.sha1(b"blob %d\0" % os.path.getsize(path), usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _write(path: str, content: bytes) -> None:
    with open(f"{path}.new", "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)

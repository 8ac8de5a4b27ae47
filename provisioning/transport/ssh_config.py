"""~/.ssh/config as OpenSSH reads it (ssh_config(5)): paramiko passes over its Include lines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

from provisioning.local_path import local_path

FILES = ("~/.ssh/config", "/etc/ssh/ssh_config")
"""The user's counts before the system's."""
DEEPEST = 16
"""Files within files; OpenSSH's own limit."""


def load() -> Any:
    """Give a `paramiko.SSHConfig` of both files. Raises `OSError`, `ValueError`, and paramiko's `ConfigParseError`."""
    import paramiko

    config = paramiko.SSHConfig()
    for file in map(local_path, FILES):
        config.parse(lines(file, file.parent))
    return config


def lines(file: Path, folder: Path, block: str = "Host *", depth: int = 0) -> Iterator[str]:
    """Yield a file's lines, and instead of each Include those of the files that it names, from `folder` on.

    What follows an Include belongs to the block that this stood in, whose first line `block` is. A file that is not
    there has no lines. Raises `OSError`, and `ValueError` for a quote or a circle of files that does not end.
    """
    if depth > DEEPEST:
        raise ValueError(f"{file}: Include goes deeper than {DEEPEST} files")
    for line in _read(file):
        keyword, _, value = re.sub(r"\s*=\s*|\s+", " ", line.strip(), count=1).partition(" ")
        if keyword.lower() == "include":
            for pattern in shlex.split(value):
                for found in sorted(glob(str(folder / local_path(pattern)))):
                    yield from lines(Path(found), folder, block, depth + 1)
            yield block
        else:
            block = line if keyword.lower() in ("host", "match") else block
            yield line


def _read(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", errors="surrogateescape").splitlines()
    except (FileNotFoundError, IsADirectoryError):
        return []

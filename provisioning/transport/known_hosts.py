"""The files of known host keys: read once for all hosts, for each line costs as much as a host's part of a look."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

_lock = threading.Lock()


def name_of(connection: Any) -> str:
    """The host of a `fabric.Connection` as known_hosts calls it."""
    return connection.host if connection.port == 22 else f"[{connection.host}]:{connection.port}"


def files(connection: Any) -> list[Path]:
    """The user's files, as ~/.ssh/config names them; the first one is written to."""
    configured = connection.ssh_config.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")
    # paramiko drops the quotes of a single path with spaces.
    names = [configured] if os.path.exists(os.path.expanduser(configured)) else configured.split()
    return [Path(os.path.expanduser(name)) for name in names]


def tell(connection: Any) -> None:
    """Let a connection's client know the keys that are written down for its host."""
    name, client = name_of(connection), connection.client
    for file in (Path("/etc/ssh/ssh_known_hosts"), *files(connection)):
        with _lock:
            keys = _read(file, _version(file)).lookup(name)
        for kind, key in (keys or {}).items():
            # The first that is written down counts.
            if kind not in (client.get_host_keys().lookup(name) or ()):
                client.get_host_keys().add(name, kind, key)


def append(connection: Any, hostname: str, key: Any) -> None:
    """Write a key down, and let the connection's client know it."""
    file = files(connection)[0]
    with _lock:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        separator = "" if not file.exists() or file.read_bytes()[-1:] in (b"", b"\n") else "\n"
        with file.open("a") as known_hosts:
            known_hosts.write(f"{separator}{hostname} {key.get_name()} {key.get_base64()}\n")
    connection.client.get_host_keys().add(hostname, key.get_name(), key)


def _version(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=8)
def _read(file: Path, version: tuple[int, int, int] | None) -> Any:
    """The keys of a file as it is now: a changed one is another version."""
    from paramiko.hostkeys import HostKeys

    return HostKeys(str(file)) if version else HostKeys()

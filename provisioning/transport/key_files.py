"""Files of private keys: which of them are encrypted, and what opens them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

DEFAULTS = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
"""What is tried where none is named."""


def locked(connection: Any) -> str:
    """The first key file of a `fabric.Connection` that its passphrase, or the lack of one, does not open; "" if none.

    paramiko tells of the last key that it tried, and that may be another.
    """
    passphrase = connection.connect_kwargs.get("passphrase")
    return next((path for path in _files(connection) if not opens(path, passphrase)), "")


def unreadable(path: str) -> str:
    """Why a key file cannot be read, as a sentence; "" where it can."""
    try:
        with open(os.path.expanduser(path), "rb") as file:
            file.read(1)
    except OSError as error:
        return f"The key {path} cannot be read: {error.strerror}."
    return ""


def opens(path: str, passphrase: str | None) -> bool:
    """Whether a key file can be read with that passphrase. What is no key of a kind that is known needs none."""
    import paramiko

    is_encrypted = False
    for kind in (paramiko.RSAKey, paramiko.ECDSAKey, paramiko.Ed25519Key):
        try:
            kind.from_private_key_file(path)
        except paramiko.PasswordRequiredException:
            is_encrypted = True
            if passphrase is not None and _opens_as(kind, path, passphrase):
                return True
        except Exception:  # another kind
            continue
    return not is_encrypted


def _opens_as(kind: Any, path: str, passphrase: str) -> bool:
    try:
        kind.from_private_key_file(path, passphrase)
    except Exception:  # paramiko and cryptography have many words for a wrong one
        return False
    return True


def named(connection: Any) -> list[str]:
    """The key files that are named for a `fabric.Connection`, in the inventory or in ~/.ssh/config."""
    paths = connection.connect_kwargs.get("key_filename") or []
    return [paths] if isinstance(paths, str) else paths


def _files(connection: Any) -> Iterator[str]:
    for path in named(connection) or DEFAULTS:
        if os.path.isfile(file := os.path.expanduser(path)):
            yield file

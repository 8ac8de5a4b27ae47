"""Paths of this machine, as people type them."""

from __future__ import annotations

import os
from pathlib import Path


def local_path(text: str | Path) -> Path:
    """Give the path that is meant: `~` is a home. That of an unknown account stays as it is written, as in a shell.

    `Path.expanduser` raises `RuntimeError` there.
    """
    return Path(os.path.expanduser(text))

"""What this machine keeps for its user: compiled wheels, models, and what is remembered of hosts."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder(name: str) -> Path:
    """Where it lies: https://specifications.freedesktop.org/basedir-spec/latest/"""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "vllm-provisioning" / name

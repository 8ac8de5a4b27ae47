"""How large a model's download will be, asked from the controller: for a plan, which changes nothing on a host."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from rich import filesize

from provisioning.templates import FOLDER

TIMEOUT = 60
"""Seconds that a plan waits for servers."""


def forecast(told: dict[str, Any]) -> str:
    """Ask the model's servers; say how much it is, or why that is not known. `told` is what the host would be told."""
    command = [sys.executable, "-s", "-X", "utf8", str(FOLDER / "download_forecast.py")]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(told),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"its size is not known: no answer within {TIMEOUT} s"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return f"its size cannot be asked for from here: {lines[-1].strip() if lines else 'no answer'}"
    found = json.loads(done.stdout)
    count = f"{found['files']} file{'s' if found['files'] != 1 else ''}"
    if found["unknown"]:
        count += f" (and {found['unknown']} of them of a size that their server does not tell)"
    return f"{filesize.decimal(found['size'])} in {count}, revision {found['revision'][:12]}"

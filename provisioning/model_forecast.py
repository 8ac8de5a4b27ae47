"""How large a model's download will be, asked from the controller: for a plan, which changes nothing on a host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from typing import Any

from rich import filesize

from provisioning.templates import FOLDER

TIMEOUT = 60
"""Seconds that a plan waits for servers."""

_LOCK = threading.Lock()
_answers: dict[str, _Answer] = {}


class _Answer:
    """What one model's servers say, asked once for all hosts."""

    def __init__(self, told: str) -> None:
        self._told, self._lock, self._words = told, threading.Lock(), ""

    def words(self) -> str:
        with self._lock:
            self._words = self._words or _ask(self._told)
            return self._words


def forecast(told: dict[str, Any]) -> str:
    """Ask the model's servers; say how much it is, or why that is not known. `told` is what the host would be told."""
    asked = json.dumps({**told, "folder": ""}, sort_keys=True)
    with _LOCK:
        answer = _answers.setdefault(asked, _Answer(asked))
    return answer.words()


def _ask(told: str) -> str:
    command = [sys.executable, "-s", "-X", "utf8", str(FOLDER / "download_forecast.py")]
    # What one that is cut off leaves behind is in there.
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                command,
                input=told,
                env={**os.environ, "TMPDIR": folder},
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
    return _words(json.loads(done.stdout))


def _words(found: dict[str, Any]) -> str:
    count = f"{found['files']} file{'s' if found['files'] != 1 else ''}"
    if found["unknown"]:
        count += f" ({found['unknown']} of them of a size that their server does not tell)"
    return f"{filesize.decimal(found['size'])} in {count}, revision {found['revision'][:12]}"

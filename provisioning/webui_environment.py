"""The chat page's own Python environment on this machine: apart from vLLM's, and from that of this program."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from provisioning.errors import CommandError
from provisioning.inventory_file import PROJECT

FOLDER = PROJECT / ".venv-webui"
PINS = Path(__file__).with_name("webui.txt")


def interpreter() -> Path:
    """Give its interpreter; it is made where it is missing, or its pins or this Python have changed.

    Two at once: the second waits for the first. Raises `CommandError` where packages cannot be had.
    """
    python, stamp = FOLDER / "bin" / "python", FOLDER / ".stamp"
    try:
        with FOLDER.with_name(f"{FOLDER.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (stamp.is_file() and stamp.read_text() == _state()):
                print(f"setting up {FOLDER} (once; some 400 MB)", file=sys.stderr, flush=True)
                _make(python)
                stamp.write_text(_state())
    except OSError as error:
        raise CommandError(f"{FOLDER} cannot be made", cause=str(error)) from error
    return python


def _state() -> str:
    """Everything that it is made from; the folder too, for an environment that was moved does not work."""
    parts = (PINS.read_text(), sys.version, sys.base_prefix, str(FOLDER))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _make(python: Path) -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    # As ./run does: Debian without python3-venv has the module without pip, and a system pip can fill the environment.
    own_pip = importlib.util.find_spec("ensurepip") is not None
    _run([sys.executable, "-m", "venv", *([] if own_pip else ["--without-pip"]), str(FOLDER)])
    pip = [str(python), "-m", "pip"] if own_pip else ["/usr/bin/python3", "-m", "pip", "--python", str(python)]
    # pip, not uv: it honours this machine's configuration (mirrors, certificates, proxies), which uv does not read.
    _run([*pip, "install", "-qq", "--disable-pip-version-check", "--requirement", str(PINS)])


def _run(command: list[str]) -> None:
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode:
        raise CommandError(
            "the packages of the chat page could not be installed",
            cause="pip's words are above.",
            remedy="Behind a slow or filtered network name a mirror, and run this again: export PIP_INDEX_URL=…",
        )

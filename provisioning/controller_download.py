"""Models that this machine downloads, for hosts that cannot: the program that hosts run, with this Python."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from provisioning.data_folder import data_folder
from provisioning.errors import CommandError
from provisioning.job import tail
from provisioning.progress import Downloading
from provisioning.resources.base import Tell
from provisioning.templates import FOLDER
from provisioning.templates.download_records import intact, load


def default_folder() -> Path:
    """Where models lie."""
    return data_folder("models")


def download(told: dict[str, Any], tell: Tell) -> str:
    """Download a model; `told` is what the host would be told. Gives its folder. Raises `CommandError`."""
    folder = default_folder() / told["name"]
    folder.mkdir(parents=True, exist_ok=True)
    if not told["verify"] and _is_here(str(folder), told["key"]):
        return str(folder)
    tell("downloading on the controller")
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as config:
        json.dump({**told, "folder": str(folder)}, config)
    _run(config.name, told["name"], tell)
    return str(folder)


def _is_here(folder: str, key: str) -> bool:
    manifest = load(folder)
    return manifest.get("key") == key and intact(folder).keys() == manifest["files"].keys()


def _run(config: str, name: str, tell: Tell) -> None:
    command = [sys.executable, "-s", "-X", "utf8", str(FOLDER / "download_model.py"), config]
    pipe = subprocess.PIPE
    on_line, log = Downloading(tell), []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as run:
        assert run.stdout
        for line in run.stdout:
            log.append(line)
            on_line(line.rstrip("\n"))
    Path(config).unlink(missing_ok=True)
    if run.returncode:
        raise CommandError(
            f"{name} cannot be downloaded on the controller (exit {run.returncode})",
            cause=tail("".join(log), 25),
            remedy="Mend it, then run the same command again: what is here is kept.",
        )

"""Runs the program that downloads a model, as the host does, with this Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.templates import FOLDER

PROGRAM = FOLDER / "download_model.py"


@dataclass
class Download:
    """What is asked for, and where it goes."""

    folder: Path
    sources: list[dict[str, str]]
    told: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Write what the program is told, which it deletes, and give the command that starts it."""
        asked = {
            "id": "",
            "revision": "",
            "include": [],
            "exclude": [],
            "files": [],
            "token": "",
            "verify": False,
            "limit_rate": 0,
        }
        about = {"key": "k1", "name": "m", "setting": "models/m", "folder": str(self.folder), "sources": self.sources}
        file = self.folder.with_suffix(".json")
        file.write_text(json.dumps({**asked, **about, **self.told}))
        return [sys.executable, "-s", "-X", "utf8", str(PROGRAM), str(file)]

    def start(self) -> subprocess.Popen[str]:
        """Start the program."""
        environment = {**os.environ, **self.environment}
        return subprocess.Popen(
            self.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=environment
        )

    def run(self, **told: Any) -> tuple[int, str]:
        """Run it to its end: the exit code, and all it said. `told` changes what is asked for."""
        self.told |= told
        process = self.start()
        out, err = process.communicate(timeout=120)
        return process.returncode, out + err

    def succeed(self, **told: Any) -> str:
        """Run it to its good end."""
        code, said = self.run(**told)
        assert code == 0, said
        return said

    @property
    def manifest(self) -> dict[str, Any]:
        """What was recorded."""
        found: dict[str, Any] = json.loads((self.folder / ".vllm-provisioning/manifest.json").read_text())
        return found


def same_files(one: Path, other: Path) -> bool:
    """Whether a download has each file of the source, byte for byte, and no more."""
    return _files(one) == _files(other)


def _files(folder: Path) -> dict[str, bytes]:
    ours = (".git", ".vllm-provisioning", ".cache")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not set(path.relative_to(folder).parts) & set(ours) and path.name != ".gitattributes"
    }

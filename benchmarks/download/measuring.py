"""One download by one program: its seconds, the CPU's, the most disk it took, and how often it was started."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from clients import Client
from hosts.watching import looking
from servers import Servers

ATTEMPTS = 40
PATIENCE = 300
"""Seconds after which one attempt is ended."""


@dataclass(frozen=True)
class Run:
    """What one download took: seconds, the CPU's seconds, bytes of disk at most, and attempts."""

    seconds: float
    cpu: float
    peak: int
    attempts: int


class Peak:
    """The most disk that a folder has taken, in bytes, with everything below it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bytes = folder, 0

    def look(self) -> None:
        """A file with two names counts once."""
        blocks: dict[int, int] = {}
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with suppress(FileNotFoundError):
                    state = os.lstat(os.path.join(folder, name))
                    blocks[state.st_ino] = state.st_blocks
        self.bytes = max(self.bytes, 512 * sum(blocks.values()))


def run(client: Client, servers: Servers, url: str, folder: Path, *, watched: bool = False) -> Run:
    """Download into an empty folder, as often as it takes, and compare what came. Raises `RuntimeError`."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "home").mkdir(parents=True)
    os.sync()
    peak, names = Peak(folder), sorted(path.name for path in servers.model.iterdir())
    began, before = time.monotonic(), cpu_of_children()
    with looking(peak.look, every=0.05) if watched else nullcontext():
        attempts = _attempts(client, url, folder, names)
    seconds, cpu = time.monotonic() - began, cpu_of_children() - before
    for name in names:
        subprocess.run(["cmp", servers.model / name, folder / "model" / name], check=True)
    shutil.rmtree(folder)
    return Run(round(seconds, 3), round(cpu, 3), peak.bytes, attempts)


def _attempts(client: Client, url: str, folder: Path, names: list[str]) -> int:
    """Run the commands, the last one until it succeeds; give how often it was run."""
    environment = client.environment(url, folder / "home")

    def start(command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    first = client.commands(url, folder / "model", names)
    done = [start(command) for command in first]
    for attempt in range(1, ATTEMPTS):
        if not done[-1].returncode:
            return attempt
        done = [start(client.commands(url, folder / "model", names)[-1])]
    raise RuntimeError(f"{client.name}: {done[-1].stdout}{done[-1].stderr}")


def cpu_of_children() -> float:
    """Seconds of the CPU that ended children have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

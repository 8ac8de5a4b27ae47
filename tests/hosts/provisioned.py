"""Machines that have been provisioned once for all tests, as a person would, with what was seen on the way."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .controller import Controller, Done
from .machine import Machine
from .snapshot import Snapshot, snapshot

SETTINGS: dict[str, Any] = {"environment": {"manager": "uv"}}
"""uv brings no hundred megabytes; what concerns Miniconda has tests of its own."""


@dataclass
class Provisioned:
    """A machine that is off, for others to be `like`; how it was before, and how its two runs went."""

    machine: Machine
    user: str
    variables: dict[str, str]
    """Who logged in, and what was in the environment for it."""
    before: Snapshot
    first: Done
    second: Done
    command_lines: set[str] = field(default_factory=set)
    """Every process's command line during the first run, on the controller and on the machine."""


def provision(machine: Machine, folder: Path, user: str, **variables: str) -> Provisioned:
    """Provision a machine twice, and switch it off."""
    before = snapshot(machine)
    controller = Controller(folder).log_in_as(user, **variables).manage(machine, **SETTINGS)
    seen: set[str] = set()
    ended = threading.Event()
    # Machines are containers: their processes show in this machine's list too.
    watcher = threading.Thread(target=_watch, args=(seen, ended), daemon=True)
    watcher.start()
    first = controller.run("provision", "--verbose", timeout=400)
    ended.set()
    watcher.join()
    second = controller.run("provision")
    machine.shutdown()
    return Provisioned(machine, user, variables, before, first, second, seen)


def _watch(seen: set[str], ended: threading.Event) -> None:
    while not ended.wait(0.05):
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue

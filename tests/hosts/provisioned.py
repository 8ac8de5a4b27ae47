"""Machines that have been provisioned once for all tests, as a person would, with what was seen on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .controller import Controller, Done
from .machine import Machine
from .snapshot import Snapshot, snapshot
from .watching import command_lines

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
    with command_lines(seen, every=0.05):
        first = controller.run("provision", "--verbose", timeout=400)
    second = controller.run("provision")
    machine.shutdown()
    return Provisioned(machine, user, variables, before, first, second, seen)

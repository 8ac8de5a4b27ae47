"""Clears away what a killed test run has left: machines whose owner is gone. Touches nothing else."""

from __future__ import annotations

from . import cgroups, isolation
from .system import RUNTIME, Lock, locked, remove_tree

MACHINES = RUNTIME / "machines"


def sweep() -> list[str]:
    """End and delete the machines that no living test run holds; gives their names."""
    MACHINES.mkdir(parents=True, exist_ok=True)
    swept = []
    with locked(RUNTIME / "machines.lock"):
        for file in sorted(MACHINES.glob("*.lock")):
            try:
                lock = Lock(file, wait=False)
            except BlockingIOError:
                continue
            cgroups.end(file.stem)
            isolation.end(file.stem)
            remove_tree(MACHINES / file.stem)
            file.unlink()
            lock.release()
            swept.append(file.stem)
    return swept

"""A control group per machine: its processes are found and ended by it, and its limits are set on it.

Works on cgroup v2 and on v1 (or both, "hybrid"), where each controller has a hierarchy of its own.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def folders(name: str) -> dict[str, Path]:
    """Where the group of this name is or would be: controller (or "" for v2, "name=systemd") to folder."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path
    found = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found[""] = Path(point) / name
        elif kind == "cgroup":
            for controllers, path in own.items():
                if controllers and set(controllers.split(",")) <= set(options.split(",")):
                    parent = Path(point) / path.lstrip("/")
                    found[controllers] = (parent if parent.is_dir() else Path(point)) / name
    return found


def make(name: str) -> dict[str, Path]:
    """Make the group in every hierarchy."""
    made = folders(name)
    for folder in made.values():
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            file = folder / setting
            if file.exists() and (inherited := (folder.parent / setting)).exists() and not file.read_text().strip():
                file.write_text(inherited.read_text())
    return made


def limit_memory(name: str, amount: int) -> None:
    """Bound what all processes of the group may use together."""
    found = folders(name)
    for controller, file in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        if controller in found and (found[controller] / file).exists():
            (found[controller] / file).write_text(str(amount))
            return
    raise RuntimeError("no memory controller to limit the machine with")


def cpu_seconds(name: str) -> float:
    """How long the group's processes have had a processor."""
    found = folders(name)
    if "cpuacct" in found:
        return int((found["cpuacct"] / "cpuacct.usage").read_text()) / 1e9
    return int((found[""] / "cpu.stat").read_text().split()[1]) / 1e6


def everywhere(name: str) -> list[Path]:
    """The group's folders in all hierarchies, also where another run, in another group, has put them."""
    found = []
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if kind not in ("cgroup", "cgroup2"):
            continue
        for path, inner, _ in os.walk(point):
            if name in inner:
                found.append(Path(path, name))
            inner[:] = [folder for folder in inner if folder != name]
    return found


def processes(name: str) -> set[int]:
    """All processes of the group and the groups in it."""
    found: set[int] = set()
    for folder in everywhere(name):
        # Not rglob, which fails where a group goes while it is looked at.
        for path, *_ in os.walk(folder):
            try:
                found.update(map(int, Path(path, "cgroup.procs").read_text().split()))
            except OSError:
                continue
    return found - {0}


def end(name: str) -> None:
    """Kill every process of the group, then remove it everywhere."""
    deadline = time.monotonic() + 60
    while (alive := processes(name)) and time.monotonic() < deadline:
        for process in alive:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    for folder in everywhere(name):
        for path, *_ in os.walk(folder, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                continue

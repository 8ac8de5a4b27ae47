"""The processes of a running vLLM as serve.py sees them: started, found in /proc, measured, ended.

Standard library only, Python 3.9 and later: the system's interpreter runs it, not the environment's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BUSY_SHARE = 0.3  # of the time: threads that wait for work run far less, one that computes runs always
MOST_STARVED = 20  # a thread that runs less than this part of the time it is runnable does not compute
BUSY_STORAGE = 1 << 20  # bytes between two looks that count as loading weights, downloading or paging
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One line of /proc/PID/stat."""

    pid: int
    name: str
    parent: int
    session: int
    started: int  # clock ticks since boot; with the number it names a process for good
    cpu: float


def processes() -> dict[int, Process]:
    """All processes that can be seen, by their number; also those that have ended and wait to be reaped."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            head, _, tail = (entry / "stat").read_text(errors="replace").rpartition(")")
        except OSError:
            continue  # gone meanwhile
        field = tail.split()  # field[0] is the third of proc(5): the state
        cpu = (int(field[11]) + int(field[12])) / TICKS
        pid, name = int(entry.name), head.partition("(")[2]
        found[pid] = Process(pid, name, int(field[1]), int(field[3]), int(field[19]), cpu)
    return found


def descendants() -> list[Process]:
    """Everything below this process. As their subreaper it is the parent of orphans too."""
    table, family = processes(), {os.getpid()}
    while True:
        found = {process.pid for process in table.values() if process.parent in family} - family
        if not found:
            return [table[pid] for pid in sorted(family - {os.getpid()})]
        family |= found


@dataclass(frozen=True)
class Usage:
    """What some processes have asked of the machine so far."""

    threads: Mapping[int, tuple[float, float]]  # seconds on a core, and seconds waiting for one
    storage: int  # bytes read and written

    def busy_since(self, earlier: Usage, seconds: float, share: float = BUSY_SHARE) -> bool:
        """Whether something was worked on in the `seconds` since: storage was used, or a thread ran, or was starved.

        Whoever computes has a thread that always wants a core, so on an overloaded machine waiting counts as running.
        Threads that wake up to look around wait too, each for a while; but they hardly run.
        """
        if self.storage - earlier.storage >= BUSY_STORAGE:
            return True
        for thread, now in self.threads.items():
            then = earlier.threads.get(thread, (0.0, 0.0))
            ran, waited = now[0] - then[0], now[1] - then[1]
            if min(ran + waited, ran * MOST_STARVED) >= share * seconds:
                return True
        return False


def usage(members: Iterable[Process]) -> Usage:
    """What these processes have used so far."""
    threads, storage = {}, 0
    for process in members:
        folder = Path("/proc", str(process.pid))
        threads[process.pid] = (process.cpu, 0.0)  # for kernels without schedstat
        try:
            for task in (folder / "task").iterdir():
                ran, waited, _ = (task / "schedstat").read_text().split()
                threads[int(task.name)] = (int(ran) / 1e9, int(waited) / 1e9)
            counters = dict(line.split(": ") for line in (folder / "io").read_text().splitlines())
            storage += int(counters["read_bytes"]) + int(counters["write_bytes"])
        except (OSError, KeyError, ValueError):
            continue  # gone meanwhile, or such a kernel
    return Usage(threads, storage)


def kill(members: Iterable[Process]) -> None:
    """SIGKILL, which a stopped process obeys too."""
    for process in members:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def without_trackers(members: Iterable[Process]) -> list[Process]:
    """Leave out Python's resource trackers: when the last of the others has ended, they free its shared memory."""
    return [process for process in members if b"resource_tracker" not in _command(process.pid)]


def _command(pid: int) -> bytes:
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return b""


class Child:
    """vLLM's API server in a session of its own, and everything that descends from it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphaned engines and workers become ours, to be found and killed
        self.status: int | None = None
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509 - no thread runs yet
        )
        self.pid = self.process.pid
        own = processes().get(self.pid)
        self.started = own.started if own else 0

    def ended(self) -> str:
        """How the API server ended, "" while it runs. Reaps along the way what this process has adopted."""
        pid = -1
        while pid:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == self.pid:
                self.status = self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.status is None:
            return ""
        return f"status {self.status}" if self.status >= 0 else signal.Signals(-self.status).name

    def engine(self) -> list[Process]:
        """What computes. Not the API server, unless it is alone: requests keep it awake while the engine hangs."""
        everything = descendants()
        return [process for process in everything if process.pid != self.pid] or everything

    def stop(self, patience: float) -> None:
        """End the server and all that descends from it: asked to for as long as `patience`, then for certain."""
        kill_at = time.monotonic() + patience
        if patience and not self.ended():
            self.process.terminate()
        while (left := descendants()) and time.monotonic() < kill_at + 10:  # an uninterruptible wait outlives even this
            if time.monotonic() >= kill_at + 2:
                kill(left)
            elif time.monotonic() >= kill_at:
                kill(without_trackers(left))
            elif self.ended():
                kill_at = min(kill_at, time.monotonic() + 3)  # for workers that are about to end by themselves
            time.sleep(0.1)
            self.ended()


def end_session(leader: int, started: int) -> None:
    """Kill what a predecessor left behind: the session that its child led, unless the number has a new bearer."""
    table = processes()
    if leader not in table or table[leader].started == started:
        kill(without_trackers(process for process in table.values() if process.session == leader))

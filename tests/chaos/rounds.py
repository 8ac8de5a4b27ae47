"""One round: a host is converged, something breaks, and in the end it is as if nothing had."""

from __future__ import annotations

import bisect
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hosts.controller import Controller, Done, Running
from hosts.machine import Machine
from hosts.proxy import Proxy

from . import compare
from .faults import AT_ONCE, FAULTS, Scene
from .world import DISK, REMOVED, settings

LOCKED, CONVERGED = 5, ("serve", "--verbose")
MISTAKE = re.compile(r"^Traceback|mistake of this program", re.MULTILINE)
PATIENCE = 300
"""Seconds that a run may take on a machine that has other work too."""


@dataclass
class Start:
    """A host in an earlier state, off; and a copy of it that was converged undisturbed."""

    machine: Machine
    twin: Machine
    alive: dict[str, list[str]]
    times: list[float]
    """When each line of that run came, in seconds after its beginning; the last is its end."""


def begin(earlier: Machine, make: Callable[..., Machine], folder: Path) -> Start:
    """Converge a copy undisturbed."""
    twin = make("bookworm", like=earlier, isolated=True, disk=DISK)
    running = Controller(folder).manage(twin, **settings("second")).start(*CONVERGED)
    times = _times(running)
    assert running.done().code == 0, running.output
    alive = compare.settled(twin)
    twin.power_off()
    return Start(earlier, twin, alive, times)


def _times(running: Running) -> list[float]:
    times: list[float] = []
    ended = False
    while not ended:
        ended = running.process.poll() is not None
        now = time.monotonic() - running.began
        times += [now] * (running.output.count("\n") - len(times))
        time.sleep(0.02)
    return [*times, now]


@dataclass
class Round:
    """Everything random about it comes from its seed."""

    seed: int

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.fault = FAULTS[self.seed % len(FAULTS)]
        self.start = "bare" if self.random.random() < 0.25 else "served"
        self.removed = self.random.sample(REMOVED, self.random.choice([0, 1, 2])) if self.start == "served" else []
        self.moment = 0.0 if self.fault in AT_ONCE else self.random.random()

    def run(self, start: Start, machine: Machine, folder: Path) -> None:
        """Converge with the fault, then without; compare."""
        machine.run("; ".join(self.removed))
        controller = Controller(folder / "home")
        (folder / "tmp").mkdir()
        controller.log_in_as("root", TMPDIR=str(folder / "tmp"))
        with Proxy((machine.address, machine.port)) as line:
            running = controller.manage(machine, through=line, **settings("second")).start(*CONVERGED)
            self._wait(running, start.times)
            mend = self.fault(Scene(self.random, machine, line, controller, running))
            disturbed = running.done(PATIENCE)
            mend()
        print(disturbed.output, f"exit {disturbed.code}\n", sep="\n")
        assert not MISTAKE.search(disturbed.output)
        controller.manage(machine, **settings("second"))
        undisturbed = self._converge(controller)
        print(undisturbed.output)
        assert undisturbed.code == 0
        again = self._converge(controller)
        assert "nothing to do" in again.output, again.output
        differences = compare.living_differences(start.alive, machine)
        differences += compare.file_differences(start.twin, machine)
        differences += [f"on the controller: {each}" for each in (folder / "tmp").iterdir()]
        assert not differences, "\n".join(differences)

    def _wait(self, running: Running, times: list[float]) -> None:
        """Wait for the moment: so many lines of output, and then a while, for a machine may be slower now."""
        moment = self.moment * times[-1]
        lines = bisect.bisect(times[:-1], moment)
        pause = moment - (times[lines - 1] if lines else 0)
        host = f"a {self.start} host after {self.removed}" if self.removed else f"a {self.start} host"
        print(f"seed {self.seed}: {self.fault.__name__} on {host}, {pause:.2f} s after line {lines}")
        while running.output.count("\n") < lines and running.process.poll() is None:
            time.sleep(0.01)
        time.sleep(pause)

    @staticmethod
    def _converge(controller: Controller) -> Done:
        """Converge; the lock of a run that was killed goes away by itself, and until then it is in the way."""
        deadline = time.monotonic() + compare.SETTLING
        while (done := controller.run(*CONVERGED, timeout=PATIENCE)).code == LOCKED and time.monotonic() < deadline:
            time.sleep(1)
        return done

"""One round: a host is converged, something breaks, and in the end it is as if nothing had."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hosts.controller import Controller, Done
from hosts.machine import Machine
from hosts.proxy import Proxy

from . import compare
from .faults import AT_ONCE, FAULTS, Scene
from .moment import Moment, changes
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
    changes: int
    """How many changes converged it."""


def begin(earlier: Machine, make: Callable[..., Machine], folder: Path) -> Start:
    """Converge a copy undisturbed."""
    twin = make("bookworm", like=earlier, isolated=True, disk=DISK)
    output = Controller(folder).manage(twin, **settings("second")).succeed(*CONVERGED)
    alive = compare.settled(twin)
    twin.power_off()
    return Start(earlier, twin, alive, len(changes(output, twin.name)))


@dataclass
class Round:
    """Everything random about it comes from its seed."""

    seed: int

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.fault = FAULTS[self.seed % len(FAULTS)]
        self.start = "bare" if self.random.random() < 0.25 else "served"
        self.removed = self.random.sample([*REMOVED], self.random.choice([0, 1, 2])) if self.start == "served" else []
        self.moment = None if self.fault in AT_ONCE else Moment.drawn(self.random)
        host = f"a {self.start} host after {self.removed}" if self.removed else f"a {self.start} host"
        self.story = [f"seed {self.seed}: {self.fault.__name__} on {host}"]

    def run(self, start: Start, machine: Machine, folder: Path) -> None:
        """Converge with the fault, then without; compare. What fails says what was done, and how to do it again."""
        try:
            self._run(start, machine, folder)
        except Exception as error:
            again = f"CHAOS_SEED={self.seed} ./run test --path tests/chaos/test_chaos.py"
            raise AssertionError(f"{', '.join(self.story)}\nonce more: {again}\n\n{error}") from error

    def _run(self, start: Start, machine: Machine, folder: Path) -> None:
        machine.run("; ".join(self.removed))
        controller = Controller(folder / "home")
        (folder / "tmp").mkdir()
        controller.log_in_as("root", TMPDIR=str(folder / "tmp"))
        with Proxy((machine.address, machine.port)) as line:
            running = controller.manage(machine, through=line, **settings("second")).start(*CONVERGED)
            if self.moment:
                made = start.changes + sum(REMOVED[each] for each in self.removed)
                self.story.append(self.moment.wait(running, machine, made))
            mend = self.fault(Scene(self.random, machine, line, controller, running, self.story.append))
            disturbed = running.done(PATIENCE)
            mend()
        print(", ".join(self.story), disturbed.output, f"exit {disturbed.code}\n", sep="\n")
        assert not MISTAKE.search(disturbed.output)
        self._look_again(start, machine, controller.manage(machine, **settings("second")))
        left = [f"on the controller: {each}" for each in (folder / "tmp").iterdir()]
        assert not left, "\n".join(left)

    def _look_again(self, start: Start, machine: Machine, controller: Controller) -> None:
        undisturbed = self._converge(controller)
        print(undisturbed.output)
        assert undisturbed.code == 0
        again = self._converge(controller)
        assert "nothing to do" in again.output, again.output
        differences = compare.living_differences(start.alive, machine)
        differences += compare.file_differences(start.twin, machine)
        assert not differences, "\n".join(differences)

    @staticmethod
    def _converge(controller: Controller) -> Done:
        """Converge; the lock of a run that was killed goes away by itself, and until then it is in the way."""
        deadline = time.monotonic() + compare.SETTLING
        while (done := controller.run(*CONVERGED, timeout=PATIENCE)).code == LOCKED and time.monotonic() < deadline:
            time.sleep(1)
        return done

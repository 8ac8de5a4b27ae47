"""When something breaks: counted in what a run has done, not in how long that took on a machine with other work too."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from hosts import cgroups
from hosts.controller import Running
from hosts.machine import Machine

LONGEST = 2.0
"""Seconds into a change at which something breaks at the latest; most changes take less."""


def changes(output: str, host: str) -> list[str]:
    """The changes that a run has announced so far, each as `step: what`."""
    return re.findall(rf"^{re.escape(host)} (\w+: .*)\n", output, re.MULTILINE)


@dataclass(frozen=True)
class Moment:
    """So far into one of a run's changes, or into looking, which comes before the first; at its end if that is sooner.

    It is counted in seconds of the host's processor, which are the same under any load, or in seconds of the clock:
    a download with a limited rate and a service that starts mostly wait.
    """

    where: float
    """Which of a run's changes, as a fraction."""
    pause: float
    of_processor: bool

    @classmethod
    def drawn(cls, random: Random) -> Moment:
        """Any change is as likely as another; most of them are short, so a short pause is likelier than a long one."""
        return cls(random.random(), LONGEST * random.random() ** 3, random.random() < 0.5)

    def wait(self, running: Running, machine: Machine, made: int) -> str:
        """Wait for it in a run that makes so many changes, or for that run's end; say when it was."""
        number = int(self.where * (made + 1))

        def is_past(change: int) -> bool:
            return len(changes(running.output, machine.name)) >= change or running.process.poll() is not None

        _until(lambda: is_past(number))
        clock = partial(cgroups.cpu_seconds, machine.name) if self.of_processor else time.monotonic
        due = clock() + self.pause
        _until(lambda: clock() >= due or is_past(number + 1))
        began = changes(running.output, machine.name)[number - 1 : number] if number else ["looking"]
        seconds = f"{self.pause:.3f} s of {'its processor' if self.of_processor else 'time'}"
        return f"{seconds} into change {number} of {made} ({began[0] if began else 'never made'})"


def _until(done: Callable[[], bool]) -> None:
    while not done():
        time.sleep(0.01)

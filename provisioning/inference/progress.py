"""How far inference is, from the lines of its log. Pure."""

from __future__ import annotations

from pydantic_core import from_json

from provisioning.figures import bar, clock
from provisioning.job import JOINED
from provisioning.progress import PROGRESS
from provisioning.readiness import meaning
from provisioning.resources.base import Tell


class Answering:
    """Takes the lines of an inference's log, and tells how many lines have an answer, how fast, and how long still."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def __call__(self, line: str) -> None:
        """Tell what a line means; of vLLM's many those that say where its start is."""
        if line.startswith(PROGRESS):
            stands = from_json(line.removeprefix(PROGRESS))
            done, of, new, seconds = (stands[name] for name in ("done", "of", "new", "seconds"))
            figures = [f"answering {bar(done / max(of, 1))} {done} of {of} lines"]
            if new and seconds:
                figures.append(f"{stands['tokens'] / seconds:.1f} tokens/s")
                figures.append(f"about {clock(seconds * (of - done) / new)} left" if done < of else "")
            self._tell(", ".join(filter(None, figures)))
        elif phase := meaning(line):
            self._tell(f"{phase} …")
        elif line == JOINED:
            self._tell(line)

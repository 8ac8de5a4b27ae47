"""What runs that were cut off at a bad moment left behind, and what no other resource would come across again."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.host import Host
from provisioning.job import JOBS
from provisioning.made import MADE
from provisioning.resources.base import Difference, Resource, Tell

# A job's lock is free once no process of it lives; one that came to its end left its status before.
_DEAD_JOBS = (
    f'for d in {JOBS}/*; do if [ -e "$d/lock" ] && [ ! -e "$d/status" ]; then flock -n "$d/lock" %s "$d" || :; fi; done'
)
_RECORDS = f'for f in {MADE}/*.new; do if [ -e "$f" ]; then %s "$f"; fi; done'


@dataclass(frozen=True)
class Leftovers(Resource):
    """Neither folders of jobs that died, whose scripts may hold secrets, nor records that were never finished.

    Whoever misses a job's result starts it again. But one may die just when its result is there.
    """

    isolated = False

    @property
    def name(self) -> str:
        """`leftovers of interrupted runs`."""
        return "leftovers of interrupted runs"

    def probe(self) -> str:
        """Print their paths."""
        return f"{_DEAD_JOBS % 'echo'}; {_RECORDS % 'echo'}"

    def diff(self, actual: str) -> Difference | None:
        """Name them."""
        paths = " ".join(actual.split())
        return Difference(f"delete what an interrupted run left: {paths}") if paths else None

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Delete them, where they are still dead."""
        host.run(f"{_DEAD_JOBS % 'rm -rf'}; {_RECORDS % 'rm -f'}")

"""Something that a script makes: an environment, an installation, a trained model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provisioning import job
from provisioning.fetching import Fetching
from provisioning.host import Host, quote
from provisioning.resources.base import Difference, Resource, Tell


@dataclass(frozen=True)
class Product(Resource):
    """What a job makes; `state` is the line its look prints once it is made from these inputs."""

    title: str
    """Kind and identity, such as `miniconda /opt/conda`."""
    look: str
    """Read-only shell that prints the state: cheap, such as a stamp written last. It leaves its own shell as it was."""
    state: str
    script: str
    """Root shell that makes it, and is safe to repeat after being cut off anywhere."""
    job_name: str
    describe: Callable[[str], str]
    """Gives the sentence for a plan from the actual state."""
    removes: tuple[str, ...] = ()
    """Paths to remove again, if it was absent before."""
    undo_first: str = ""
    """Root shell to run before that."""
    isolated = False

    @property
    def name(self) -> str:
        """Kind and identity."""
        return self.title

    def probe(self) -> str:
        """Print the state."""
        return self.look

    def diff(self, actual: str) -> Difference | None:
        """Compare the state."""
        return None if actual.strip() == self.state else Difference(self.describe(actual.strip()))

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Run the job, or join it where it runs already."""
        job.run(host, job.Job(self.job_name, self.script, self.state), Fetching(tell))

    def undo(self, actual: str) -> str:
        """Remove what was made, unless something was there before."""
        if actual.strip() or not self.removes:
            return ""
        return f"{self.undo_first}\nrm -rf -- " + " ".join(map(quote, self.removes))

"""A model's files, brought from a server and proven by their hashes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provisioning import job
from provisioning.host import Host, quote
from provisioning.progress import Downloading
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.templates.download_records import OURS, STATE

INTACT = "intact"


@dataclass(frozen=True)
class DownloadedModel(Resource):
    """The files of one model in a folder; what is there is taken from the records in it, without reading weights."""

    model: str
    path: str
    key: str
    """Hash of what is asked for."""
    where: str
    """Where it comes from, in words."""
    script: str
    """Root shell that brings it, and goes on where it was stopped."""
    forecasts: Callable[[], str]
    """Asks how large it is, for a plan."""
    verification: str = ""
    """Identifies a run in which all files are to be hashed again."""

    @property
    def name(self) -> str:
        """`model NAME`."""
        return f"model {self.model}"

    def probe(self) -> str:
        """Print the key of what is there, whether sizes and times are as recorded, and who hashed it last."""
        ours, path = quote(f"{self.path}/{OURS}"), quote(self.path)
        return (
            f"""key=$(sed -n '2s/^ "key": "\\(.*\\)",$/\\1/p' {ours}/manifest.json 2>/dev/null)\n"""
            f"now=$(cd {path} 2>/dev/null && {{ {STATE}; }} 2>/dev/null); known=$(cat {ours}/state 2>/dev/null)\n"
            f'printf \'%s\\n\' "$key" "$([ -n "$known" ] && [ "$now" = "$known" ] && echo {INTACT})" '
            f'"$(cat {ours}/verified 2>/dev/null)" "$([ -e {path} ] && echo there)"'
        )

    def diff(self, actual: str) -> Difference | None:
        """Compare the key, and see whether the files are as they were."""
        key, intact, verified, _ = rows(actual)
        into = f"{self.path}, from {self.where}"
        if key != self.key:
            return Difference(f"download {into}" if not key else f"download what has changed into {into}")
        if not intact:
            return Difference(f"files are missing or changed: download them again into {into}")
        if self.verification and verified != self.verification:
            return Difference(f"hash all files of {self.path}, and download again what is wrong")
        return None

    def forecast(self) -> str:
        """How much there is to download."""
        return self.forecasts()

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Run the download, or join it where it runs already."""
        job.run(host, job.Job(f"model-{self.model}", self.script, self.key), Downloading(tell))

    def undo(self, actual: str) -> str:
        """Delete it, unless the folder was there before."""
        return "" if rows(actual)[3] else f"rm -rf -- {quote(self.path)}"


def rows(actual: str) -> tuple[str, bool, str, bool]:
    """The key, whether the files are as recorded, who hashed them last, and whether the folder is there."""
    key, intact, verified, there, *_ = [*actual.split("\n"), "", "", "", ""]
    return key, intact == INTACT, verified, there == "there"

"""The host that a model is copied to: a private folder there, and the job that copies."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from provisioning import job
from provisioning.copies.place import Place
from provisioning.errors import CommandError, JobError
from provisioning.host import quote
from provisioning.places import STATE
from provisioning.progress import Downloading
from provisioning.resources.base import Tell
from provisioning.site import LIBRARY, TOOLS
from provisioning.templates.download_exit import INCOMPLETE, LOST


def private_folder(model: str) -> str:
    """Where on the taker the way to the source is written down."""
    return f"{STATE}/copies/{model}"


class Taker:
    """A place that takes the model that a manifest describes."""

    def __init__(self, place: Place, model: str, manifest: str, script: str) -> None:
        """`script` is root shell that runs download_model.py with the method `copy`."""
        self.place, self.model = place, model
        self.folder = private_folder(model)
        self._manifest = manifest
        self._job = job.Job(f"model-{model}", script, _identity(manifest))

    def __enter__(self) -> Taker:
        """Make the private folder. It may be there, and in use: by the job of a killed run, which is joined."""
        account, folder = quote(self.place.account), quote(self.folder)
        parent = f"mkdir -p {STATE}/copies; chmod 711 {STATE}/copies"
        self.place.host.run(f'set -e; {parent}; install -d -m 700 -o {account} -g "$(id -gn {account})" {folder}')
        self.write({"manifest.json": self._manifest})
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the folder, unless a job goes on that needs it: that one deletes its secrets when it ends."""
        lock, folder = quote(f"{self._job.folder}/lock"), quote(self.folder)
        look = f"[ ! -e {lock} ] || flock -n {lock} true || exit 0"
        self.place.host.run(f"{look}; rm -rf -- {folder}; rmdir --ignore-fail-on-non-empty {STATE}/copies")

    def write(self, files: Mapping[str, str]) -> None:
        """Write files that the account alone can read."""
        lines = ["set -e; umask 077", f"cd {quote(self.folder)}"]
        for name, content in files.items():
            encoded = base64.b64encode(content.encode(errors="surrogateescape")).decode()
            lines += [f"base64 -d >{name}.new <<'END'", encoded, "END", f"mv {name}.new {name}"]
        self.place.run("\n".join(lines))

    def sees_the_source(self) -> bool:
        """Whether the source answers, along the way that was written down."""
        look = f"exec {TOOLS}/bin/python -E -s -X utf8 {LIBRARY}/download_copy.py {quote(self.folder)}"
        return self.place.run(look, check=False).exit_code == 0

    def copy(self, tell: Tell) -> None:
        """Let the job run, or join it. Raises `JobError`."""
        job.run(self.place.host, self._job, Downloading(tell))

    def missing(self, tell: Tell) -> list[str]:
        """Prove and record what was brought; give what is missing. Raises `CommandError`."""
        self.write({"way.json": json.dumps({"brought": True})})
        try:
            self.copy(tell)
        except JobError as error:
            if error.status != str(INCOMPLETE):
                raise
            return self.place.run(f"cat {quote(self.folder)}/missing").stdout.split("\0")[:-1]
        return []


def lost_source(error: CommandError) -> bool:
    """Whether a job failed because its source does not answer."""
    return isinstance(error, JobError) and error.status == str(LOST)


def _identity(manifest: str) -> str:
    """What is to be brought; when the source wrote its files makes no difference."""
    about = json.loads(manifest)
    hashes = {name: each["sha256"] for name, each in about["files"].items()}
    return json.dumps({"key": about["key"], "hashes": hashes}, sort_keys=True)

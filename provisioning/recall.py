"""A command typed again: hosts are asked what they were asked the last time, when nothing was to do.

What a command does follows from what it reads (this program, the inventory, the environment) and from what the hosts
answer. Where all of that is what it was, so is the result, and neither settings nor steps need be made again: to import
what makes them takes longer than the hosts do. Anything else, and the command goes its whole way.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from provisioning import ahead, becoming, reads
from provisioning.data_folder import data_folder
from provisioning.errors import ExitCode, ProvisioningError
from provisioning.facts import Asked
from provisioning.host import Host, network_environment
from provisioning.masking import masked
from provisioning.outcome import Outcome
from provisioning.parallel import HOSTS, first_failure
from provisioning.profile import PROFILE
from provisioning.transport.base import Transport
from provisioning.transport.local import LocalTransport

if TYPE_CHECKING:
    from invoke.context import Context

    from provisioning.inventory import HostEntry

FOLDER = "nothing-to-do"
PATIENCE = 3.0
"""Seconds without an answer of any host, after which the whole way is gone: it knows how to wait."""
_OF_THE_TERMINAL = {"_", "COLUMNS", "LINES", "OLDPWD", "SHLVL", "TERM", "WINDOWID"}
"""Variables that decide nothing, and differ from one terminal to the next."""


def converge(ctx: Context, task: str, path: str, hosts: str, **options: Any) -> ExitCode:
    """Do as `commands.converge` does: by the short way, where it leads to the same end."""
    memory = Memory(task, path, hosts, options)
    # What is to be done once more is no question of what hosts answer.
    anew = ctx.config.run.dry or options.get("verify") or options.get("retry_failed")
    if not anew and memory.is_as_it_was():
        return ExitCode.OK
    memory.begin()
    from provisioning import commands

    return commands.converge(ctx, task, path, hosts, **options, remember=memory.end)


class Memory:
    """What is remembered of one command."""

    def __init__(self, *command: Any) -> None:
        variables = {name: value for name, value in os.environ.items() if name not in _OF_THE_TERMINAL}
        told = repr([os.getcwd(), os.geteuid(), command, sorted(variables.items())])
        name = hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:32]
        self._file = data_folder(FOLDER) / f"{name}.json"
        self._reads: reads.Reads | None = None

    def is_as_it_was(self) -> bool:
        """Whether all that is read is as it was, and every host answers as it did; says so, if it is."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            found: Any = json.loads(self._file.read_text("utf-8"))
            if reads.digest(found["paths"]) == found["read"]:
                PROFILE.mark("hosts")
                if _reached(found["hosts"]) and not first_failure(_answers_as_it_did, found["hosts"], PATIENCE):
                    _say([host["name"] for host in found["hosts"]], found["lines"])
                    return True
        return False

    def begin(self) -> None:
        """Forget the last time, and take note of what is read from now on."""
        with suppress(OSError):
            self._file.unlink()
        self._reads = reads.Reads()

    def end(self, entries: Sequence[HostEntry], outcomes: Sequence[Outcome], lines: Sequence[str]) -> None:
        """Remember a run that found nothing to do, and said these lines in the end."""
        looked = {outcome.host: outcome.looked for outcome in outcomes if outcome.status == "ok"}
        hosts = [_told(entry, looked.get(entry.name)) for entry in entries]
        text = json.dumps(hosts)
        # A script may hold the password of a mirror: it is not written down a second time.
        if self._reads is None or not all(hosts) or masked(text) != text:
            return
        own = (str(data_folder(FOLDER)), str(data_folder("facts")))
        paths = [path for path in self._reads.paths() if not path.startswith(own)]
        record = {"paths": paths, "read": reads.digest(paths), "hosts": hosts, "lines": list(lines)}
        write_private(self._file, json.dumps(record))

"""Which services can be asked, and the hosts that they are on."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from provisioning import fleet
from provisioning.errors import ConfigurationError
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.serve_settings import ResolvedService
from provisioning.spelling import did_you_mean

STDIN = "-"


@dataclass(frozen=True)
class Askable:
    """A service of a host."""

    entry: HostEntry
    service: ResolvedService

    @property
    def name(self) -> str:
        """`HOST/SERVICE`."""
        return f"{self.entry.name}/{self.service.name}"


def askable(entries: Sequence[HostEntry], service: str = "") -> list[Askable]:
    """Give all services of hosts, or those of one name. Raises `ConfigurationError` where there is none."""
    everything = [Askable(entry, each) for entry in entries for each in entry.settings.resolved_services().values()]
    found = [each for each in everything if service in ("", each.service.name)]
    if not found:
        known = sorted({each.service.name for each in everything})
        raise ConfigurationError(
            f"no chosen host has the service {service!r}" if service else "no chosen host has a service",
            cause=did_you_mean(service, known) if known else "The inventory defines none.",
        )
    return found


def question(given: str, example: str) -> str:
    """The question, from standard input if need be. Raises `ConfigurationError`, with an example, for none."""
    is_given = given not in ("", STDIN)
    if not is_given and sys.stdin.isatty():
        print("Type the question; Ctrl-D on a line of its own ends it.", file=sys.stderr)
    # An argument may hold bytes that are no text here, such as one that was typed in another encoding.
    said = os.fsencode(given) if is_given else sys.stdin.buffer.read().strip()
    found = said.decode(errors="replace")
    if not found:
        raise ConfigurationError("there is no question", remedy=f"For instance: {example}")
    return found


class OpenHosts:
    """The hosts that are asked: each is connected to once, when it is first needed, and let go at the end.

    `patient`: see `fleet.open_host`.
    """

    def __init__(self, *, patient: bool = True) -> None:
        self._patient = patient
        self._hosts: dict[str, Host] = {}

    def __enter__(self) -> OpenHosts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for host in self._hosts.values():
            host.close()

    def of(self, asked: Askable) -> Host:
        """Give the host that a service is on."""
        if asked.entry.name not in self._hosts:
            self._hosts[asked.entry.name] = fleet.open_host(asked.entry, patient=self._patient)
        return self._hosts[asked.entry.name]

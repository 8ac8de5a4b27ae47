"""The task `logs`: services' logs, of several hosts together, each line with where it is from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from provisioning import converge, fleet, log_entries
from provisioning.commands import load
from provisioning.errors import ExitCode
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.outcome import Outcome
from provisioning.report import Report
from provisioning.screen import console
from provisioning.services import Kept, named

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")


class Printer:
    """Prints whole lines from many threads, each with its host where there are several, and its service if needed."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._screen = console()
        self._lock = threading.Lock()
        self._colours = {host: COLOURS[index % len(COLOURS)] for index, host in enumerate(hosts)}

    def print(self, host: str, service: str, line: str) -> None:
        """Print a line; `service` is "" where the host has no other."""
        names = [host] * (len(self._colours) > 1) + [service] * bool(service)
        prefix = f"{' '.join(names)} | " if names else ""
        with self._lock:
            self._screen.print(Text.assemble((prefix, self._colours[host]), line))


@dataclass
class Reader:
    """Takes what `Service.entries` prints, as it comes, and knows where it stands."""

    print: Callable[[str], None]
    cursor: str = ""
    _pending: bytes = field(default=b"", repr=False)

    def begin(self) -> None:
        """Forget half a line: it will come again."""
        self._pending = b""

    def take(self, chunk: bytes) -> None:
        """Take some output."""
        *complete, self._pending = (self._pending + chunk.replace(b"\0", b"")).split(b"\n")
        for line in complete:
            if entry := log_entries.parse(line):
                for row in entry.lines:
                    self.print(row)
                self.cursor = entry.cursor


def readers(host: str, services: Sequence[Kept], printer: Printer) -> list[Reader]:
    """Give a reader for each service of a host."""

    def reader(service: str) -> Reader:
        return Reader(lambda line: printer.print(host, service, line))

    return [reader(each.service if len(services) > 1 else "") for each in services]


def logs(path: str, hosts: str, service: str, *, follow: bool, lines: int) -> ExitCode:
    """Print the last lines of services' logs, and go on if told."""
    entries = load(path, hosts)
    printer = Printer([entry.name for entry in entries])
    if follow:
        from provisioning.logs_follow import follow_all

        return follow_all(entries, service, lines, printer)

    report = Report(stderr=True)

    def work(host: Host, entry: HostEntry, outcome: Outcome) -> Outcome:
        services = named(converge.survey(host, entry), service)
        for each, reader in zip(services, readers(host.name, services, printer), strict=True):
            host.run(each.entries(lines), on_output=reader.take)
            if not reader.cursor:
                report.line(host.name, f"{each.service} has logged nothing yet", "yellow")
        return outcome

    outcomes = fleet.outcomes(entries, work)
    report.failures(outcomes)
    return fleet.exit_code(outcomes)

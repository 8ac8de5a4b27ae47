"""The task `logs`: services' logs, of several hosts together, each line with where it is from."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

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

Show = Callable[[str, str, str], None]
"""Takes a host, a service ("" where the host has no other), and a line."""
COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")


_STEERING = re.compile(r"\x1b(?!\[[0-9:;]*m)(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|\[[0-?]*[ -/]*[@-~]?|[ -/]*[0-~])?")
"""Escape sequences (ECMA-48) but colours: titles, links, and what moves the cursor or clears the screen."""
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tabs and what begins a colour, and what turns a line around."""


def readable(line: str) -> Text:
    """A line of a program, with its colours, and without what would do more to a terminal: users' words are logged."""
    if line.isprintable():
        return Text(line)
    return Text.from_ansi(_UNSEEN.sub("�", _STEERING.sub("", line)))


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
            try:
                self._screen.print(Text.assemble((prefix, self._colours[host]), readable(line)))
            except BrokenPipeError:  # its reader has left (`… | head`), and an exception would end this thread alone
                os._exit(ExitCode.OK)


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


def readers(host: str, services: Sequence[Kept], show: Show) -> list[Reader]:
    """Give a reader for each service of a host."""

    def reader(service: str) -> Reader:
        return Reader(lambda line: show(host, service, line))

    return [reader(each.service if len(services) > 1 else "") for each in services]


def logs(path: str, hosts: str, service: str, *, follow: bool, lines: int) -> ExitCode:
    """Print the last lines of services' logs, and go on if told."""
    entries = load(path, hosts)
    printer = Printer([entry.name for entry in entries])
    if follow:
        from provisioning.logs_follow import follow_all

        return follow_all(entries, service, lines, printer)

    report = Report(stderr=True)
    said = {entry.name: list[tuple[str, str, str]]() for entry in entries}

    def work(host: Host, entry: HostEntry, outcome: Outcome) -> Outcome:
        services = named(converge.survey(host, entry), service)
        show = printer.print if len(entries) == 1 else lambda *row: said[host.name].append(row)
        for each, reader in zip(services, readers(host.name, services, show), strict=True):
            host.run(each.entries(lines), on_output=reader.take)
            if not reader.cursor:
                report.line(host.name, f"{each.service} has logged nothing yet", "yellow")
        return outcome

    outcomes = fleet.outcomes(entries, work)
    for row in chain(*said.values()):  # host after host, in their order
        printer.print(*row)
    report.failures(outcomes)
    return fleet.exit_code(outcomes)

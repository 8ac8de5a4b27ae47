"""`logs --follow`: what services of many hosts say, as it comes, until Ctrl-C; a host that was away is gone on with."""

from __future__ import annotations

import select
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from provisioning import converge, fleet
from provisioning.beating import BEATING
from provisioning.errors import CommandError, ExitCode, ProvisioningError, UnreachableError
from provisioning.inventory import HostEntry
from provisioning.logs import Printer, Reader, readers
from provisioning.outcome import Outcome
from provisioning.pulse import growing_waits
from provisioning.report import Report
from provisioning.services import Kept, named

T = TypeVar("T")

SILENCE = 30
"""Seconds without a sign of life, of which there is one every five, after which a connection is lost."""


class Followed:
    """One host, followed from a thread of its own, and one for each service."""

    def __init__(self, entry: HostEntry, service: str, lines: int, printer: Printer) -> None:
        self.outcome = Outcome(entry.name)
        self._entry, self._service, self._lines, self._printer = entry, service, lines, printer
        self._host = fleet.open_host(entry, patient=False)
        self._report = Report(stderr=True)
        self._lock = threading.Lock()
        self._is_away = False

    def run(self) -> None:
        """Follow all its services, for as long as they can be."""
        services = self._insist(self._find)
        if not services:
            return
        work = [
            partial(self._insist, partial(self._follow, service, reader))
            for service, reader in zip(services, readers(self._host.name, services, self._printer.print), strict=True)
        ]
        run_all(work)

    def _insist(self, work: Callable[[], T]) -> T | None:
        """Do something on the host; where it is away, again after waits that grow. None where that cannot help."""
        waits = growing_waits()
        while True:
            try:
                return work()
            except UnreachableError as error:
                if not self._is_away:
                    waits = growing_waits()
                self._say_away(error)
                if not error.retryable:
                    return None
            except ProvisioningError as error:
                self._fail("failed", error)
                return None
            time.sleep(next(waits))

    def _find(self) -> list[Kept]:
        return named(converge.survey(self._host, self._entry), self._service)

    def _follow(self, service: Kept, reader: Reader) -> None:
        def take(chunk: bytes) -> None:
            self._say_there()
            reader.take(chunk)

        reader.begin()
        # A reader of logs ends when nobody reads it any more, and the signs of life end with it.
        script = f"{BEATING}\n{service.entries(self._lines, follow=True, after=reader.cursor)}"
        done = self._host.run(script, timeout=SILENCE, on_output=take, check=False)
        raise CommandError(f"{self._host.name}: the log of {service.service} cannot be followed", cause=done.words)

    def _say_away(self, error: UnreachableError) -> None:
        with self._lock:
            if self._is_away:
                return
            self._is_away = True
            if error.retryable:
                self._report.line(self._host.name, f"is away, and is tried again: {_short(error)}", "yellow")
            else:
                self._fail("unreachable", error)

    def _say_there(self) -> None:
        with self._lock:
            if self._is_away:
                self._is_away = False
                self._report.line(self._host.name, "is back", "green")

    def _fail(self, status: str, error: ProvisioningError) -> None:
        self.outcome.status, self.outcome.error = status, error
        self._report.error(error, self._host.name)


def follow_all(entries: Sequence[HostEntry], service: str, lines: int, printer: Printer) -> ExitCode:
    """Follow services of many hosts until Ctrl-C, which is a good end, or until none can be followed."""
    followed = [Followed(entry, service, lines, printer) for entry in entries]
    try:
        run_all([each.run for each in followed], require_reader())
    except KeyboardInterrupt:
        return ExitCode.OK
    return fleet.exit_code([each.outcome for each in followed])


def require_reader() -> Callable[[], None]:
    """Give what raises `BrokenPipeError` once nobody reads what is printed, as `tail -f` ends then."""
    reader = select.poll()
    reader.register(sys.stdout, 0)

    def require() -> None:
        if reader.poll(0):
            raise BrokenPipeError

    return require


def run_all(work: Sequence[Callable[[], object]], meanwhile: Callable[[], None] = lambda: None) -> None:
    """Run each in a thread that nobody waits for at the program's end, and wait for all of them.

    `meanwhile` is called now and then.
    """
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            meanwhile()
            thread.join(0.5)


def _short(error: ProvisioningError) -> str:
    return ": ".join(part for part in (error.message.partition(": ")[2] or error.message, error.cause) if part)

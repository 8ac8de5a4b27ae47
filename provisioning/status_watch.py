"""`status --watch`: the same again and again, over connections that stay open, until Ctrl-C."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from provisioning import fleet, status
from provisioning.errors import ExitCode, ProvisioningError, UnreachableError
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.outcome import Outcome
from provisioning.pulse import growing_waits
from provisioning.screen import console, is_live, print_table
from provisioning.status import Fared
from provisioning.status_table import table

LOOK_EVERY = 60
"""Seconds between two looks at what differs from the inventory. Services are looked at each time."""


FIRST = 15
"""Seconds that the first block waits at most for hosts that are yet to answer."""


class Watched:
    """One host, looked at from a thread of its own."""

    def __init__(self, entry: HostEntry, every: float) -> None:
        self._entry = entry
        self._every = every
        self._fared = Fared(Outcome(entry.name, status="connecting"))
        self._at = time.monotonic()

    def run(self) -> None:
        """Look again and again. A host that is away is tried again after waits that grow.

        One that refuses the key, or shows another host key, is not: that would only lock an account.
        """
        waits = growing_waits()
        while True:
            host = fleet.open_host(self._entry, patient=False)
            try:
                for fared in _looks(host, self._entry, self._every):
                    self._saw(fared)
                    waits = growing_waits()
            except UnreachableError as error:
                self._saw(Fared(Outcome(host.name, status="unreachable", error=error)))
                if not error.retryable:
                    return
            except Exception as error:  # a mistake of ours on one host stops no other, and is shown
                mistake = ProvisioningError(f"{error!r}", cause=traceback.format_exc(limit=-5))
                self._saw(Fared(Outcome(host.name, status="failed", error=mistake)))
            finally:
                host.close()
            time.sleep(next(waits))

    def _saw(self, fared: Fared) -> None:
        self._fared, self._at = fared, time.monotonic()

    def now(self) -> Fared:
        """How the host stands; one that has not answered for a while is said to be so."""
        silent = time.monotonic() - self._at
        if self._fared.outcome.status not in ("ok", "changed") or silent < max(3 * self._every, 15):
            return self._fared
        said = ProvisioningError(f"no answer for {silent:.0f} s")
        return Fared(Outcome(self._entry.name, status="silent", error=said), self._fared.services)


def _looks(host: Host, entry: HostEntry, every: float) -> Iterator[Fared]:
    """Look at a host for ever: at its services each time, at what differs now and then."""
    while True:
        fared, began = Fared(Outcome(entry.name)), time.monotonic()
        try:
            status.look(host, entry, fared)
        except UnreachableError:
            raise
        except ProvisioningError as error:
            fared.outcome.status, fared.outcome.error = "failed", error
        yield fared
        site = fared.outcome.site
        while time.monotonic() - began < LOOK_EVERY:
            time.sleep(every)
            if site:
                yield Fared(fared.outcome, status.look_at_services(host, site))


def watch(entries: Sequence[HostEntry], every: int, *, as_json: bool) -> ExitCode:
    """Show how hosts fare until Ctrl-C: live on a terminal, else a block (with --json a line) every so many seconds."""
    hosts = [Watched(entry, every) for entry in entries]
    for host in hosts:
        threading.Thread(target=host.run, daemon=True).start()
    screen = console()
    with suppress(KeyboardInterrupt):
        if as_json or not is_live(screen):
            _print_again_and_again(hosts, every, screen, as_json=as_json)
        else:
            _show_live(hosts, every, screen)
    return ExitCode.OK


def _print_again_and_again(hosts: Sequence[Watched], every: float, screen: Console, *, as_json: bool) -> None:
    began = time.monotonic()
    while any(host.now().outcome.status == "connecting" for host in hosts) and time.monotonic() - began < FIRST:
        time.sleep(0.1)
    while True:
        fared = [host.now() for host in hosts]
        at = datetime.now().astimezone().isoformat(timespec="seconds")
        if as_json:
            print(json.dumps({"at": at, **status.as_objects(fared)}, ensure_ascii=False), flush=True)
        else:
            screen.print(at)
            print_table(screen, table(fared))
            screen.print()
        time.sleep(every)


def _show_live(hosts: Sequence[Watched], every: float, screen: Console) -> None:
    def render() -> RenderableType:
        fared, room = [host.now() for host in hosts], screen.height - 3
        heading = f"{datetime.now():%H:%M:%S}  {summary(fared)}  (every {every:.0f} s; Ctrl-C ends)"
        shown, left = most_important(fared, room)
        end = [Text(f"… and {left} more host{'s' if left != 1 else ''}", style="dim")] if left else []
        return Group(Text(heading, style="bold", no_wrap=True), table(shown, screen.width), *end)

    try:
        with Live(console=screen, screen=True, refresh_per_second=1, get_renderable=render):
            while True:
                time.sleep(3600)
    finally:
        # The other screen is gone with all that was on it: the last of it stays to be read.
        print_table(screen, table([host.now() for host in hosts], screen.width))


def summary(fared: Sequence[Fared]) -> str:
    """How many hosts there are, and what their services are doing: `2 hosts: 2 ready, 1 stopped`."""
    states = Counter(state for each in fared for state in _states(each))
    counts = ", ".join(f"{count} {state}" for state, count in states.most_common())
    return f"{len(fared)} host{'s' if len(fared) != 1 else ''}{': ' if counts else ''}{counts}"


def _states(fared: Fared) -> list[str]:
    if fared.outcome.status not in ("ok", "changed"):
        return [fared.outcome.status]
    return [service.phase for service in fared.services]


def most_important(fared: Sequence[Fared], room: int) -> tuple[list[Fared], int]:
    """Give the hosts for so many rows, and how many are left out; where not all fit, those in trouble come first."""
    if sum(max(1, len(each.services)) for each in fared) <= room:
        return list(fared), 0
    shown: list[Fared] = []
    for each in sorted(fared, key=lambda each: each.is_well):
        room -= max(1, len(each.services))
        if room < 1:  # the last row says how many are left out
            break
        shown.append(each)
    return shown, len(fared) - len(shown)

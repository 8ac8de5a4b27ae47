"""What the hosts of one run know of one another while vLLM is compiled: who does it for whom, and who has finished."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from provisioning.errors import ConfigurationError
from provisioning.inventory import HostEntry
from provisioning.spelling import did_you_mean


class Builders:
    """The hosts that compile in this run."""

    def __init__(self) -> None:
        self.compiling: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        """For each key, the lock of the host that compiles it."""
        self.failed: dict[str, str] = {}
        """For each key, the host on which it could not be compiled."""
        self.finished: dict[str, threading.Event] = {}

    def expect(self, builders: Mapping[str, str]) -> None:
        """Begin a run with these hosts, each with its `build.on`.

        Raises `ConfigurationError` where a builder has a builder.
        """
        for host, builder in builders.items():
            if builder != host and builders.get(builder, "auto") not in ("auto", builder):
                raise ConfigurationError(
                    f"{host}: build.on is {builder}, and {builder}'s own is {builders[builder]}",
                    remedy=f"Leave build.on out for {builder}: it compiles for the others.",
                )
        self.compiling.clear()
        self.failed.clear()
        self.finished = {host: threading.Event() for host in builders}

    def finish(self, host: str) -> None:
        """Let go who waits for this host."""
        self.finished[host].set()

    def wait_for(self, host: str) -> None:
        """Wait until a host of this run has finished; no host of another run is waited for."""
        if event := self.finished.get(host):
            event.wait()


def unknown(entries: Sequence[HostEntry], known: Collection[str]) -> list[str]:
    """A line for each `build.on` that names no host of the inventory."""
    named = ((entry, entry.settings.build.on) for entry in entries)
    return [
        entry.describe(("build", "on"), f'no host is called "{on}". {did_you_mean(on, known)}')
        for entry, on in named
        if on != "auto" and on not in known
    ]


BUILDERS = Builders()

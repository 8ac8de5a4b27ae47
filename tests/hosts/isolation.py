"""A network of a machine's own, which ends at this machine: no route leads further, and there is no name server."""

from __future__ import annotations

import subprocess
from pathlib import Path

NAMESPACES = Path("/run/netns")
PREFIX = "198.18"
"""Of the addresses that RFC 2544 sets aside for tests of networks: nothing out there has them."""


class Island:
    """A network namespace with one wire, to this machine."""

    port = 22

    def __init__(self, name: str, number: int) -> None:
        """Lay it out; `number` is that of the machine, so that no two have the same addresses."""
        self.name, self.namespace = name, NAMESPACES / name
        self.ip, here, wire = f"{PREFIX}.{number}.2", f"{PREFIX}.{number}.1", f"vp{number}"
        end(name)
        _ip("netns", "add", name)
        try:
            _ip("link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("address", "add", f"{here}/30", "dev", wire)
            _ip("link", "set", wire, "up")
            _ip("-n", name, "address", "add", f"{self.ip}/30", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", name, "link", "set", device, "up")
        except BaseException:
            end(name)
            raise

    @property
    def refused(self) -> int:
        """How many packets went nowhere so far, for want of a route: what tries to reach the world counts here."""
        text = subprocess.run(
            ["ip", "netns", "exec", self.name, "cat", "/proc/net/snmp"], capture_output=True, text=True, check=True
        ).stdout
        names, values = (line.split() for line in text.splitlines() if line.startswith("Ip:"))
        return int(values[names.index("OutNoRoutes")])


def end(name: str) -> None:
    """Delete the namespace of this name, and its wire, if there is one."""
    if (NAMESPACES / name).exists():
        _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")

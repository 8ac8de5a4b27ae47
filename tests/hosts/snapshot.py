"""What there is on a machine: packages, all of /etc, and every file's place; to compare before and after."""

from __future__ import annotations

from dataclasses import dataclass

from .machine import Machine

VOLATILE = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/cache", "/var/log", "/var/lib/apt", "/var/lib/dpkg"),
    *("/var/lib/systemd", "/var/lib/private", "/var/lib/dbus", "/var/lib/sudo", "/etc/ld.so.cache", "/etc/.pwd.lock"),
    *("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-"),
    "/var/backups",
    *("/etc/machine-id", "/etc/hostname", "/etc/hosts", "/etc/ssh"),
)
"""What changes by itself, what every use of apt leaves (caches, logs, lists), a copy of its lists that is made at
midnight, and what is each machine's own."""


@dataclass(frozen=True)
class Snapshot:
    """What there was."""

    packages: frozenset[str]
    """Names and states, such as `gcc-12 ii`."""
    files: frozenset[str]
    """Path, type, mode, owner, and where a link points."""
    etc: frozenset[str]
    """Hash and path of every file below /etc."""


def snapshot(machine: Machine) -> Snapshot:
    """Look at all of a machine."""
    prune = " -o ".join(f"-path {path}" for path in VOLATILE)
    without = f"\\( {prune} -o -name __pycache__ \\) -prune -o"
    return Snapshot(
        _lines(machine, "dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n'"),
        _lines(machine, f"find / -xdev {without} -printf '%p %y %m %u %l\\n'"),
        _lines(machine, f"find /etc -xdev {without} -type f -exec sha256sum {{}} +"),
    )


def _lines(machine: Machine, command: str) -> frozenset[str]:
    return frozenset(machine.run(command).stdout.splitlines())

"""An apt archive of one package that takes as long to configure as a test wants; apt asks nobody else."""

from __future__ import annotations

import time

from .machine import Machine

NAME = "slowpoke"
LOG = f"/srv/{NAME}.log"
GO = f"/srv/{NAME}.go"

# Counts its runs, and waits until it may end. The bound is for a test that has failed.
POSTINST = f"""#!/bin/sh
echo configured >>{LOG}
i=0
while [ ! -e {GO} ] && [ $i -lt 3000 ]; do sleep 0.1; i=$((i + 1)); done
exit 0
"""

MAKE = f"""
set -eu
mkdir -p /srv/archive /srv/build/DEBIAN /srv/build/usr/share/{NAME}
cat >/srv/build/DEBIAN/postinst
chmod 755 /srv/build/DEBIAN/postinst
printf 'Package: {NAME}\\nVersion: 1\\nArchitecture: all\\nMaintainer: tests\\nDescription: takes its time\\n' \\
    >/srv/build/DEBIAN/control
echo content >/srv/build/usr/share/{NAME}/file
dpkg-deb --build /srv/build /srv/archive/{NAME}.deb >/dev/null
cd /srv/archive
{{
    dpkg-deb -f {NAME}.deb
    echo Filename: ./{NAME}.deb
    echo Size: $(stat -c %s {NAME}.deb)
    echo SHA256: $(sha256sum <{NAME}.deb | cut -d' ' -f1)
}} >Packages
rm -rf /srv/build /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/archive ./' >/etc/apt/sources.list
"""


def give_archive(machine: Machine, *, slow: bool = True) -> None:
    """Let apt know the package `slowpoke`, and nothing that is not installed already."""
    machine.run(MAKE, input=POSTINST)
    if not slow:
        let_go(machine)


def let_go(machine: Machine) -> None:
    """Let the package's configuration end."""
    machine.run(f"touch {GO}")


def runs(machine: Machine) -> int:
    """How often the package's configuration has begun."""
    return machine.run(f"cat {LOG} 2>/dev/null || :").stdout.count("configured")


def wait_for_run(machine: Machine, count: int = 1, timeout: float = 120) -> None:
    """Wait until the configuration has begun."""
    deadline = time.monotonic() + timeout
    while runs(machine) < count:
        assert time.monotonic() < deadline, f"{NAME} is not being configured"
        time.sleep(0.1)

"""The systemd-nspawn process of a machine: how it is started, and which process is PID 1 in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

INIT = "/usr/local/lib/test-machine/init"
"""What becomes systemd in a machine."""

LAUNCH = """\
mkdir -p /run/systemd/nspawn && mount -t tmpfs tmpfs /run/systemd/nspawn || exit
while sh -c "$0" "$@"; [ $? = 133 ]; do :; done
"""
"""Boots again when the machine reboots, and hides a folder that systemd-nspawn will not clear if it is on a disk."""

JOIN = """\
while [ "$1" != -- ]; do
    for c in $(cat "$1/cgroup.subtree_control" 2>/dev/null); do echo "-$c" >"$1/cgroup.subtree_control"; done
    echo $$ >"$1/cgroup.procs" || exit
    shift
done
shift; exec "$@"
"""
"""Joins the machine's control groups, then becomes systemd-nspawn."""

OWN_MOUNTS = ["unshare", "--mount", "--propagation=slave"]
INSIDE = ["HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]


def launch(
    name: str,
    root: Path,
    binds: Mapping[str, str],
    groups: Iterable[Path],
    console: IO[bytes],
    network: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Boot a root, in this network namespace or in ours; the process that comes back ends when the machine is off."""
    command = ["systemd-nspawn", "--quiet", "--settings=no", "-D", str(root), f"--machine={name}"]
    command += ["--register=no", "--keep-unit", "--timezone=off", "--link-journal=no"]
    command += ["--console=pipe", "--kill-signal=SIGRTMIN+3"]
    own = [f"--network-namespace-path={network}", "--resolv-conf=off"]
    command += own if network else ["--resolv-conf=copy-host"]
    for here, there in binds.items():
        command.append(f"--bind{'' if there.endswith(':rw') else '-ro'}={here}:{there.removesuffix(':rw')}")
    folders = [str(folder) for folder in groups]
    return subprocess.Popen(
        [*OWN_MOUNTS, "sh", "-c", LAUNCH, JOIN, "sh", *folders, "--", *command, "/bin/sh", INIT],
        env={**os.environ, "SYSTEMD_NSPAWN_TMPFS_TMP": "0"},
        stdin=subprocess.DEVNULL,
        stdout=console,
        stderr=console,
        start_new_session=True,
    )


def enter(leader: int) -> list[str]:
    """The command line that runs what follows it inside the machine with this PID 1."""
    namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wdns=/"]
    return ["nsenter", f"--target={leader}", *namespaces, "--", "env", "-i", *INSIDE]


def leader(process: subprocess.Popen[bytes] | None) -> int | None:
    """The process here that is PID 1 there, if the machine is on."""
    if process is None or process.poll() is not None:
        return None
    inner = (child for nspawn in _children(process.pid) for child in _children(nspawn))
    return next((child for child in inner if _is_first(child)), None)


def _children(process: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def _is_first(process: int) -> bool:
    """Whether it is PID 1 of a namespace directly below ours."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return False
    return any(line.split() == ["NSpid:", str(process), "1"] for line in lines)

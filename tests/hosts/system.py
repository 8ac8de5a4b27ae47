"""What the harness needs of the machine that it runs on: packages, folders, locks, mounts and addresses."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import randrange

import pytest

NAME = "vllm-provisioning-tests"
RUNTIME = Path("/var/tmp") / NAME
"""Machines and address locks of all test runs on this computer; one place, so that they can see one another."""

COMMANDS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-container": "systemd-nspawn",
    "openssh-client": "ssh-keygen",
    "e2fsprogs": "mkfs.ext4",
}
"""The Debian package that brings each command which the harness runs."""


def cache_folder() -> Path:
    """Where pristine roots and downloaded Debian packages are kept between test runs."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / NAME
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def require_root() -> None:
    """Skip the test, saying why, where machines cannot be booted."""
    if os.geteuid() != 0:
        pytest.skip("booting test machines needs root (systemd-nspawn, overlay mounts)")


def require_system_packages(*names: str) -> None:
    """Install Debian packages that are missing here; skip the test where that needs rights we lack."""
    missing = [name for name in names if not shutil.which(COMMANDS.get(name, name)) and not is_installed(name)]
    if not missing:
        return
    if os.geteuid() != 0:
        pytest.skip(f"missing system packages, and only root may install them: {' '.join(missing)}")
    if not shutil.which("apt-get"):
        pytest.skip(f"missing system packages, and there is no apt-get here: {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with locked(RUNTIME / "apt.lock"):
        for _ in range(20):
            updated = subprocess.run(["apt-get", "-qq", "update"], capture_output=True, text=True, check=False)
            if "Could not get lock" not in updated.stderr:
                break
            time.sleep(3)
        command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends"]
        done = subprocess.run(
            [*command, *missing], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"apt-get could not install {' '.join(missing)}: {done.stderr.strip()[-500:]}")


def is_installed(package: str) -> bool:
    """Whether dpkg has this package installed."""
    query = subprocess.run(["dpkg-query", "-Wf${Status}", package], capture_output=True, text=True, check=False)
    return query.stdout.endswith(" installed")


class Lock:
    """An exclusive lock on a file; released at the latest when this process ends, however it ends."""

    def __init__(self, path: Path, *, wait: bool = True) -> None:
        """Take the lock; without `wait`, raises BlockingIOError where another holds it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(self.descriptor)
            raise

    def release(self) -> None:
        """Let others have it; calling it again does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of this file for the time of a `with` block."""
    lock = Lock(path)
    try:
        yield
    finally:
        lock.release()


class Address:
    """A loopback address of its own, 127.0.1.N, and the port on which an sshd can listen there."""

    def __init__(self, wanted: int | None = None) -> None:
        """Take the first free number from 2 to 199, or the wanted one."""
        for number in [wanted] if wanted else range(2, 200):
            self.number, self.ip = number, f"127.0.1.{number}"
            try:
                self.lock = Lock(RUNTIME / "addresses" / str(number), wait=False)
            except BlockingIOError:
                continue
            for self.port in (22, 2222):
                if can_listen(self.ip, self.port):
                    return
            self.lock.release()
        raise RuntimeError(f"no free loopback address for a test machine (wanted: {wanted or 'any'})")


def can_listen(ip: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return False
    return True


_given: set[int] = set()


def free_port() -> int:
    """Give a port that nobody listens on, and that was not given before.

    Machines share the network with this one, and with other test runs. It is none of those that the kernel gives to
    whoever names none: it would be somebody's by the time it is used.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while (port := randrange(11_000, max(12_000, lowest))) in _given or not can_listen("127.0.0.1", port):
        continue
    _given.add(port)
    return port


def mounts_below(folder: Path) -> list[Path]:
    """What is mounted at or below a folder, innermost first."""
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split()[4].replace("\\040", " ")) for line in table]
    return [point for point in reversed(points) if point == folder or folder in point.parents]


def remove_tree(folder: Path) -> None:
    """Unmount what is mounted below a folder, then delete it; never deletes through a mount."""
    deadline = time.monotonic() + 60
    while mounts := mounts_below(folder):
        done = subprocess.run(["umount", mounts[0]], capture_output=True, text=True, check=False)
        if done.returncode and time.monotonic() > deadline:
            raise RuntimeError(f"cannot unmount {mounts[0]}: {done.stderr.strip()}")
        if done.returncode:
            time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)

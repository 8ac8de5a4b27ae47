"""A Debian machine under systemd-nspawn: its own disk, systemd as PID 1, and sshd on its own loopback address.

Machines share this machine's network: a server that listens on 127.0.0.1 in one is seen from all. One that is isolated
has a network of its own, which ends at this machine.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import cgroups, isolation, nspawn
from .debian import ADMIN_PASSWORD, package_folders, root_filesystem
from .furnish import furnish, give_debs, keep_debs, pretend_memory
from .inventories import inventory, ssh_config
from .isolation import Island
from .stale import MACHINES, sweep
from .system import RUNTIME, Address, Lock, locked, remove_tree, require_root, require_system_packages

__all__ = ["ADMIN_PASSWORD", "Machine", "inventory", "require_system_packages", "root_filesystem", "ssh_config"]


class Machine:
    """One machine. Its disk survives `power_off` and `shutdown`, and is gone after `discard`.

    `packages` are Debian packages that it has from the start; `disk` and `memory` (bytes) make it a small one;
    `binds` are folders of this machine, read-only in it: path here to path there, or "path:rw" there.
    `like` is a machine whose disk it starts with; that one must be off, and stay off.
    One that is `isolated` reaches this machine and nothing else, and has nothing that others have downloaded.
    Without `systemd` its PID 1 is a shell that does nothing, as in a container; it is switched off, never shut down.
    """

    def __init__(
        self,
        release: str,
        key: Path,
        *,
        name: str | None = None,
        number: int | None = None,
        packages: tuple[str, ...] = (),
        binds: Mapping[str, str] | None = None,
        disk: int | None = None,
        memory: int | None = None,
        like: Machine | None = None,
        systemd: bool = True,
        isolated: bool = False,
    ) -> None:
        """Lay out the machine's disk; `start` boots it."""
        require_root()
        sweep()
        self.lower = str(root_filesystem(release, packages))
        if like:
            assert like.is_off, "a machine that others are like must be off"
            self.lower = f"{like.upper}:{like.lower}"
        self.release, self.key, self.memory, self.systemd = release, key, memory, systemd
        with locked(RUNTIME / "machines.lock"):
            self._address = Address(number)
            self.name = name or f"vp-{release}-{self._address.number}"
            self.folder = MACHINES / self.name
            self._lock = Lock(MACHINES / f"{self.name}.lock", wait=False)
        self.root = self.folder / "root"
        self.upper: Path = self.folder / "disk/upper"
        self.known_hosts_file = self.folder / "known_hosts"
        shared = [] if isolated else package_folders()
        self._binds = {**{str(folder): str(folder) for folder in shared}, **(binds or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._booted = False
        self.island: Island | None = None
        try:
            if isolated:
                self.island = Island(self.name, self._address.number)
            place = self.island or self._address
            self.address, self.port = place.ip, place.port
            remove_tree(self.folder)
            self._lay_out(disk)
        except BaseException:
            self.discard()
            raise

    def _lay_out(self, disk: int | None) -> None:
        own, work = self.folder / "disk", self.folder / "disk/work"
        for folder in (own, self.root):
            folder.mkdir(parents=True)
        if disk:
            require_system_packages("e2fsprogs")
            image = self.folder / "disk.img"
            with image.open("wb") as file:
                file.truncate(disk)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
            subprocess.run(["mount", "-o", "loop", image, own], check=True)
        for folder in (self.upper, work):
            folder.mkdir()
        options = f"lowerdir={self.lower},upperdir={self.upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], check=True)
        public_key = self.key.with_suffix(".pub").read_text()
        furnish(self.root, self.name, (self.address, self.port), public_key, systemd=self.systemd)
        if self.memory:
            pretend_memory(self.root, self.memory)
        if not disk and not self.island:
            give_debs(self.root)
        self.known_hosts_file.write_text(self.known_hosts)

    # Power

    def start(self, timeout: float = 120) -> Machine:
        """Boot, and wait for systemd and sshd. Does nothing if it is on; boots again after a power off."""
        if not self.is_off:
            return self
        groups = cgroups.make(self.name)
        if self.memory:
            cgroups.limit_memory(self.name, self.memory)
        with (self.folder / "console.log").open("ab") as console:
            self._process = nspawn.launch(self.name, self.root, self._binds, groups.values(), console, self.namespace)
        self.wait_ssh(timeout)
        return self

    boot = start

    @property
    def is_off(self) -> bool:
        """Whether nothing runs; a machine that has shut itself down is off too."""
        return self._process is None or self._process.poll() is not None

    def shutdown(self, timeout: float = 120) -> None:
        """Shut down cleanly, as `poweroff` does."""
        if self._process and not self.is_off:
            os.kill(self.leader, signal.SIGRTMIN + 4)
            self._process.wait(timeout)
        self.power_off()

    def power_off(self) -> None:
        """Pull the plug: every process dies at once. What was written, synced or not, stays on the disk."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        cgroups.end(self.name)
        if self._process:
            self._process.wait(60)
            self._process = None

    def reboot(self) -> None:
        """Reboot cleanly, and wait until it is up again."""
        off = (None, self.leader)
        self.run("systemctl reboot", check=False)
        self._wait("a reboot", lambda: nspawn.leader(self._process) not in off)
        self.wait_ssh()

    def discard(self) -> None:
        """Power off and delete the disk. Once more does nothing: its name may be another machine's by then."""
        if self._lock.descriptor < 0:
            return
        self.power_off()
        if not (self.folder / "disk.img").exists() and not self.island:
            keep_debs(self.upper)
        isolation.end(self.name)
        remove_tree(self.folder)
        with locked(RUNTIME / "machines.lock"):
            (MACHINES / f"{self.name}.lock").unlink(missing_ok=True)
            for lock in (self._lock, self._address.lock):
                lock.release()

    def wait_ssh(self, timeout: float = 120) -> None:
        """Wait until sshd greets and lets users in; on the first boot also until all of systemd is up and well."""
        self._wait("sshd", self._greeted, timeout)
        if not self.systemd:
            return
        self._wait("systemd", self._lets_in, timeout)
        if self._booted:
            return
        state = self.run("systemctl is-system-running --wait", check=False, timeout=timeout).stdout.strip()
        if state != "running":
            failed = self.run("systemctl --failed --no-legend; journalctl -b -p err --no-pager", check=False).stdout
            raise RuntimeError(f"{self.name} came up {state}:\n{failed}")
        self._booted = True

    def _greeted(self) -> bool:
        if not nspawn.leader(self._process):
            return False
        try:
            with socket.create_connection((self.address, self.port), timeout=5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _lets_in(self) -> bool:
        return self.run("systemctl -q is-active systemd-user-sessions", check=False).returncode == 0

    def _wait(self, what: str, ready: Callable[[], bool], timeout: float = 120) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            if self.is_off or time.monotonic() > deadline:
                log = (self.folder / "console.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name}: no {what}; it is {'off' if self.is_off else 'on'}\n{log}")
            time.sleep(0.02)

    # Looking in

    @property
    def namespace(self) -> Path | None:
        """The network that is its own, if it is isolated."""
        return self.island.namespace if self.island else None

    @property
    def leader(self) -> int:
        """The process here that is PID 1 there."""
        if found := nspawn.leader(self._process):
            return found
        raise RuntimeError(f"{self.name} is not running")

    def run(
        self, command: str, *, user: str = "root", check: bool = True, input: str = "", timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command in the machine without SSH, for looking at what a test has done."""
        inner = ["sh", "-c", command] if user == "root" else ["runuser", "-l", user, "-c", command]
        return _run([*nspawn.enter(self.leader), *inner], f"{self.name}: {command}", input, check, timeout)

    def ssh(
        self, command: str, *, user: str = "root", check: bool = True, input: str = "", timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command over SSH with the OpenSSH client."""
        options = [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "LogLevel=ERROR",
            f"UserKnownHostsFile={self.known_hosts_file}",
        ]
        client = ["ssh", "-F", "/dev/null", *(part for option in options for part in ("-o", option))]
        client += ["-i", str(self.key), "-p", str(self.port), f"{user}@{self.address}", command]
        return _run(client, f"{user}@{self.name}: {command}", input, check, timeout)

    def install_project(self, to: str = "/srv/project", owner: str = "root") -> None:
        """Put what a fresh clone of this repository would have, uncommitted changes included, into the machine."""
        repository = Path(__file__).resolve().parents[2]
        listing = ["git", "-C", str(repository), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, capture_output=True, check=True).stdout.split(b"\0")
        there = b"\0".join(
            name for name in names if name and os.path.lexists(os.path.join(os.fsencode(repository), name))
        )
        pack = ["tar", "-C", str(repository), "--null", "-T-", "-c"]
        archive = subprocess.run(pack, input=there, stdout=subprocess.PIPE, check=True).stdout
        place = shlex.quote(to)
        unpack = f"mkdir -p {place} && tar -xC {place} && chown -R {owner}: {place}"
        subprocess.run([*nspawn.enter(self.leader), "sh", "-c", unpack], input=archive, check=True)

    # Telling others

    @property
    def known_hosts(self) -> str:
        """The line for known_hosts."""
        place = self.address if self.port == 22 else f"[{self.address}]:{self.port}"
        kind, key, *_ = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
        return f"{place} {kind} {key}\n"

    def inventory(self, user: str = "root", **variables: Any) -> str:
        """An inventory with this machine alone."""
        return inventory([self], user, **variables)


def _run(command: list[str], what: str, text: str, check: bool, timeout: float) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"{what}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done

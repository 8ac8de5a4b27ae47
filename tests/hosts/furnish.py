"""What a machine gets before it boots for the first time: a name, keys, and the ways out that this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from pathlib import Path

from . import nspawn
from .debian import pip_configuration
from .system import cache_folder

INIT = """\
# Lets units have their limits: systemd-nspawn leaves the cgroup v1 controllers read-only.
for controller in memory cpu cpuacct pids cpu,cpuacct; do
    [ ! -d /sys/fs/cgroup/$controller ] || mount -o remount,bind,rw /sys/fs/cgroup/$controller
done
[ ! -e /usr/local/lib/test-machine/meminfo ] || mount --bind /usr/local/lib/test-machine/meminfo /proc/meminfo
exec /lib/systemd/systemd
"""
INIT_WITHOUT_SYSTEMD = """\
mkdir -p /run/sshd && rm -f /run/nologin && /usr/sbin/sshd
while :; do sleep 1000 & wait; done
"""

USERS = {"root": "root", "admin": "home/admin", "operator": "home/operator"}
WITHOUT = ("systemd-ask-password-console.path", "systemd-ask-password-wall.path")
"""Units that each hold an inotify instance, for nothing: all machines together may have 128 by default."""
ARCHIVES = "var/cache/apt/archives"


def furnish(root: Path, name: str, address: tuple[str, int], public_key: str, *, systemd: bool = True) -> None:
    """Write everything into the machine's root that makes it this machine."""
    write(root, nspawn.INIT.lstrip("/"), INIT if systemd else INIT_WITHOUT_SYSTEMD)
    write(root, "etc/hostname", f"{name}\n")
    write(root, "etc/hosts", f"127.0.0.1 localhost\n{address[0]} {name}\n")
    write(root, "etc/machine-id", f"{uuid.uuid4().hex}\n")
    write(root, "etc/ssh/sshd_config.d/10-test-machine.conf", "ListenAddress {}\nPort {}\n".format(*address))
    for unit in WITHOUT:
        (root / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    host_key = root / "etc/ssh/ssh_host_ed25519_key"
    host_key.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", host_key], check=True)
    for home in USERS.values():
        owner = (root / home).stat()
        for path in (f"{home}/.ssh", f"{home}/.ssh/authorized_keys"):
            if path.endswith("keys"):
                write(root, path, public_key)
            else:
                (root / path).mkdir(exist_ok=True)
            (root / path).chmod(0o600 if path.endswith("keys") else 0o700)
            os.chown(root / path, owner.st_uid, owner.st_gid)
    settings = pip_configuration()
    lines = [f"{key} = {value}".replace("\n", "\n    ") for key, value in settings.items()]
    write(root, "etc/pip.conf", "\n".join(["[global]", *lines, ""]))
    for constraints in settings.get("constraint", "").split():
        write(root, constraints.lstrip("/"), Path(constraints).read_text())
    trust(root)


def write(root: Path, path: str, text: str) -> None:
    """Write a file into the machine, with the folders above it."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def trust(root: Path) -> None:
    """Let the machine trust whom this machine trusts."""
    local = Path("/usr/local/share/ca-certificates")
    if local.is_dir():
        shutil.copytree(local, root / local.relative_to("/"), dirs_exist_ok=True)
    bundle, here, there = "ca-certificates.crt", Path("/etc/ssl/certs"), root / "etc/ssl/certs"
    if (here / bundle).exists():
        shutil.copyfile(here / bundle, there / bundle)
        for file in here.iterdir():
            if file.is_symlink() and not os.path.lexists(there / file.name):
                (there / file.name).symlink_to(file.readlink())


def pretend_memory(root: Path, amount: int) -> None:
    """Let /proc/meminfo show this many bytes, most of them available."""
    values = {"MemTotal": amount, "MemFree": amount * 8 // 10, "MemAvailable": amount * 9 // 10}
    lines = []
    for line in Path("/proc/meminfo").read_text().splitlines():
        name = line.partition(":")[0]
        lines.append(f"{name + ':':<16}{values[name] // 1024:>8} kB" if name in values else line)
    write(root, "usr/local/lib/test-machine/meminfo", "\n".join([*lines, ""]))


def give_debs(root: Path) -> None:
    """Put the Debian packages that machines downloaded before where apt looks for them."""
    archives = root / ARCHIVES
    archives.mkdir(parents=True, exist_ok=True)
    for deb in (cache_folder() / "debs").glob("*.deb"):
        link_or_copy(deb, archives / deb.name)


def keep_debs(root: Path) -> None:
    """Take the Debian packages that the machine downloaded, for the next one."""
    folder = cache_folder() / "debs"
    folder.mkdir(exist_ok=True)
    for deb in (root / ARCHIVES).glob("*.deb"):
        # What a machine deleted of another's disk is a device here: the overlay's whiteout.
        if deb.is_file():
            link_or_copy(deb, folder / deb.name)


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link where both lie on one file system, else a copy; an existing target stays as it is."""
    if target.exists():
        return
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copyfile(source, beside)
        beside.rename(target)

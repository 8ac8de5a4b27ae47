"""The machines, and the servers beside them, do what the other tests count on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from . import cgroups
from .machine import ADMIN_PASSWORD, Machine, ssh_config
from .stale import MACHINES, sweep
from .system import RUNTIME, locked, mounts_below

MachineFactory = Callable[..., Machine]


def test_boots_in_seconds(machine: MachineFactory) -> None:
    fresh = machine("bookworm", start=False)
    began = time.monotonic()
    fresh.start()
    assert time.monotonic() - began < 60
    assert fresh.run("cat /proc/1/comm").stdout == "systemd\n"
    assert fresh.run("systemctl is-system-running").stdout == "running\n"


def test_is_bare(either: Machine) -> None:
    assert either.run("hostname").stdout.strip() == either.name
    assert not either.run("command -v gcc git curl pip uv", check=False).stdout
    assert either.run("ls /var/lib/apt/lists").stdout.split() == ["lock", "partial"]
    assert (either.run("command -v python3", check=False).returncode == 0) == (either.release == "bookworm")


def test_users(either: Machine) -> None:
    assert either.ssh("id -un").stdout == "root\n"
    assert either.ssh("sudo -n id -un", user="operator").stdout == "root\n"
    assert either.ssh("sudo -n id", user="admin", check=False).returncode
    assert either.ssh("sudo -S -p '' id -un", user="admin", input=ADMIN_PASSWORD + "\n").stdout == "root\n"
    assert either.run("id -un; echo $HOME", user="admin").stdout == "admin\n/home/admin\n"


def test_units_have_limits_and_sandboxes(either: Machine) -> None:
    sandbox = (
        "-p DynamicUser=yes -p PrivateDevices=yes -p ProtectSystem=strict -p PrivateTmp=yes -p CapabilityBoundingSet="
    )
    filters = "-p SystemCallFilter=@system-service -p RestrictAddressFamilies=AF_INET"
    hungry = "head -c 200M /dev/zero | tail >/dev/null && echo fits"
    unit = f"systemd-run -q --wait -P {sandbox} {filters} -p MemorySwapMax=0 sh -c '{hungry}'"
    assert either.run(unit).stdout == "fits\n"
    limited = either.run(unit.replace("--wait", "--wait -p MemoryMax=50M"), check=False)
    assert limited.returncode
    assert "fits" not in limited.stdout


def test_disk_survives_power_off_shutdown_and_reboot(machine: MachineFactory) -> None:
    one = machine("trixie")
    for stop in (one.power_off, one.shutdown, one.reboot):
        before = one.run("cat /proc/sys/kernel/random/boot_id").stdout
        one.run(f"echo {stop.__name__} >/srv/file; systemd-run -q --unit=life-{stop.__name__} sleep 1000")
        stop()
        if stop != one.reboot:
            one.boot()
        assert one.run("cat /srv/file").stdout == f"{stop.__name__}\n"
        assert one.run("cat /proc/sys/kernel/random/boot_id").stdout != before
        assert one.run(f"systemctl is-active life-{stop.__name__}", check=False).stdout == "inactive\n"
        assert one.ssh("id -un").stdout == "root\n"


def test_nothing_is_left(ssh_key: Path) -> None:
    # Its name is nobody else's: another test run may take its number at once.
    one = Machine("bookworm", ssh_key, name=f"vp-left-{os.getpid()}").start()
    one.run("echo >/usr/bin/left-behind")
    name, folder = one.name, one.folder
    one.discard()
    assert not folder.exists()
    assert not mounts_below(folder)
    assert not cgroups.processes(name)
    assert not cgroups.everywhere(name)
    another = Machine("bookworm", ssh_key)
    assert not (another.root / "usr/bin/left-behind").exists()
    another.discard()


def test_discarded_twice_leaves_the_next_of_that_name(ssh_key: Path) -> None:
    name = f"vp-again-{os.getpid()}"
    one = Machine("bookworm", ssh_key, name=name)
    one.discard()
    another = Machine("bookworm", ssh_key, name=name)
    one.discard()
    assert (another.root / "etc/hostname").read_text() == f"{name}\n"
    another.discard()


def test_a_killed_test_run_is_swept(ssh_key: Path) -> None:
    package = Path(__file__).parent
    program = (
        f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"
        f"from pathlib import Path; from {package.name}.machine import Machine; import os\n"
        f"one = Machine('bookworm', Path({str(ssh_key)!r}), disk=2**29, name=f'vp-killed-{{os.getpid()}}')\n"
        "print(one.start().name, flush=True)\n"
        "sys.stdin.read()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) as running:
        assert running.stdout
        name = running.stdout.readline().strip()
        assert name
        with locked(RUNTIME / "machines.lock"):  # another test run sweeps too
            running.kill()
            running.wait()
            assert cgroups.processes(name)
    sweep()
    assert not cgroups.everywhere(name)
    assert not mounts_below(MACHINES / name)
    assert not (MACHINES / name).exists()


@pytest.mark.timeout(300)
def test_eight_at_once(machines: Callable[..., list[Machine]]) -> None:
    eight = machines("bookworm", 8)
    assert len({one.address for one in eight}) == 8
    assert [one.ssh("hostname").stdout.strip() for one in eight] == [one.name for one in eight]
    assert len({one.run("cat /etc/machine-id").stdout for one in eight}) == 8
    assert len({one.known_hosts.split()[-1] for one in eight}) == 8


def test_packages_install(machine: MachineFactory) -> None:
    one = machine("bookworm")
    one.ssh("apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y tree python3-venv")
    one.run("python3 -m venv /srv/venv && /srv/venv/bin/pip install -q iniconfig && tree --version", timeout=300)
    assert one.run("/srv/venv/bin/python -c 'import iniconfig; print(1)'").stdout == "1\n"


def test_a_small_machine(machine: MachineFactory) -> None:
    small = machine("bookworm", disk=2**29, memory=2**30)
    size = int(small.run("df --output=size -B1 / | tail -1").stdout)
    assert 2**28 < size <= 2**29
    assert small.run("head -c 1G /dev/zero >/srv/full", check=False).returncode
    assert int(small.run("awk '/^MemTotal/ {print $2}' /proc/meminfo").stdout) == 2**20


def test_a_small_machine_runs_out_of_memory(machine: MachineFactory) -> None:
    small = machine("trixie", memory=2**29)
    hungry = "systemd-run -q --wait -P sh -c 'head -c 700M /dev/zero | tail >/dev/null && echo fits'"
    assert "fits" not in small.run(hungry, check=False).stdout
    assert small.ssh("systemctl is-system-running", check=False).stdout in ("running\n", "degraded\n")


def test_like_another(machine: MachineFactory) -> None:
    first = machine("bookworm")
    first.run("echo one >/srv/file; rm /usr/bin/find")
    first.shutdown()
    second = machine("bookworm", like=first)
    assert second.run("cat /srv/file").stdout == "one\n"
    assert second.run("command -v find", check=False).returncode
    assert second.ssh("hostname").stdout.strip() == second.name != first.name


def test_comes_back_with_a_broken_unit(machine: MachineFactory) -> None:
    one = machine("bookworm")
    unit = "[Service]\\nType=oneshot\\nExecStart=false\\n[Install]\\nWantedBy=multi-user.target\\n"
    one.run(f"printf '{unit}' >/etc/systemd/system/bad.service; systemctl enable bad.service")
    one.reboot()
    assert one.run("systemctl is-system-running --wait", check=False).stdout == "degraded\n"


def test_an_isolated_machine_reaches_nothing_but_this_one(machine: MachineFactory) -> None:
    one = machine("bookworm", isolated=True, name=f"vp-island-{os.getpid()}")
    assert one.island
    assert one.ssh("echo here").stdout == "here\n"
    assert "default" not in one.run("ip route").stdout
    assert one.run("getent hosts deb.debian.org", check=False).returncode
    before = one.island.refused
    tried = one.run("bash -c 'exec 3<>/dev/tcp/192.0.2.1/80'", check=False)
    assert "Network is unreachable" in tried.stderr
    assert one.island.refused == before + 1
    namespace = one.island.namespace
    one.discard()
    assert not namespace.exists()


def test_project_inside(machine: MachineFactory) -> None:
    one = machine("bookworm")
    one.install_project()
    assert one.run("head -c 20 /srv/project/tests/hosts/machine.py").stdout.startswith('"""A Debian')
    assert not one.run("ls -d /srv/project/.git /srv/project/.venv", check=False).stdout


def test_inventory_and_ssh_config(bookworm: Machine, tmp_path: Path) -> None:
    parsed = yaml.safe_load(bookworm.inventory("operator", python="3.11"))["all"]
    assert parsed["hosts"][bookworm.name]["ansible_become"] is True
    assert parsed["vars"] == {"python": "3.11"}
    (tmp_path / "config").write_text(ssh_config([bookworm], "admin"))
    command = ["ssh", "-F", str(tmp_path / "config"), "-o", "BatchMode=yes", bookworm.name, "id -un"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "admin\n"

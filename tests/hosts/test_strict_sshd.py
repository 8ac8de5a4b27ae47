"""An sshd that was hardened: few sessions at once, and no tunnels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provisioning import lock
from provisioning.errors import UnreachableError
from provisioning.host import Host
from provisioning.transport import sessions

from .connected import host_of
from .controller import Controller
from .machine import Machine

pytestmark = pytest.mark.timeout(240)


@contextmanager
def strict(line: str, machine: Machine, controller: Controller, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Log in to a machine whose sshd has a further line."""
    file = "/etc/ssh/sshd_config.d/20-strict.conf"
    restart = "systemctl reset-failed ssh; systemctl restart ssh"  # systemd allows few starts in a row
    machine.run(f"cat >{file}; sshd -t && {restart}", input=f"{line}\n")
    machine.wait_ssh()
    try:
        with host_of(machine, "root", controller, monkeypatch) as host:
            yield host
    finally:
        machine.run(f"rm {file}; {restart}")


def test_two_sessions_are_enough(bookworm: Machine, controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock has one, and commands the other: the next one may come while sshd still counts the one before."""
    with strict("MaxSessions 2", bookworm, controller, monkeypatch) as host, lock.locked(host, "test"):
        for number in range(40):
            assert host.run(f"echo {number}").stdout == f"{number}\n"
    assert host.transport.connections == 1


def test_too_few_sessions_are_told(bookworm: Machine, controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PATIENCE", 0.5)
    with strict("MaxSessions 1", bookworm, controller, monkeypatch) as host:
        with lock.locked(host, "test"), pytest.raises(UnreachableError, match="beside those that run") as caught:
            host.run("true")
        assert not caught.value.retryable
        assert "MaxSessions" in caught.value.remedy


def test_forbidden_tunnels_are_told(bookworm: Machine, controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    told = pytest.raises(ConnectionRefusedError, match="AllowTcpForwarding")
    with strict("AllowTcpForwarding no", bookworm, controller, monkeypatch) as host, told:
        host.transport.dial("127.0.0.1", 22)

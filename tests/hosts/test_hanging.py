"""Hosts that hang: each ends within its limit and says in which part, and the others are not held up by it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import paramiko
import pytest
import yaml

from provisioning import converge, fleet, inventory
from provisioning.errors import ConnectionLostError, UnreachableError
from provisioning.host import Host
from provisioning.transport.connect import open_connection
from provisioning.transport.target import SshTarget

from .controller import Controller
from .inventories import host_variables
from .machine import Machine
from .provisioned import SETTINGS, Provisioned
from .proxy import Proxy

pytestmark = pytest.mark.timeout(240)

HANG = """
set -eu
mv "$1" "$1.real"
printf '#!/bin/sh\\n[ "$(id -un)" != %s ] || exec sleep 1000\\nexec %s.real "$@"\\n' "$2" "$1" >"$1"
chmod 755 "$1"
"""
"""Lets a program hang for one user."""


@pytest.fixture(scope="module")
def one(module_machine: Callable[..., Machine], provisioned: Provisioned) -> Machine:
    """As root there is nothing to do; looking hangs for the operator, and sudo for the admin."""
    made = module_machine("bookworm", like=provisioned.machine)
    made.run("sh -s /usr/bin/getconf operator", input=HANG)
    made.run("sh -s /usr/bin/sudo admin", input=HANG)
    return made


@pytest.fixture
def many(one: Machine, controller: Controller, proxy: Callable[[Machine], Proxy]) -> tuple[Controller, Proxy]:
    """One machine under the names of hosts that hang in different ways; the line to one of them is a proxy's."""
    line = proxy(one)
    key = one.known_hosts.split(" ", 1)[1]
    controller.know(one.known_hosts, f"[{line.address}]:{line.port} {key}")
    hosts: dict[str, dict[str, Any]] = {
        "good": host_variables(one),
        "mute": {**host_variables(one), "ansible_port": line.port, "connect_timeout": 1},
        "sleepy": {**host_variables(one, "operator"), "look_timeout": 2},
        "locked": {**host_variables(one, "admin"), "silence_timeout": 8},
    }
    # A busy machine is slow as well: no other limit of a host is short.
    patient = {"connect_attempts": 1, "connect_timeout": 60, "look_timeout": 60}
    controller.write({"all": {"hosts": hosts, "vars": {**SETTINGS, **patient}}})
    return controller, line


def inventory_with(controller: Controller, name: str, **variables: Any) -> Controller:
    """The same inventory, with more variables for one host."""
    content = yaml.safe_load(controller.inventory.read_text())
    content["all"]["hosts"][name] |= variables
    return controller.write(content)


def test_each_ends_within_its_limit_and_names_it(many: tuple[Controller, Proxy]) -> None:
    controller, line = many
    line.stall()
    done = controller.run("provision")
    assert done.code == 1, done.output
    rows = [line.split() for line in done.output.splitlines()]
    for row in ("good nothing to do", "mute unreachable", "sleepy failed", "locked unreachable"):
        assert row.split() in rows, done.output
    assert "mute: cannot connect to" in done.output
    assert "said nothing for 1 s (connect_timeout)" in done.output
    assert "sleepy: cannot look at" in done.output
    assert "(it took over 2 s)" in done.output
    assert "locked: the SSH connection was lost (while its facts were gathered)" in done.output
    assert "no sign of life for 8 s" in done.output
    assert "Traceback" not in done.output


def test_who_has_ended_is_shown_while_another_hangs(many: tuple[Controller, Proxy]) -> None:
    controller, line = many
    line.stall()
    patient = inventory_with(controller, "mute", connect_timeout=120)
    running = patient.start("provision", "--hosts", "good,mute")
    running.wait_for("good done")
    line.resume()
    done = running.done()
    assert done.code == 0, done.output


def test_a_line_that_dies_between_two_commands(many: tuple[Controller, Proxy], monkeypatch: pytest.MonkeyPatch) -> None:
    controller, line = many
    monkeypatch.setenv("HOME", str(controller.home))
    described = inventory_with(controller, "mute", connect_timeout=60, silence_timeout=5).inventory
    (entry,) = inventory.load(described).select("mute")
    with closing(fleet.open_host(entry)) as host:
        host.run("true")
        line.stall()
        with pytest.raises(ConnectionLostError, match=r"mute: the SSH connection was lost \(while its facts were"):
            converge.survey(host, entry)


def test_a_proxy_command_that_hangs(many: tuple[Controller, Proxy]) -> None:
    way = "-o ProxyCommand='sleep 1000'"
    controller = inventory_with(many[0], "good", ansible_ssh_common_args=way, connect_timeout=1)
    done = controller.run("plan", "--hosts", "good")
    assert done.code == 4, done.output
    assert "said nothing for 1 s (connect_timeout)" in done.output


class Reticent(paramiko.ServerInterface):
    """Lets everybody in, and answers no request to run a command or to listen until it may.

    Who is `slow` is not let in until then, and before whom is `gone` it goes away.
    """

    transport: paramiko.Transport

    def __init__(self) -> None:
        self.may_answer = threading.Event()

    def check_auth_password(self, username: str, password: str) -> int:
        if username == "slow":
            self.may_answer.wait()
        if username == "gone":
            self.transport.close()
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_port_forward_request(self, address: str, port: int) -> int:
        self.may_answer.wait()
        return 0

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.may_answer.wait()
        return False


@pytest.fixture
def reticent() -> Iterator[int]:
    """The port of a server that accepts a command and never says so."""
    server, listener, key = Reticent(), socket.create_server(("127.0.0.1", 0)), paramiko.RSAKey.generate(2048)
    transports = []

    def serve() -> None:
        transport = paramiko.Transport(listener.accept()[0])
        transport.add_server_key(key)
        server.transport = transport
        transports.append(transport)
        transport.start_server(server=server)

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield listener.getsockname()[1]
    server.may_answer.set()
    for transport in transports:
        transport.close()


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda host: host.run("true", as_root=False), "no sign of life for 1 s"),
        (lambda host: host.transport.listen(print).__enter__(), "no answer for 2 s to the request to listen"),
    ],
)
def test_a_server_that_does_not_answer(
    ask: Callable[[Host], object], words: str, reticent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("provisioning.transport.ssh.ANSWER", 2)
    host = {"ansible_host": "127.0.0.1", "ansible_port": reticent, "ansible_user": "root", "ansible_password": "x"}
    host |= {"silence_timeout": 1, "host_keys": "accept-new"}
    file = tmp_path / "inventory.yaml"
    file.write_text(yaml.safe_dump({"all": {"hosts": {"reticent": host}}}))
    (entry,) = inventory.load(file).select()
    with closing(fleet.open_host(entry)) as opened, pytest.raises(ConnectionLostError, match=words):
        ask(opened)


@pytest.mark.parametrize(("user", "words"), [("slow", "login took over 2 s"), ("gone", "ended the connection during")])
def test_a_login_that_does_not_end(
    user: str, words: str, reticent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for module in ("connect", "limits"):
        monkeypatch.setattr(f"provisioning.transport.{module}.LOGIN", 1)
    target = SshTarget("late", "127.0.0.1", reticent, user, password="x", accept_new_host_keys=True, timeout=1)
    with pytest.raises(UnreachableError, match="cannot connect") as raised:
        open_connection(target)
    assert words in raised.value.cause

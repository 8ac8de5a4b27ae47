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

from provisioning import converge, fleet, inventory
from provisioning.errors import ConnectionLostError

from .controller import Controller
from .inventories import host_variables
from .machine import Machine
from .provisioned import SETTINGS, Provisioned
from .proxy import Proxy

pytestmark = pytest.mark.timeout(240)

WRAPPED = """
set -eu
mv "$0" "$0.real"
printf '#!/bin/sh\\n[ "$(id -un)" != %s ] || exec sleep 1000\\nexec %s.real "$@"\\n' "$1" "$0" >"$0"
chmod 755 "$0"
"""
"""Lets a program hang for one user."""


@pytest.fixture(scope="module")
def one(module_machine: Callable[..., Machine], provisioned: Provisioned) -> Machine:
    """As root there is nothing to do; looking hangs for the operator, and sudo for the admin."""
    made = module_machine("bookworm", like=provisioned.machine)
    for program, user in (("/usr/bin/getconf", "operator"), ("/usr/bin/sudo", "admin")):
        made.run(f"sh -c '{WRAPPED.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}' {program} {user}")
    return made


@pytest.fixture
def many(one: Machine, controller: Controller, proxy: Callable[[Machine], Proxy]) -> tuple[Controller, Proxy]:
    """One machine under the names of hosts that hang in different ways; the line to one of them is a proxy's."""
    line = proxy(one)
    key = one.known_hosts.split(" ", 1)[1]
    controller.know(one.known_hosts, f"[{line.address}]:{line.port} {key}")
    hosts: dict[str, dict[str, Any]] = {
        "good": host_variables(one),
        "mute": {**host_variables(one), "ansible_port": line.port},
        "sleepy": host_variables(one, "operator"),
        "locked": host_variables(one, "admin"),
    }
    limits = {"connect_attempts": 1, "connect_timeout": 1, "look_timeout": 2, "silence_timeout": 8}
    controller.write({"all": {"hosts": hosts, "vars": {**SETTINGS, **limits}}})
    return controller, line


def test_each_ends_within_its_limit_and_names_it(many: tuple[Controller, Proxy]) -> None:
    controller, line = many
    line.stall()
    done = controller.run("provision")
    assert done.code == 1, done.output
    rows = [line.split() for line in done.output.splitlines()]
    for row in ("good nothing to do", "mute unreachable", "sleepy failed", "locked unreachable"):
        assert row.split() in rows, done.output
    assert "mute: cannot connect to" in done.output
    assert "sleepy: cannot look at" in done.output
    assert "(it took over 2 s)" in done.output
    assert "locked: the SSH connection was lost (while its facts were gathered)" in done.output
    assert "no sign of life for 8 s" in done.output
    assert "Traceback" not in done.output

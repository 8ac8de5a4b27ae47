"""How a controller is told of machines: inventories as the project and Ansible read them, and ssh_config."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import yaml


class Reachable(Protocol):
    """What is needed of a machine to tell others of it."""

    name: str
    address: str
    port: int
    key: Path
    known_hosts_file: Path


def host_variables(machine: Reachable, user: str = "root") -> dict[str, Any]:
    """The connection variables of one machine for one of its users."""
    variables: dict[str, Any] = {"ansible_host": machine.address, "ansible_user": user}
    if machine.port != 22:
        variables["ansible_port"] = machine.port
    variables["ansible_ssh_private_key_file"] = str(machine.key)
    if user != "root":
        variables["ansible_become"] = True
    return variables


def inventory(machines: Iterable[Reachable], user: str = "root", **variables: Any) -> str:
    """An inventory of these machines; `variables` are for all of them."""
    hosts = {machine.name: host_variables(machine, user) for machine in machines}
    everything: dict[str, Any] = {"hosts": hosts, "vars": variables} if variables else {"hosts": hosts}
    return yaml.safe_dump({"all": everything}, sort_keys=False, allow_unicode=True)


def ssh_config(machines: Iterable[Reachable], user: str = "root") -> str:
    """An ssh_config in which each machine goes by its name."""
    return "\n".join(
        f"Host {machine.name}\n    HostName {machine.address}\n    Port {machine.port}\n    User {user}\n"
        f"    IdentityFile {machine.key}\n    UserKnownHostsFile {machine.known_hosts_file}\n"
        for machine in machines
    )

"""The hosts that an inventory is written for: named on the command line, or found in a file of somebody's."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.errors import ConfigurationError
from provisioning.host_ranges import expand, is_address
from provisioning.inventory import LOCALHOST

THIS_MACHINE: dict[str, Any] = {"ansible_connection": "local"}
REMEDY = "Name hosts with commas between: gpu1, user@10.0.0.5:2222, user@[2001:db8::5]:22, web[1:3]; or localhost."


@dataclass(frozen=True)
class Found:
    """Hosts and their groups, with connection variables only, laid out as in an inventory."""

    hosts: dict[str, dict[str, Any]]
    """Each host's own variables."""
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Below `all`: each with hosts, children and vars, as far as it has any."""
    variables: dict[str, Any] = field(default_factory=dict)
    """Those of `all`."""
    notes: tuple[str, ...] = ()
    """What was left out, and why: a line each."""


def named(text: str) -> Found:
    """Read hosts as people name them. Raises ConfigurationError that says which one is none, and how to write one."""
    hosts: dict[str, dict[str, Any]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        for address, variables in _read(part):
            own = {name: value for name, value in variables.items() if value is not None}
            name = _name(address, own, hosts)
            hosts[name] = own if name == address else {"ansible_host": address, **own}
    if not hosts:
        raise ConfigurationError("no host is named", remedy=REMEDY)
    return Found(hosts)


def _read(part: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each address that one word stands for, with its variables."""
    user, at, rest = part.rpartition("@")
    if rest in LOCALHOST and not at:
        yield rest, THIS_MACHINE
        return
    try:
        addresses, port = expand(_without_brackets(rest))
    except ValueError as error:
        raise ConfigurationError(f"{part!r} is no host", cause=str(error), remedy=REMEDY) from error
    if (at and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._\\@-]*", user)) or not all(map(is_address, addresses)):
        raise ConfigurationError(f"{part!r} is no host", remedy=REMEDY)
    if port is not None and not 1 <= port <= 65535:
        raise ConfigurationError(f"{part!r}: the port should be between 1 and 65535", remedy=REMEDY)
    yield from ((address, {"ansible_port": port, "ansible_user": user or None}) for address in addresses)


def _without_brackets(address: str) -> str:
    """An IPv6 address that stands in brackets without a port."""
    inner = address[1:-1] if address.startswith("[") and address.endswith("]") else ""
    try:
        return str(ipaddress.IPv6Address(inner) and inner)
    except ValueError:
        return address


def _name(address: str, variables: Mapping[str, Any], taken: Mapping[str, Mapping[str, Any]]) -> str:
    """The address, unless a host goes by that name that is reached in another way."""
    told = "-".join(str(value) for value in variables.values())
    names = (address, f"{address}-{told}")
    return next((name for name in names if name not in taken or taken[name] == variables), names[1])

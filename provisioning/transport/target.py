"""Where to connect and as whom, and the way there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from provisioning.ssh_arguments import DIRECT, Proxy

LOGIN = 20
"""Seconds that logging in may take longer than `connect_timeout`: some hosts look up who comes."""


@dataclass(frozen=True)
class SshTarget:
    """Where and as whom to connect. None leaves the question to ~/.ssh/config."""

    name: str
    address: str
    port: int | None = None
    user: str | None = None
    private_key_file: str | None = None
    password: str | None = None
    accept_new_host_keys: bool = False
    timeout: int = 10
    proxy: Proxy = DIRECT


def go_through(connection: Any, target: SshTarget) -> None:
    """Let a `fabric.Connection` take the target's way, whatever ~/.ssh/config says of it. Opens nothing."""
    proxy = target.proxy
    if "none" in (proxy.command, *proxy.jumps):
        connection.gateway = False
    elif proxy.command:
        values = {"h": connection.host, "p": connection.port, "r": connection.user, "n": target.address}
        connection.gateway = re.sub("%([hprn])", lambda token: str(values[token[1]]), proxy.command)
    elif proxy.jumps:
        connection.gateway = _through(proxy.jumps, connection.config)


def _through(jumps: tuple[str, ...], config: Any) -> Any:
    """The last of the jump hosts, each reached through the one before it."""
    import fabric

    hop = None
    for jump in jumps:
        hop = fabric.Connection(jump, gateway=hop, config=config.clone())
    return hop

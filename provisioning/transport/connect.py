"""Opening one SSH connection: Fabric's connection with host keys checked, and every failure in a person's words."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

from provisioning.errors import ConfigurationError
from provisioning.prompts import ask_secret
from provisioning.transport import key_files, known_hosts, ssh_config
from provisioning.transport.explaining import PASSPHRASE, Hop, is_refusal
from provisioning.transport.limits import within
from provisioning.transport.target import LOGIN, SshTarget, go_through

# Its errors reach people as ours; its own log lines would only stand between them.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def open_connection(target: SshTarget) -> Any:
    """Open a `fabric.Connection`, and before it those of the jump hosts on its way.

    Raises `UnreachableError`; its `retryable` is true for what waiting can mend (refused, timed out), false for
    unknown or changed host keys, wrong keys and wrong passwords.
    """
    connection = new_connection(target)
    way = [Hop(each, target, each is connection) for each in _way(connection)]
    try:
        for hop in way:
            _prepare(hop)
            _open(hop)
    except Exception:
        for hop in reversed(way):
            hop.connection.close()
        raise
    return connection


def new_connection(target: SshTarget) -> Any:
    """Give a `fabric.Connection` that is yet to be opened."""
    import fabric
    import paramiko

    connect_kwargs: dict[str, Any] = {}
    if target.private_key_file:
        connect_kwargs["key_filename"] = [os.path.expanduser(target.private_key_file)]
    if target.password is not None:
        connect_kwargs["password"] = target.password
    try:
        connection = fabric.Connection(
            target.address,
            user=target.user,
            port=target.port,
            connect_kwargs=connect_kwargs,
            config=fabric.Config(ssh_config=ssh_config.load()),
        )
        go_through(connection, target)
    except (paramiko.ssh_exception.ConfigParseError, ValueError, OSError) as error:
        raise ConfigurationError(f"{target.name}: ~/.ssh/config cannot be used", cause=str(error)) from error
    return connection


def _way(connection: Any) -> Iterator[Any]:
    """Yield the jump hosts, from the nearest on, and the host itself."""
    if connection.gateway and not isinstance(connection.gateway, str):
        yield from _way(connection.gateway)
    yield connection


def _prepare(hop: Hop) -> None:
    """Set limits, the passphrase that the environment brings, and what is done with host keys (Fabric takes any)."""
    connection, timeout = hop.connection, hop.target.timeout
    connection.connect_timeout = timeout
    limits = {"banner_timeout": timeout + 5, "auth_timeout": timeout + LOGIN, "transport_factory": _prompt}
    passphrase = ask_secret("", variable=PASSPHRASE) if PASSPHRASE in os.environ else None
    # As ssh does, and Ansible with it: paramiko would give up, whatever key the agent has.
    keys = [path for path in key_files.named(connection) if not key_files.unreadable(path)]
    told = {**limits, "passphrase": passphrase, "key_filename": keys}
    connection.connect_kwargs = {**dict(connection.connect_kwargs), **told}
    _check_host_key(hop)


def _prompt(sock: Any, **options: Any) -> Any:
    """Give a transport whose packets wait for no others: they are small, and every second one waited for 40 ms."""
    import paramiko

    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return paramiko.Transport(sock, **options)


def _open(hop: Hop) -> None:
    connection = hop.connection
    try:
        within(2 * hop.target.timeout + LOGIN, connection.open)
    except Exception as error:
        transport = connection.client.get_transport()
        # One that took the connection and says nothing is active as well.
        answered = bool(transport and transport.is_active() and transport.initial_kex_done)
        connection.close()
        if is_refusal(error, answered=answered) and _asked_for_passphrase(connection):
            _open(hop)
            return
        raise hop.explained(error, answered=answered) from error
    connection.client.get_transport().set_keepalive(15)


def _asked_for_passphrase(connection: Any) -> bool:
    """Whether there is now a passphrase to open a key with, where none was known."""
    if connection.connect_kwargs["passphrase"] is not None or not (key := key_files.locked(connection)):
        return False
    opens = partial(key_files.opens, key)
    connection.connect_kwargs["passphrase"] = ask_secret(
        f"passphrase of the SSH key {key}", variable=PASSPHRASE, fits=opens
    )
    return key_files.locked(connection) != key


def _check_host_key(hop: Hop) -> None:
    import paramiko

    class Policy(paramiko.MissingHostKeyPolicy):
        """Refuse an unknown host key, or write it down when the inventory says accept-new."""

        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            if not hop.target.accept_new_host_keys:
                raise hop.unknown_host_key(key)
            known_hosts.append(hop.connection, hostname, key)

    hop.connection.client.set_missing_host_key_policy(Policy())
    known_hosts.tell(hop.connection)

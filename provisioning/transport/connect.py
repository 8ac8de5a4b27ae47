"""Opening one SSH connection: Fabric's connection with host keys checked, and every failure in a person's words."""

from __future__ import annotations

import logging
import os
import shlex
import socket
from typing import Any

from provisioning.errors import ConfigurationError, UnreachableError
from provisioning.prompts import ask_secret
from provisioning.transport import known_hosts
from provisioning.transport.limits import reason, within
from provisioning.transport.target import LOGIN, SshTarget, go_through, time_limit

# Its errors reach people as ours; its own log lines would only stand between them.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def open_connection(target: SshTarget) -> Any:
    """Open a `fabric.Connection`.

    Raises `UnreachableError`; its `retryable` is true for what waiting can mend (refused, timed out), false for
    unknown or changed host keys, wrong keys and wrong passwords.
    """
    connection = new_connection(target)
    _check_host_keys(connection, target)
    return _open(connection, target)


def new_connection(target: SshTarget) -> Any:
    """Give a `fabric.Connection` that is yet to be opened."""
    import fabric
    import paramiko

    connect_kwargs: dict[str, Any] = {"banner_timeout": target.timeout + 5, "auth_timeout": target.timeout + LOGIN}
    connect_kwargs["transport_factory"] = _prompt
    if target.private_key_file:
        connect_kwargs["key_filename"] = [os.path.expanduser(target.private_key_file)]
    if target.password is not None:
        connect_kwargs["password"] = target.password
    try:
        connection = fabric.Connection(
            target.address,
            user=target.user,
            port=target.port,
            connect_timeout=target.timeout,
            connect_kwargs=connect_kwargs,
        )
        go_through(connection, target)
    except (paramiko.ssh_exception.ConfigParseError, ValueError) as error:
        raise ConfigurationError(f"{target.name}: ~/.ssh/config cannot be used", cause=str(error)) from error
    return connection


def _prompt(sock: Any, **options: Any) -> Any:
    """Give a transport whose packets wait for no others: they are small, and every second one waited for 40 ms."""
    import paramiko

    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return paramiko.Transport(sock, **options)


def _open(connection: Any, target: SshTarget) -> Any:
    import paramiko

    try:
        within(time_limit(connection), connection.open)
    except paramiko.PasswordRequiredException as error:
        if connection.connect_kwargs.get("passphrase"):
            raise _refused(connection, target, str(error)) from error
        passphrase = ask_secret(f"passphrase of the SSH key for {target.name}", variable="PROVISION_KEY_PASSPHRASE")
        if passphrase is None:
            raise UnreachableError(
                f"{target.name}: the private key is encrypted",
                cause=str(error),
                remedy="Load it with `ssh-add`, or put its passphrase into PROVISION_KEY_PASSPHRASE.",
            ) from error
        connection.connect_kwargs["passphrase"] = passphrase
        return _open(connection, target)
    except Exception as error:
        transport = connection.client.get_transport()
        # One that took the connection and says nothing is active as well.
        answered = bool(transport and transport.is_active() and transport.initial_kex_done)
        connection.close()
        raise _explained(error, connection, target, answered=answered) from error
    connection.client.get_transport().set_keepalive(15)
    return connection


def _explained(error: Exception, connection: Any, target: SshTarget, *, answered: bool) -> UnreachableError:
    """Turn what paramiko raises into what it means; `answered`: the host does, so what failed is on our side."""
    import paramiko

    where = f"{connection.host}:{connection.port}"
    if isinstance(error, UnreachableError):
        return error
    if isinstance(error, paramiko.BadHostKeyException):
        return UnreachableError(
            f"{target.name}: the host key of {where} has CHANGED",
            cause=f"{error.key.get_name()} {fingerprint(error.key)} is not the key in known_hosts. "
            "The host was reinstalled, or somebody answers in its place.",
            remedy=f"If you know why, forget the old key: ssh-keygen -R '{known_hosts.name_of(connection)}'",
        )
    if isinstance(error, paramiko.AuthenticationException):
        return _refused(connection, target, str(error))
    if answered and connection.connect_kwargs.get("passphrase"):
        return _refused(connection, target, f"The private key cannot be opened. Is its passphrase right? ({error})")
    if isinstance(error, socket.gaierror):
        return UnreachableError(
            f"{target.name}: the name {connection.host} is not known",
            cause=str(error),
            remedy="Check ansible_host in the inventory, or HostName in ~/.ssh/config.",
            retryable=error.errno == socket.EAI_AGAIN,
        )
    retryable = isinstance(error, OSError | EOFError | paramiko.SSHException) and not answered
    return UnreachableError(
        f"{target.name}: cannot connect to {where}",
        cause=reason(error, target.timeout),
        remedy=f"Is the host up, and does sshd listen there? Try: ssh -p {connection.port} "
        f"{connection.user}@{connection.host}",
        retryable=retryable,
    )


def _refused(connection: Any, target: SshTarget, cause: str) -> UnreachableError:
    return UnreachableError(
        f"{target.name}: {connection.user} is not let in at {connection.host}:{connection.port}",
        cause=cause,
        remedy="Check ansible_user and ansible_ssh_private_key_file, or copy your key there: "
        f"ssh-copy-id -p {connection.port} {connection.user}@{connection.host}",
    )


def fingerprint(key: Any) -> str:
    """SHA-256 fingerprint of a host key, as `ssh-keygen -l` prints it."""
    import base64
    import hashlib

    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


def _check_host_keys(connection: Any, target: SshTarget) -> None:
    """Check the host keys of the connection and of every jump host on its way (Fabric would accept any)."""
    import paramiko

    class Policy(paramiko.MissingHostKeyPolicy):
        """Refuse an unknown host key, or write it down when the inventory says accept-new."""

        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            if not target.accept_new_host_keys:
                raise _unknown_host_key(hop, target, key)
            known_hosts.append(hop, hostname, key)

    hop = connection
    hop.client.set_missing_host_key_policy(Policy())
    known_hosts.tell(hop)
    if hop.gateway and not isinstance(hop.gateway, str):
        _check_host_keys(hop.gateway, target)


def _unknown_host_key(connection: Any, target: SshTarget, key: Any) -> UnreachableError:
    return UnreachableError(
        f"{target.name}: the host key of {known_hosts.name_of(connection)} is not known",
        cause=f"It presented {key.get_name()} {fingerprint(key)}.",
        remedy="Compare that fingerprint with the host's (on it: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), "
        f"then add it: ssh-keyscan -p {connection.port} {connection.host} "
        f">> {shlex.quote(str(known_hosts.files(connection)[0]))}\n"
        "Or set `host_keys: accept-new` in the inventory to add unknown keys at the first connection.",
    )

"""Why a connection cannot be opened, in a person's words: where on the way it ended, why, and what to do next."""

from __future__ import annotations

import shlex
import socket
from dataclasses import dataclass
from typing import Any

from provisioning.errors import UnreachableError
from provisioning.transport import key_files, known_hosts
from provisioning.transport.limits import reason
from provisioning.transport.target import SshTarget

PASSPHRASE = "PROVISION_KEY_PASSPHRASE"
"""The variable that holds the passphrase of SSH keys."""


@dataclass(frozen=True)
class Hop:
    """A `fabric.Connection` on the way to a host: that of a jump host, or its own."""

    connection: Any
    target: SshTarget
    is_last: bool

    @property
    def place(self) -> str:
        """Where it leads."""
        place = f"{self.connection.host}:{self.connection.port}"
        return place if self.is_last else f"the jump host {place}"

    @property
    def _arguments(self) -> str:
        """For ssh and ssh-copy-id."""
        return f"-p {self.connection.port} {shlex.quote(f'{self.connection.user}@{self.connection.host}')}"

    def explained(self, error: Exception, *, answered: bool) -> UnreachableError:
        """Turn what paramiko raises into what it means; `answered`: the host does, so what failed is on our side."""
        import paramiko

        if isinstance(error, UnreachableError):
            return error
        if isinstance(error, paramiko.BadHostKeyException):
            return self._changed_host_key(error.key)
        if is_refusal(error, answered=answered):
            return self._refused(str(error))
        if isinstance(error, socket.gaierror):
            return self._unknown_name(error)
        cause = reason(error, self.target.timeout)
        if isinstance(error, paramiko.ChannelException) and (jump := self.connection.gateway):
            cause = f"The jump host {jump.host}:{jump.port} says: {error.text}"
        is_ours = answered or not isinstance(error, OSError | EOFError | paramiko.SSHException)
        return UnreachableError(
            f"{self.target.name}: cannot connect to {self.place}",
            cause=cause,
            remedy=f"Is the host up, and does sshd listen there? Try: ssh {self._arguments}",
            retryable=not is_ours,
        )

    def _refused(self, cause: str) -> UnreachableError:
        if key := key_files.locked(self.connection):
            tried = self.connection.connect_kwargs.get("passphrase") is not None
            cause = "The password is refused. " if self.connection.connect_kwargs.get("password") else ""
            cause += f"The passphrase does not open the key {key}." if tried else f"The key {key} is encrypted."
            remedy = f"Load it with `ssh-add`, or put its passphrase into {PASSPHRASE}."
        else:
            keys = "ansible_user and ansible_ssh_private_key_file" if self.is_last else "its part of ~/.ssh/config"
            if self.is_last and (named := self.target.private_key_file):
                cause = key_files.unreadable(named) or cause
            remedy = f"Check {keys}, or copy your key there: ssh-copy-id {self._arguments}"
        return UnreachableError(
            f"{self.target.name}: {self.connection.user} is not let in at {self.place}", cause=cause, remedy=remedy
        )

    def _unknown_name(self, error: socket.gaierror) -> UnreachableError:
        of = "" if self.is_last else " of a jump host"
        where = "ansible_host in the inventory, or HostName" if self.is_last else "ProxyJump in the inventory, or"
        return UnreachableError(
            f"{self.target.name}: the name {self.connection.host}{of} is not known",
            cause=str(error),
            remedy=f"Check {where} in ~/.ssh/config.",
            retryable=error.errno == socket.EAI_AGAIN,
        )

    def _changed_host_key(self, key: Any) -> UnreachableError:
        return UnreachableError(
            f"{self.target.name}: the host key of {self.place} has CHANGED",
            cause=f"{key.get_name()} {fingerprint(key)} is not the key in known_hosts. "
            "The host was reinstalled, or somebody answers in its place.",
            remedy=f"If you know why, forget the old key: ssh-keygen -R '{known_hosts.name_of(self.connection)}'",
        )

    def unknown_host_key(self, key: Any) -> UnreachableError:
        """Say how the key is compared and added."""
        connection = self.connection
        return UnreachableError(
            f"{self.target.name}: the host key of {known_hosts.name_of(connection)} is not known",
            cause=f"It presented {key.get_name()} {fingerprint(key)}.",
            remedy="Compare that fingerprint with the host's (on it: ssh-keygen -lf "
            f"/etc/ssh/ssh_host_ed25519_key.pub), then add it: ssh-keyscan -p {connection.port} "
            f"{shlex.quote(connection.host)} "
            f">> {shlex.quote(str(known_hosts.files(connection)[0]))}\n"
            "Or set `host_keys: accept-new` in the inventory to add unknown keys at the first connection.",
        )


def is_refusal(error: Exception, *, answered: bool) -> bool:
    """Whether a host says that it lets nobody in who comes so, which is more than that it hangs or goes away."""
    from paramiko import AuthenticationException, SSHException

    # What paramiko makes of these is an AuthenticationException as well.
    if str(error) == "Authentication timeout." or str(error).endswith("transport shut down or saw EOF"):
        return False
    return isinstance(error, AuthenticationException) or (answered and isinstance(error, SSHException))


def fingerprint(key: Any) -> str:
    """SHA-256 fingerprint of a host key, as `ssh-keygen -l` prints it."""
    import base64
    import hashlib

    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")

"""A host over SSH: Fabric's connection (ssh_config, jump hosts, agents), with host keys checked.

Fabric adds unknown host keys silently (its policy is hard-coded to AutoAddPolicy), so the policy is set here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from provisioning.errors import ConnectionLostError
from provisioning.transport import sessions
from provisioning.transport.base import Completed, OnOutput, Reached, Stream
from provisioning.transport.limits import begin, within
from provisioning.transport.own_output import OwnOutput
from provisioning.transport.tunnel import listening

PIECE = 65536
"""Bytes that are read at once."""
HELD_SILENCE = 60
"""Seconds to wait for a line of a command that is kept running, and for the host to take one."""
ANSWER = 30
"""Seconds that a host may take to open a channel, or to listen."""


class _HeldChannel:
    def __init__(self, channel: Any, own: OwnOutput, lost: Callable[[str], ConnectionLostError]) -> None:
        self._channel = channel
        self._pieces = own.pieces(partial(channel.recv, PIECE))
        self._lost = lost

    def lines(self) -> Iterator[str]:
        begun = b""
        try:
            for piece in self._pieces:
                *whole, begun = (begun + piece).split(b"\n")
                yield from (line.decode(errors="replace") for line in whole)
        except TimeoutError as error:
            raise self._lost(f"no answer for {HELD_SILENCE} s") from error
        if begun:
            yield begun.decode(errors="replace")

    def write(self, data: bytes) -> None:
        self._channel.sendall(data)

    def read(self) -> bytes:
        return next(self._pieces, b"")

    def finish(self) -> None:
        self._channel.shutdown_write()


class SshTransport:
    """Runs commands over one SSH connection, opened on first use by `connect` (a `fabric.Connection`, open).

    One that was lost is opened by `reconnect`.
    """

    def __init__(self, name: str, connect: Callable[[], Any], *, reconnect: Callable[[], Any]) -> None:
        self.connections = 0
        self._name = name
        self._connect = connect
        self._reconnect = reconnect
        self._connection: Any = None
        self._opening = threading.Lock()

    def execute(
        self, command: str, stdin: Iterable[bytes], *, timeout: float | None = None, on_output: OnOutput | None = None
    ) -> Completed:
        """Run `command`; see `Transport.execute`."""
        channel, own = self._channel(timeout), OwnOutput(command)
        errors: list[bytes] = []
        output: list[bytes] = []
        try:
            channel.settimeout(timeout)
            begin(channel, own.command, timeout)
            reader = threading.Thread(target=_collect, args=(channel, errors), daemon=True)
            reader.start()
            _feed(channel, stdin)
            for piece in own.pieces(partial(channel.recv, PIECE)):
                (on_output or output.append)(piece)
            reader.join(timeout=10)
            exit_code = channel.recv_exit_status() if channel.exit_status_ready() or self._alive() else -1
        except TimeoutError as error:
            # Long commands beat: whether the network or the host hangs, only a new connection can tell.
            raise self._lost(f"no sign of life for {timeout or 0:.0f} s") from error
        except (OSError, EOFError, _ssh_exception()) as error:
            raise self._lost(str(error)) from error
        finally:
            channel.close()
        if exit_code == -1:
            raise self._lost("it closed before the command ended")
        return Completed(exit_code, b"".join(output), b"".join(errors))

    @contextmanager
    def hold(self, command: str, stdin: bytes, *, silence: float | None = HELD_SILENCE) -> Iterator[_HeldChannel]:
        """Keep `command` running; see `Transport.hold`."""
        channel, own = self._channel(silence), OwnOutput(command)
        channel.settimeout(silence)
        try:
            try:
                begin(channel, own.command, silence)
                channel.sendall(stdin)
            except (OSError, EOFError, _ssh_exception()) as error:
                raise self._lost(str(error)) from error
            yield _HeldChannel(channel, own, self._lost)
        finally:
            channel.close()

    @contextmanager
    def forward(self, address: str, port: int, local_port: int = 0) -> Iterator[str]:
        """Open a tunnel; see `Transport.forward`.

        Fabric's own listens some time after it has said so, and lets its clients wait for ever where nobody answers.
        """
        try:
            self.dial(address, port).close()
        except ConnectionLostError:  # unnoticed, while nothing was asked: it is made anew
            self.dial(address, port).close()
        with listening(local_port, partial(self.dial, address, port)) as listens_at:
            yield f"127.0.0.1:{listens_at}"

    def dial(self, address: str, port: int) -> Stream:
        """Open a channel to there; see `Transport.dial`."""
        from paramiko.common import OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        from paramiko.ssh_exception import ChannelException

        transport = self._transport()
        try:
            channel: Stream = transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=ANSWER)
        except ChannelException as error:
            forbids = error.code == OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
            words = f"{error.text}: sshd forbids tunnels (AllowTcpForwarding)" if forbids else error.text
            raise ConnectionRefusedError(words) from error
        except (OSError, EOFError, _ssh_exception()) as error:
            raise self._lost(str(error)) from error
        return channel

    @contextmanager
    def listen(self, take: Callable[[Stream], None]) -> Iterator[int]:
        """Listen on the host's loopback, as `ssh -R` does; see `Transport.listen`."""
        transport, asked = self._transport(), ("127.0.0.1", 0, lambda channel, origin, server: take(channel))
        try:
            port = within(ANSWER, lambda: int(transport.request_port_forward(*asked)))
        except TimeoutError as error:
            raise self._lost(f"no answer for {ANSWER} s to the request to listen") from error
        except _ssh_exception() as error:
            raise ConnectionRefusedError(str(error)) from error
        try:
            yield port
        finally:
            with suppress(TimeoutError, EOFError, OSError, _ssh_exception()):
                within(ANSWER, lambda: transport.cancel_port_forward("127.0.0.1", port))

    def reached(self) -> Reached:
        """Where the host is."""
        key = self._transport().get_remote_server_key()
        connection = self._connection
        return Reached(connection.host, connection.port, connection.user, f"{key.get_name()} {key.get_base64()}")

    def close(self) -> None:
        """Drop the connection."""
        with self._opening:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _transport(self) -> Any:
        with self._opening:
            if self._connection is None or not self._alive():
                self._connection = self._reconnect() if self.connections else self._connect()
                self.connections += 1
            return self._connection.client.get_transport()

    def _channel(self, patience: float | None = None) -> Any:
        transport = self._transport()
        try:
            return sessions.opened(transport, self._name, min(ANSWER, patience or ANSWER))
        except (OSError, EOFError, _ssh_exception()) as error:
            raise self._lost(str(error)) from error

    def _alive(self) -> bool:
        transport = self._connection.client.get_transport() if self._connection is not None else None
        return bool(transport and transport.is_active())

    def _lost(self, cause: str) -> ConnectionLostError:
        self.close()
        return ConnectionLostError(
            f"{self._name}: the SSH connection was lost",
            cause=cause or "The host ended it.",
            remedy="Run the same command again: it goes on where it stopped.",
        )


def _ssh_exception() -> type[Exception]:
    from paramiko.ssh_exception import SSHException

    return SSHException


def _feed(channel: Any, stdin: Iterable[bytes]) -> None:
    try:
        for piece in stdin:
            channel.sendall(piece)
        channel.shutdown_write()
    except TimeoutError:
        raise  # nobody takes it: the line, or the host, hangs
    except OSError:
        pass  # it ended without reading all; its exit code and its words say why


def _collect(channel: Any, errors: list[bytes]) -> None:
    try:
        while chunk := channel.recv_stderr(65536):
            errors.append(chunk)
    except OSError:
        pass  # the reader of standard output reports the loss

"""The contract of a transport: run one command line with bytes on its standard input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

OnOutput = Callable[[bytes], None]

PIECE = 1 << 20
"""Bytes that are given to a command at once: paramiko copies all that is left for every packet."""


class Stream(Protocol):
    """One connection that somebody made to a place where a transport listens: a socket, or what works like one."""

    def recv(self, size: int, /) -> bytes:
        """Give what has come; b"" at its end."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""
        ...

    def shutdown(self, how: int, /) -> None:
        """Say that no more is sent: socket.SHUT_WR."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


@dataclass(frozen=True)
class Reached:
    """Where and as whom a host was reached over SSH, and the host key that was verified."""

    address: str
    port: int
    user: str
    host_key: str
    """Type and key, as in known_hosts."""


@dataclass(frozen=True)
class Completed:
    """What a command left: its exit code and all it wrote."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Transport(Protocol):
    """A way to one host. Connections are made on first use and kept."""

    connections: int
    """Connections opened so far (0 for this machine)."""

    def execute(
        self, command: str, stdin: Iterable[bytes], *, timeout: float | None = None, on_output: OnOutput | None = None
    ) -> Completed:
        """Run `command` with the pieces of `stdin`, one after another, on its standard input.

        `timeout` is in seconds without any output. With `on_output` standard output goes there, not into the result.
        Raises `ConnectionLostError` when the connection breaks, or the timeout passes on it (`CommandError` here, where
        there is none to break).
        """
        ...

    def hold(self, command: str, stdin: bytes, *, silence: float | None = 60) -> AbstractContextManager[Held]:
        """Start `command` and keep it running, its standard input open, until the context ends.

        `silence`: seconds to wait for its output, and for it to take its input, over a connection.
        """
        ...

    def forward(self, address: str, port: int, local_port: int = 0) -> AbstractContextManager[str]:
        """Give `HOST:PORT` of this machine, from where that address and port are reached as from the host.

        On the way to another host it is at `local_port` of the loopback; 0 takes a free one. Raises
        `ConnectionRefusedError` where nobody listens there.
        """
        ...

    def dial(self, address: str, port: int) -> Stream:
        """Connect to that address and port as from the host.

        Raises `ConnectionRefusedError` where nobody listens there, and `UnreachableError`.
        """
        ...

    def listen(self, take: Callable[[Stream], None]) -> AbstractContextManager[int]:
        """Listen on the host's loopback, and give the port. Each connection is given to `take`, which returns at once.

        It ends with the context, and with the transport's present connection. Raises `ConnectionRefusedError` where
        the host forbids it.
        """
        ...

    def reached(self) -> Reached | None:
        """Where the host is; None for this machine."""
        ...

    def close(self) -> None:
        """Drop the connection."""
        ...


class Held(Protocol):
    """A command that is kept running."""

    def lines(self) -> Iterator[str]:
        """Lines that the command writes, as they come."""
        ...

    def write(self, data: bytes) -> None:
        """Write to its standard input."""
        ...

    def read(self) -> bytes:
        """Give what it has written, as it comes; b"" at its end."""
        ...

    def finish(self) -> None:
        """End its standard input."""
        ...


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut data that is at hand."""
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))

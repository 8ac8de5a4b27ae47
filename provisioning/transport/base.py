"""The contract of a transport: run one command line with bytes on its standard input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Protocol

OnOutput = Callable[[bytes], None]

PIECE = 1 << 20
"""Bytes that are given to a command at once: paramiko copies all that is left for every packet."""


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

    def hold(self, command: str, stdin: bytes) -> AbstractContextManager[Held]:
        """Start `command` and keep it running, its standard input open, until the context ends."""
        ...

    def forward(self, address: str, port: int) -> AbstractContextManager[str]:
        """Give `HOST:PORT` of this machine, from where that address and port are reached as from the host."""
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


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut data that is at hand."""
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))


def decoded_lines(stream: IO[bytes]) -> Iterator[str]:
    """Lines of a byte stream as text."""
    for line in iter(stream.readline, b""):
        yield line.decode(errors="replace").rstrip("\n")

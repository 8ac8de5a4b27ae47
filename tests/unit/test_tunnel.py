"""The local end of a tunnel: who connects to it is joined to a place, or sees an end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from provisioning.transport.tunnel import listening


@pytest.fixture
def place() -> Iterator[int]:
    """A port whose owner says backwards what it has been told, once no more comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    told = server.accept()[0]
                except OSError:
                    return
                with told, told.makefile("rb") as lines:
                    told.sendall(lines.read()[::-1])

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def say(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as way, way.makefile("rb") as answer:
        way.sendall(data)
        way.shutdown(socket.SHUT_WR)
        return answer.read()


def test_it_joins_both_ends_for_as_long_as_it_is_wanted(place: int) -> None:
    long = bytes(range(256)) * 4096
    with listening(0, lambda: socket.create_connection(("127.0.0.1", place))) as port:
        assert say(port, long) == long[::-1]
        assert say(port, b"again") == b"niaga"
    with pytest.raises(ConnectionRefusedError):
        say(port, b"")


def test_where_nobody_answers_any_more_it_ends() -> None:
    def dial() -> socket.socket:
        raise ConnectionRefusedError

    with listening(0, dial) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as way:
        assert way.recv(1) == b""


def test_a_port_that_is_taken(place: int) -> None:
    with pytest.raises(OSError, match="in use"), listening(place, socket.socket):
        pass

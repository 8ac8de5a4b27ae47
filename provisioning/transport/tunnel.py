"""A tunnel as `ssh -L` makes one: whoever connects to a port of this machine is joined to a place elsewhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from provisioning.transport.base import Stream


@contextmanager
def listening(local_port: int, dial: Callable[[], Stream]) -> Iterator[int]:
    """Listen on this machine's loopback until the context ends, at a free port for 0, and give the port.

    Each connection is joined to what `dial` opens; where that fails it is closed. Raises `OSError` where the port is
    taken.
    """
    with socket.create_server(("127.0.0.1", local_port)) as listener:
        threading.Thread(target=_accept, args=(listener, dial), daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, dial: Callable[[], Stream]) -> None:
    while True:
        try:
            here = listener.accept()[0]
        except OSError:
            return  # the context has ended
        threading.Thread(target=_join, args=(here, dial), daemon=True).start()


def _join(here: socket.socket, dial: Callable[[], Stream]) -> None:
    with here:
        try:
            there = dial()
        except Exception:
            return  # nobody listens there any more, or the connection is gone: who asked sees an end
        answering = threading.Thread(target=_pump, args=(there, here), daemon=True)
        answering.start()
        _pump(here, there)
        answering.join()
        there.close()


def _pump(source: Stream, sink: Stream) -> None:
    with suppress(OSError, EOFError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError, EOFError):
        sink.shutdown(socket.SHUT_WR)

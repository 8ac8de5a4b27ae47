"""A TCP proxy that cuts, stalls, delays, slows, spoils and counts: a bad line to a machine's sshd, or to a hub."""

from __future__ import annotations

import socket
import threading
import time


class Throttle:
    """Bounds how fast bytes pass, over all threads that ask; None: as fast as they can."""

    def __init__(self, bytes_per_second: int | None = None) -> None:
        """Set the bound, which may be changed at any time."""
        self.bytes_per_second = bytes_per_second
        self._free_at, self._lock = 0.0, threading.Lock()

    def wait(self, amount: int) -> None:
        """Sleep until this many bytes more have had their time."""
        if not self.bytes_per_second:
            return
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + amount / self.bytes_per_second
            due = self._free_at
        while self.bytes_per_second and (pause := due - time.monotonic()) > 0:
            time.sleep(min(pause, 0.1))


class Proxy:
    """Passes connections on to `target`; listens on a port of its own."""

    def __init__(
        self,
        target: tuple[str, int],
        listen: str = "127.0.0.1",
        port: int = 0,
        *,
        listener: socket.socket | None = None,
    ) -> None:
        """Listen, or let `listener` do it; connections are accepted at once."""
        self.target, self.delay = target, 0.0
        self.connections = 0
        """How many connections have been accepted."""
        self.bytes_up = self.bytes_down = 0
        """How much has been passed to the target, and from it."""
        self.refusing = False
        """While true, new connections are reset at once."""
        self.cut_after: int | None = None
        """Cut everything once this many bytes have come from the target, then forget it."""
        self.flip_at: int | None = None
        """Change the byte at this place of all that comes from the target, counted from 0, then forget it."""
        self.throttle, self.upward = Throttle(), Throttle()
        """Their `bytes_per_second` bounds what comes from the target, and what goes there, over all connections."""
        self._flowing, self._lock = _set(), threading.Lock()
        self._forgotten: list[threading.Event] = []
        self._open: set[socket.socket] = set()
        self._listener = listener or socket.create_server((listen, port), backlog=64)
        self.address, self.port = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        """Already listening."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening and cut everything."""
        _hang_up(self._listener)
        self._listener.close()
        for flowing in (*self._forgotten, self._flowing):
            flowing.set()
        self.cut()

    @property
    def alive(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._open) // 2

    def cut(self) -> None:
        """Reset every open connection, as a router that lost its state does."""
        with self._lock:
            victims, self._open = self._open, set()
        for victim in victims:
            _reset(victim)

    def stall(self) -> None:
        """Pass nothing on, and close nothing: the line is dead, and nobody says so."""
        self._flowing.clear()

    def forget(self) -> None:
        """Pass nothing on over what is open now, ever, and say so to nobody; new connections are good."""
        self._flowing.clear()
        self._forgotten.append(self._flowing)
        self._flowing = _set()

    def resume(self) -> None:
        """Pass on again, with what was held back."""
        self._flowing.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refusing:
                _reset(client)
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self.target)
        except OSError:
            _reset(client)
            return
        with self._lock:
            self._open |= {client, server}
        upward = threading.Thread(target=self._pass, args=(client, server, True), daemon=True)
        upward.start()
        self._pass(server, client, False)
        upward.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pass(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        flowing = self._flowing
        try:
            while data := source.recv(65536):
                flowing.wait()
                if self.delay:
                    time.sleep(self.delay)
                if not up:
                    data = self._spoil(data)
                (self.upward if up else self.throttle).wait(len(data))
                sink.sendall(data)
                self._count(len(data), up)
            flowing.wait()
            if source in self._open:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            flowing.wait()
            for end in (source, sink):
                _hang_up(end)

    def _spoil(self, data: bytes) -> bytes:
        with self._lock:
            place = None if self.flip_at is None else self.flip_at - self.bytes_down
            if place is None or not 0 <= place < len(data):
                return data
            self.flip_at = None
        return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]

    def _count(self, amount: int, up: bool) -> None:
        with self._lock:
            if up:
                self.bytes_up += amount
                return
            self.bytes_down += amount
            cut = self.cut_after is not None and self.bytes_down >= self.cut_after
            if cut:
                self.cut_after = None
        if cut:
            self.cut()


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def _hang_up(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _reset(victim: socket.socket) -> None:
    """Close so that the other end gets a reset rather than an orderly end."""
    try:
        victim.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        victim.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    victim.close()

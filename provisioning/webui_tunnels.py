"""Ports of this machine's loopback that lead to services of remote hosts, over SSH connections that are made anew."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from provisioning import fleet
from provisioning.errors import ProvisioningError, UnreachableError
from provisioning.host import Host, quote
from provisioning.inventory import HostEntry
from provisioning.serve_settings import ResolvedService
from provisioning.transport.base import Stream

PIECE = 65536


class Way:
    """The way to one host. A connection that was lost is made anew for the next question, with a single attempt."""

    def __init__(self, entry: HostEntry) -> None:
        self._entry = entry
        self._host = self._fresh()
        self._lock = threading.Lock()

    def _fresh(self) -> Host:
        settings = self._entry.settings.model_copy(update={"connect_attempts": 1})
        return fleet.open_host(replace(self._entry, settings=settings), patient=False)

    def dial(self, service: ResolvedService) -> Stream:
        """Connect to a service. Raises `ConnectionRefusedError` where nobody listens, and `UnreachableError`."""
        with self._lock:
            try:
                return self._host.transport.dial(service.own_address, service.port)
            except UnreachableError:
                self._host.close()
                self._host = self._fresh()
                return self._host.transport.dial(service.own_address, service.port)

    def phase(self, service: ResolvedService) -> str:
        """Where the service's program says that it stands; "" where that cannot be read without asking anybody."""
        file = quote(f"/run/vllm/{service.name}/state.json")
        look = f"cat {file} 2>/dev/null || sudo -n cat {file} 2>/dev/null"
        try:
            found = json.loads(self._host.run(look, as_root=False, check=False, timeout=20).stdout)
            return str(found["phase"])
        except (ProvisioningError, ValueError, KeyError, TypeError):
            return ""

    def close(self) -> None:
        """Drop the connection."""
        self._host.close()


@contextmanager
def tunnel(way: Way, service: ResolvedService) -> Iterator[str]:
    """Give the URL on this machine from where the service is reached, until the context ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, way, service), daemon=True).start()
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, way: Way, service: ResolvedService) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_lead, args=(client, way, service), daemon=True).start()


def _lead(client: socket.socket, way: Way, service: ResolvedService) -> None:
    with client, suppress(OSError, EOFError):
        try:
            stream = way.dial(service)
        except ConnectionRefusedError:
            _excuse(client, code=way.phase(service))
        except ProvisioningError as error:
            _excuse(client, message=f"{error.message}: {error.cause}")
        else:
            _relay(client, stream)


def _relay(one: Stream, other: Stream) -> None:
    """Pass on what two ends say to one another, until either hangs up."""
    back = threading.Thread(target=_pass_on, args=(other, one), daemon=True)
    back.start()
    _pass_on(one, other)
    other.close()
    back.join()


def _pass_on(source: Stream, target: Stream) -> None:
    with suppress(OSError, EOFError):
        while data := source.recv(PIECE):
            target.sendall(data)
    with suppress(OSError, EOFError):
        target.shutdown(socket.SHUT_WR)


def _excuse(client: socket.socket, *, message: str = "", code: str = "") -> None:
    """Answer in the service's stead why it does not: in the form of its own errors."""
    body = json.dumps({"error": {"type": "tunnel", "message": message, "code": code}}).encode()
    client.settimeout(5)
    client.recv(PIECE)
    head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    client.shutdown(socket.SHUT_WR)
    # What is left unread when a socket is closed would take the answer with it.
    while client.recv(PIECE):
        pass

"""Ports of this machine's loopback that lead to services of remote hosts, over SSH connections that are made anew."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from provisioning import fleet
from provisioning.errors import ConnectionLostError, ProvisioningError
from provisioning.host import quote
from provisioning.inventory import HostEntry
from provisioning.serve_settings import ResolvedService
from provisioning.transport.base import Stream
from provisioning.transport.tunnel import listening


class Way:
    """The way to one host. A connection that was lost is made anew for the next question, with a single attempt."""

    def __init__(self, entry: HostEntry) -> None:
        self._host = fleet.open_host(entry, patient=False)
        self._lock = threading.Lock()

    def dial(self, service: ResolvedService) -> Stream:
        """Connect to a service, or to one that says in its stead, in the form of its own errors, why it does not."""
        try:
            return self._dial(service)
        except ConnectionRefusedError:
            return _Excuse(code=self._phase(service))
        except ProvisioningError as error:
            return _Excuse(message=f"{error.message}: {error.cause}")

    def _dial(self, service: ResolvedService) -> Stream:
        place = service.own_address, service.port
        with self._lock:
            try:
                return self._host.transport.dial(*place)
            except ConnectionLostError:
                return self._host.transport.dial(*place)

    def _phase(self, service: ResolvedService) -> str:
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
    with listening(0, partial(way.dial, service)) as port:
        yield f"http://127.0.0.1:{port}"


class _Excuse:
    """A server that gives whoever asks anything the same answer, and hangs up."""

    def __init__(self, *, message: str = "", code: str = "") -> None:
        body = json.dumps({"error": {"type": "tunnel", "message": message, "code": code}}).encode()
        head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self._answer = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._asked = threading.Event()

    def sendall(self, data: bytes, /) -> None:
        """Take the question."""
        self._asked.set()

    def recv(self, size: int, /) -> bytes:
        """Give the answer, once there is a question."""
        self._asked.wait()
        given, self._answer = self._answer[:size], self._answer[size:]
        return given

    def shutdown(self, how: int, /) -> None:
        """Nobody asks any more."""
        self._asked.set()

    def close(self) -> None:
        """Hang up."""

"""What can go wrong with HTTP answers, and a server that keeps book of it: for file servers and for `FaultyProxy`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hosts.proxy import Throttle


@dataclass
class Faults:
    """What goes wrong with the paths of one pattern. The first that applies does; `times` bounds how often."""

    status: int | None = None
    """Answer with this status and `body`; 200 with a page of HTML is what a portal before the network does."""
    body: str = "as the test told"
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers for that answer, such as Retry-After or Content-Type."""
    cut_after: int | None = None
    """Close the connection after this many bytes of the answer's body."""
    stall_after: int | None = None
    """Send this many bytes, then nothing, until `Faulty.resume` or the end of the server."""
    flip_at: int | None = None
    """Change the byte at this place of the answer's body, counted from 0."""
    ignore_range: bool = False
    """Answer a ranged request with everything, status 200."""
    bytes_per_second: int | None = None
    """Send slowly; each answer on its own."""
    method: str | None = None
    """Only requests with this method (None: all)."""
    times: int | None = None
    """How often (None: always)."""


@dataclass
class Request:
    """One request as it came, and how many bytes of body went out."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0
    query: str = ""


@dataclass
class Faulty:
    """A threaded HTTP server on loopback that keeps every request, and fails by path as it is told."""

    listen: str = "127.0.0.1"
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    faults: dict[str, Faults] = field(default_factory=dict)
    throttle: Throttle = field(default_factory=Throttle)
    """Its `bytes_per_second` bounds all answers together."""

    def start(self, handler: type[BaseHTTPRequestHandler]) -> None:
        """Serve with this handler."""
        self._lock, self._resumed = threading.Lock(), threading.Event()
        self._server = ThreadingHTTPServer((self.listen, self.port), type("Handler", (handler,), {"owner": self}))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        """Stop serving; stalled answers end."""
        self._resumed.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "") -> str:
        """The address of a path."""
        return f"http://{self.listen}:{self.port}/{path.lstrip('/')}"

    def fail(self, path: str, **faults: Any) -> None:
        """Let this path (or glob, of the path with or without its query) go wrong; replaces what it was told before."""
        self.faults[_absolute(path)] = Faults(**faults)

    def heal(self, path: str | None = None) -> None:
        """Let one path, or all, work again."""
        if path is None:
            self.faults.clear()
        else:
            self.faults.pop(_absolute(path), None)

    def resume(self) -> None:
        """Let stalled answers go on, and later ones not stall."""
        self._resumed.set()

    def asked(self, path: str, method: str = "GET") -> list[Request]:
        """The requests for a path or glob so far."""
        return [request for request in self.requests if request.method == method and _fits(request, path)]

    def sent(self, path: str) -> int:
        """How many bytes of body have gone out for a path or glob, over all requests."""
        return sum(request.sent for request in self.requests if _fits(request, path))

    def take_faults(self, request: Request) -> Faults:
        """What is to go wrong with the present request; counts it."""
        with self._lock:
            for pattern, faults in list(self.faults.items()):  # the test may tell others meanwhile
                if not _fits(request, pattern) or faults.method not in (None, request.method):
                    continue
                if faults.times is None:
                    return faults
                if faults.times > 0:
                    faults.times -= 1
                    return faults
            return Faults()

    def wait_resumed(self) -> None:
        """Block until stalls are over."""
        self._resumed.wait()


def _absolute(path: str) -> str:
    return "/" + path.lstrip("/")


def _fits(request: Request, pattern: str) -> bool:
    """Whether a request's path, alone or with its query, is this one or matches this glob."""
    names, pattern = (request.path, f"{request.path}?{request.query}"), _absolute(pattern)
    return pattern in names or any(fnmatchcase(name, pattern) for name in names)

"""An HTTP file server that fails on demand, for downloads that meet the real world."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .proxy import Proxy

__all__ = ["Faults", "FileServer", "Proxy", "Request"]

CHUNK = 64 * 1024


@dataclass
class Faults:
    """What goes wrong with one path. The first that applies does; `times` bounds how often (None: always)."""

    status: int | None = None
    """Answer with this status and `body`."""
    body: str = "as the test told"
    cut_after: int | None = None
    """Close the connection after this many bytes of the answer's body."""
    stall_after: int | None = None
    """Send this many bytes, then nothing, until `FileServer.resume` or the end of the server."""
    ignore_range: bool = False
    """Answer a ranged request with everything, status 200."""
    bytes_per_second: int | None = None
    """Send slowly."""
    times: int | None = None


@dataclass
class Request:
    """One request as it came, and how many bytes of body went out."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0


@dataclass
class FileServer:
    """Serves a folder over HTTP on loopback, with ranges, and keeps every request."""

    folder: Path
    listen: str = "127.0.0.1"
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    faults: dict[str, Faults] = field(default_factory=dict)

    def __enter__(self) -> FileServer:
        """Start serving."""
        handler = type("Handler", (_Handler,), {"owner": self})
        self._lock, self._resumed = threading.Lock(), threading.Event()
        self._server = ThreadingHTTPServer((self.listen, self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving; stalled answers end."""
        self._resumed.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "") -> str:
        """The address of a file."""
        return f"http://{self.listen}:{self.port}/{path.lstrip('/')}"

    def fail(self, path: str, **faults: Any) -> None:
        """Let this path go wrong from now on; replaces what it was told before."""
        self.faults["/" + path.lstrip("/")] = Faults(**faults)

    def heal(self, path: str | None = None) -> None:
        """Let one path, or all, work again."""
        if path is None:
            self.faults.clear()
        else:
            self.faults.pop("/" + path.lstrip("/"), None)

    def resume(self) -> None:
        """Let stalled answers go on, and later ones not stall."""
        self._resumed.set()

    def asked(self, path: str, method: str = "GET") -> list[Request]:
        """The requests for a path so far."""
        return [request for request in self.requests if (request.path, request.method) == (_absolute(path), method)]

    def sent(self, path: str) -> int:
        """How many bytes of a path's body have gone out, over all requests."""
        return sum(request.sent for request in self.requests if request.path == _absolute(path))

    def take_faults(self, path: str) -> Faults:
        """What is to go wrong with the present request; counts it."""
        with self._lock:
            faults = self.faults.get(path, Faults())
            if faults.times is not None:
                faults.times -= 1
                if faults.times < 0:
                    return Faults()
            return faults

    def wait_resumed(self) -> None:
        """Block until stalls are over."""
        self._resumed.wait()


def _absolute(path: str) -> str:
    return "/" + path.lstrip("/")


class _Handler(BaseHTTPRequestHandler):
    owner: FileServer
    protocol_version = "HTTP/1.1"
    request_record: Request

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the test's output clean; the requests are in `FileServer.requests`."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        record = self.request_record = Request(self.command, path, dict(self.headers.items()))
        self.owner.requests.append(record)
        faults = self.owner.take_faults(path)
        file = (self.owner.folder / path.lstrip("/")).resolve()
        if faults.status:
            self._text(faults.status, faults.body)
        elif not file.is_file() or not file.is_relative_to(self.owner.folder.resolve()):
            self._text(404, f"no such file: {path}")
        else:
            self._file(file.read_bytes(), faults)

    def _text(self, status: int, text: str) -> None:
        body = (text + "\n").encode()
        self._head(status, {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))})
        self._body(body, Faults())

    def _file(self, body: bytes, faults: Faults) -> None:
        total, wanted = len(body), None if faults.ignore_range else _range(self.headers.get("Range", ""), len(body))
        headers = {"Content-Type": "application/octet-stream", "ETag": f'"{total}"'}
        headers |= {} if faults.ignore_range else {"Accept-Ranges": "bytes"}
        if wanted is None:
            self._head(200, {**headers, "Content-Length": str(total)})
        elif wanted[0] >= total:
            self._head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
            return
        else:
            body = body[wanted[0] : wanted[1] + 1]
            place = f"bytes {wanted[0]}-{wanted[1]}/{total}"
            self._head(206, {**headers, "Content-Range": place, "Content-Length": str(len(body))})
        self._body(body, faults)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.request_record.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, body: bytes, faults: Faults) -> None:
        if self.command == "HEAD":
            return
        stops = [stop for stop in (faults.cut_after, faults.stall_after) if stop is not None]
        first = body[: min(stops)] if stops else body
        try:
            self._send(first, faults)
            if faults.cut_after is not None:
                self.close_connection = True
            elif faults.stall_after is not None:
                self.owner.wait_resumed()
                self._send(body[len(first) :], faults)
        except OSError:
            self.close_connection = True

    def _send(self, body: bytes, faults: Faults) -> None:
        step = CHUNK if not faults.bytes_per_second else max(1, faults.bytes_per_second // 20)
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            self.request_record.sent += len(piece)
            self.wfile.write(piece)
            if faults.bytes_per_second:
                time.sleep(len(piece) / faults.bytes_per_second)


def _range(header: str, total: int) -> tuple[int, int] | None:
    """The first and the last byte that a Range header asks for; None where it asks for all."""
    if not header.startswith("bytes=") or "," in header:
        return None
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not first:
        return max(0, total - int(last)), total - 1
    return int(first), min(int(last), total - 1) if last else total - 1

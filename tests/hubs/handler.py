"""Sends HTTP answers that go wrong as they are told to."""

from __future__ import annotations

import io
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from hosts.proxy import Throttle

from .faults import Faults, Request

CHUNK = 64 * 1024


class FaultyHandler(BaseHTTPRequestHandler):
    """Sends answers as `Faults` tell. A server defines `answer`."""

    owner: Any
    protocol_version = "HTTP/1.1"
    request_record: Request
    request_body: bytes

    def answer(self, faults: Faults) -> None:
        """Answer a request for which no other answer was told."""
        raise NotImplementedError

    def handle_request(self) -> None:
        """Note the request; fail as told, or answer."""
        parts = urlsplit(self.path)
        headers = dict(self.headers.items())
        record = Request(self.command, unquote(parts.path), headers, query=unquote(parts.query))
        self.request_record = record
        self.request_body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.owner.requests.append(record)
        faults = self.owner.take_faults(record)
        if faults.status:
            self.text(faults.status, faults.body, faults.headers)
        else:
            self.answer(faults)

    def do_GET(self) -> None:
        self.handle_request()

    def do_HEAD(self) -> None:
        self.handle_request()

    def do_POST(self) -> None:
        self.handle_request()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the test's output clean; the requests are in `Faulty.requests`."""

    def text(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer with a short text."""
        body = (text + "\n").encode()
        plain = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
        self.head(status, {**plain, **(headers or {})})
        self.deliver(io.BytesIO(body), Faults())

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers."""
        self.request_record.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def deliver(self, body: BinaryIO, faults: Faults) -> None:
        """Send what a file gives, and let go wrong what was told."""
        if self.command == "HEAD":
            return
        record, own = self.request_record, Throttle(faults.bytes_per_second)
        stops = [stop for stop in (faults.cut_after, faults.stall_after) if stop is not None]
        step = min(CHUNK, max(1, (faults.bytes_per_second or CHUNK * 20) // 20))
        try:
            while record.sent != faults.cut_after:
                if record.sent == faults.stall_after:
                    self.owner.wait_resumed()
                piece = body.read(min([step, *(stop - record.sent for stop in stops if stop > record.sent)]))
                if not piece:
                    return
                self._send(flipped(piece, faults.flip_at, record.sent))
                own.wait(len(piece))
                self.owner.throttle.wait(len(piece))
            self.close_connection = True
        except OSError:
            self.close_connection = True

    def _send(self, piece: bytes) -> None:
        """Send, counted beforehand: whoever has it all may count at once."""
        self.request_record.sent += len(piece)
        try:
            self.wfile.write(piece)
        except OSError:
            self.request_record.sent -= len(piece)
            raise


def flipped(piece: bytes, place: int | None, start: int) -> bytes:
    """A piece that begins at `start`, with the byte at `place` changed if it lies within."""
    if place is None or not start <= place < start + len(piece):
        return piece
    at = place - start
    return piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1 :]

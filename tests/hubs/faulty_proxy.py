"""A reverse proxy before any hub, through which requests go wrong by path as `Faults` tell."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPConnection
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from .faults import Faults, Faulty
from .handler import FaultyHandler

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "date", "server"}
"""Headers that are of one connection (RFC 9110, 7.6.1), and those that this server sets itself."""


@dataclass
class _Target:
    target: str


@dataclass
class FaultyProxy(Faulty, _Target):
    """Passes requests on to `target`, a URL. The Host header passes too, so links in answers lead through here."""

    def __enter__(self) -> FaultyProxy:
        """Start serving."""
        self.start(_Handler)
        return self


class _Handler(FaultyHandler):
    def answer(self, faults: Faults) -> None:
        address = urlsplit(self.owner.target)
        upstream = HTTPConnection(address.hostname or "", address.port or 80)
        drop = HOP_BY_HOP | ({"range"} if faults.ignore_range else set())
        headers = {name: value for name, value in self.headers.items() if name.lower() not in drop}
        try:
            upstream.request(self.command, address.path.rstrip("/") + self.path, self.request_body, headers)
            answer = upstream.getresponse()
            self._pass(answer.status, answer.getheaders(), cast(BinaryIO, answer), faults)
        except OSError as error:
            self.text(502, f"the target cannot be reached: {error}")
        finally:
            upstream.close()

    def _pass(self, status: int, headers: list[tuple[str, str]], body: BinaryIO, faults: Faults) -> None:
        kept = {name: value for name, value in headers if name.lower() not in HOP_BY_HOP}
        if not any(name.lower() == "content-length" for name in kept):
            # The end of the connection is then the end of the answer.
            kept["Connection"] = "close"
            self.close_connection = True
        self.head(status, kept)
        self.deliver(body, faults)

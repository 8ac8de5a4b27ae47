"""An HTTP file server that fails on demand, for downloads that meet the real world."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from hubs.faults import Faults, Faulty, Request
from hubs.handler import FaultyHandler

from .proxy import Proxy

__all__ = ["Faults", "FileServer", "Proxy", "Request"]


@dataclass
class _Folder:
    folder: Path


@dataclass
class FileServer(Faulty, _Folder):
    """Serves a folder over HTTP on loopback, with ranges, and keeps every request."""

    def __enter__(self) -> FileServer:
        """Start serving."""
        self.start(_Handler)
        return self


class _Handler(FaultyHandler):
    def answer(self, faults: Faults) -> None:
        path = self.request_record.path
        file = (self.owner.folder / path.lstrip("/")).resolve()
        if not file.is_file() or not file.is_relative_to(self.owner.folder.resolve()):
            self.text(404, f"no such file: {path}")
        else:
            self._file(file.read_bytes(), faults)

    def _file(self, body: bytes, faults: Faults) -> None:
        total, wanted = len(body), None if faults.ignore_range else _range(self.headers.get("Range", ""), len(body))
        headers = {"Content-Type": "application/octet-stream", "ETag": f'"{total}"'}
        headers |= {} if faults.ignore_range else {"Accept-Ranges": "bytes"}
        if wanted is None:
            self.head(200, {**headers, "Content-Length": str(total)})
        elif wanted[0] >= total:
            self.head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
            return
        else:
            body = body[wanted[0] : wanted[1] + 1]
            place = f"bytes {wanted[0]}-{wanted[1]}/{total}"
            self.head(206, {**headers, "Content-Range": place, "Content-Length": str(len(body))})
        self.deliver(io.BytesIO(body), faults)


def _range(header: str, total: int) -> tuple[int, int] | None:
    """The first and the last byte that a Range header asks for; None where it asks for all."""
    if not header.startswith("bytes=") or "," in header:
        return None
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not first:
        return max(0, total - int(last)), total - 1
    return int(first), min(int(last), total - 1) if last else total - 1

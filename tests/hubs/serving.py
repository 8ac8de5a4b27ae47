"""Serves a WSGI application on loopback, and what the hubs' applications have in common."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import Any, TypeVar

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response

Self = TypeVar("Self", bound="Hub")


class Hub:
    """A WSGI application on a loopback port of its own; a subclass defines `__call__`."""

    def __init__(self, listen: str = "127.0.0.1", port: int = 0) -> None:
        """Listen there once the `with` block is entered."""
        self.listen, self.port = listen, port

    def __enter__(self: Self) -> Self:
        """Serve, with a thread for each connection."""
        self._server = make_server(self.listen, self.port, self, threaded=True, request_handler=_Handler)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self.port = self._server.port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where the hub is."""
        return f"http://{self.listen}:{self.port}"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request."""
        raise NotImplementedError


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *arguments: Any) -> None:
        """Keep the test's output clean; what was asked is seen through `FaultyProxy`."""


def token_of(request: Request) -> str:
    """The token that a request brings: as a bearer, as git's password, or as ModelScope's cookie."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        return base64.b64decode(value).decode().partition(":")[2]
    return request.cookies.get("m_session_id", "")


def ranged(request: Request, file: Path, etag: str, headers: dict[str, str] | None = None) -> Response:
    """A file, or the range of it that was asked for."""
    response = send_file(file, request.environ, mimetype="application/octet-stream", etag=etag, conditional=True)
    response.headers.extend(headers or {})
    return response

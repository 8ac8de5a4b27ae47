"""Where the chat page can be opened, and whether it can be there at all."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from provisioning.errors import ConfigurationError
from provisioning.webui_settings import is_loopback


def url(listen: str, port: int) -> str:
    """The address for a browser on this machine."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def require_free(listen: str, port: int) -> None:
    """Raise `ConfigurationError` where the page cannot listen."""
    if port > 65535:
        raise ConfigurationError(f"--port: should be an integer between 1 and 65535, not {port}")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(listen, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise ConfigurationError(
            f"the chat page cannot listen at {listen}:{port}",
            cause=error.strerror or str(error),
            remedy="Another one: --port; `ss -ltnp` shows who listens on this one.",
        ) from error


def introduction(listen: str, port: int, shared: str | None, release: str | None = None) -> Iterator[str]:
    """Lines for whoever started it; `release` is the kernel's, this machine's own where it is left out."""
    kernel = Path("/proc/sys/kernel/osrelease").read_text() if release is None else release
    yield f"Chat at {url(listen, port)}    (Ctrl-C ends it)"
    if "microsoft" in kernel.lower():
        if is_loopback(listen) or listen in ("0.0.0.0", "::"):
            yield f"In a browser of Windows: http://localhost:{port} (WSL passes it on)"
        else:
            yield f"In a browser of Windows: {url(listen, port)}"
    if shared:
        yield f"From anywhere, as long as this runs: {shared}"

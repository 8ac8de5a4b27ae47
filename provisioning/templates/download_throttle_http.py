"""What the throttling proxy speaks of HTTP: heads of messages, and ways to servers and other proxies."""

import asyncio
import base64
import os
from urllib.parse import SplitResult, unquote, urlsplit

PORTS = {"http": 80, "https": 443}
CONNECTING = 15
"""Seconds."""
OURS = ("connection", "keep-alive", "proxy-connection", "proxy-authorization")
"""Headers that end here: they speak of one connection (https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Refused(Exception):  # noqa: N818 - an answer of HTTP
    """Its words are the status, and what else the head of the answer holds."""


async def head(reader: asyncio.StreamReader, otherwise: str) -> tuple[str, list[str]]:
    """Read the first line of a message, and its headers. Raises `Refused(otherwise)`."""
    try:
        first, *headers = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
    except (OSError, EOFError, asyncio.LimitOverrunError) as error:
        raise Refused(otherwise) from error
    return first, headers


def message(first: str, headers: "list[str]", *more: str) -> bytes:
    """The head of a message after which the connection ends."""
    kept = [line for line in headers if line.partition(":")[0].lower() not in OURS]
    return "\r\n".join([first, *kept, *more, "Connection: close", "", ""]).encode("latin-1", "replace")


def value(headers: "list[str]", name: str) -> str:
    """The value of a header, or ""."""
    return next((line.partition(":")[2].strip() for line in headers if line.lower().startswith(f"{name}:")), "")


def parsed(request: str) -> tuple[str, SplitResult, str]:
    """Method, URL and version of a request to a proxy. Raises `Refused`."""
    try:
        method, target, version = request.split(" ")
        url = urlsplit(f"https://{target}" if method == "CONNECT" else target)
        if url.hostname and (url.port or PORTS[url.scheme]):
            return method, url, version
    except (ValueError, KeyError):
        pass
    raise Refused("400 not a request to a proxy")


def basic(user: str, password: str) -> str:
    """The value of a header that logs in (https://www.rfc-editor.org/rfc/rfc7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def login(proxy: SplitResult) -> "list[str]":
    """The header for the login that a proxy's URL holds, if it holds one."""
    if proxy.username is None:
        return []
    return [f"Proxy-Authorization: {basic(unquote(proxy.username), unquote(proxy.password or ''))}"]


def place(url: SplitResult) -> str:
    """Host and port, without a login."""
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    return f"{host}:{url.port or PORTS[url.scheme]}"


async def connected(url: SplitResult, *, encrypted: bool) -> Streams:
    """Connect to the host of a URL. Raises `Refused` with the reason."""
    port = url.port or PORTS[url.scheme]
    try:
        connecting = asyncio.open_connection(url.hostname, port, ssl=encrypted or None, happy_eyeballs_delay=0.25)
        return await asyncio.wait_for(connecting, CONNECTING)
    except asyncio.TimeoutError as error:
        raise Refused(f"502 {place(url)} takes no connection within {CONNECTING} s") from error
    except OSError as error:
        said = error.strerror or str(error)
        reason = os.strerror(error.errno) if error.errno and said.startswith("Connect call failed") else said
        raise Refused(f"502 {place(url)} cannot be reached: {' '.join(reason.split())}") from error


async def tunnelled(proxy: Streams, url: SplitResult, target: SplitResult) -> None:
    """Have the proxy at `url` connect us to `target`. Raises `Refused` with what it says."""
    lines = [f"CONNECT {place(target)} HTTP/1.1", f"Host: {place(target)}", *login(url), "", ""]
    proxy[1].write("\r\n".join(lines).encode("latin-1"))
    status, _ = await head(proxy[0], f"502 the proxy {place(url)} ended the connection")
    if " 2" not in status[:10]:
        raise Refused(f"502 the proxy {place(url)} says: {status.partition(' ')[2]}")

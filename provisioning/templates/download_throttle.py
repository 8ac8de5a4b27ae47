"""Bounds what downloads take of a line: a proxy on this host, for programs that know of no limit, or each of its own.

Git, git-lfs, curl and the hubs' libraries honour `http_proxy` and `https_proxy`. What is encrypted passes as it is
(CONNECT). Where this host's environment names a proxy, the way goes on through that one. Nothing is logged.
"""

import asyncio
import hmac
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    from provisioning.templates import download_throttle_http as http
else:
    import download_throttle_http as http

PIECE = 1 << 16
"""Bytes that are passed on at once, at most."""
MOMENT = 0.02
"""Seconds of the rate that one piece may hold: it flows, without bursts."""
SAVED = 0.1
"""Seconds for which unused rate is kept, so that a busy host does not make it less."""


@contextmanager
def throttled(bytes_per_second: int) -> Iterator[str]:
    """Give the URL, with a login, of a proxy through which all downloads together take no more than this.

    Raises `OSError` where no port can be had.
    """
    password, started = secrets.token_urlsafe(24), Future[tuple[int, Callable[[], Any]]]()
    throttle = _Throttle(bytes_per_second, password)
    thread = threading.Thread(target=lambda: asyncio.run(throttle.serve(started)), daemon=True)
    thread.start()
    port, stop = started.result()
    try:
        yield f"http://limit:{password}@127.0.0.1:{port}"
    finally:
        stop()
        thread.join(5)  # the look-up of a name may keep it longer


class _Throttle:
    def __init__(self, rate: int, password: str) -> None:
        self._rate, self._free = rate, 0.0
        self._piece = max(1, min(PIECE, int(rate * MOMENT)))
        self._login = http.basic("limit", password)
        # As they are now: the program may go on to name this very proxy in its environment.
        self._proxies = getproxies()

    async def serve(self, started: "Future[tuple[int, Callable[[], Any]]]") -> None:
        """Serve until it is stopped; tells its port, and how to stop it."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(lambda *_: None)
        try:
            server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(ended.set)))
        await ended.wait()
        server.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                await self._answer((reader, writer))
        except http.Refused as error:
            writer.write(http.message(f"HTTP/1.1 {error}", ["Content-Length: 0"]))
        finally:
            writer.close()  # what was written still goes out

    async def _answer(self, client: http.Streams) -> None:
        request, headers = await http.head(client[0], "400 no request of HTTP")
        if not hmac.compare_digest(http.value(headers, "proxy-authorization").encode(), self._login.encode()):
            raise http.Refused('407 this proxy wants its login\r\nProxy-Authenticate: Basic realm="limit"')
        method, url, version = http.parsed(request)
        proxy = self._proxy(url)
        encrypted = proxy is not None and proxy.scheme == "https"
        server = await http.connected(proxy or url, encrypted=encrypted)
        try:
            if method == "CONNECT":
                if proxy:
                    await http.tunnelled(server, proxy, url)
                client[1].write(b"HTTP/1.1 200 connected\r\n\r\n")
                await _either(_upward(client, server), self._downward(server, client))
            else:
                target = url.geturl() if proxy else url._replace(scheme="", netloc="", path=url.path or "/").geturl()
                more = http.login(proxy) if proxy else []
                server[1].write(http.message(f"{method} {target} {version}", headers, *more))
                await _either(_upward(client, server), self._response(server, client, proxy))
        finally:
            server[1].close()

    def _proxy(self, url: SplitResult) -> "SplitResult | None":
        """The proxy of this host's environment for a URL, if there is one."""
        named = self._proxies.get(url.scheme) or self._proxies.get("all")
        if not named or proxy_bypass(http.place(url), self._proxies):
            return None
        proxy = urlsplit(named if "://" in named else f"http://{named}")
        if proxy.scheme not in http.PORTS:
            raise http.Refused(f"502 a rate can be bounded behind an http proxy, and not behind one of {proxy.scheme}")
        return proxy

    async def _response(self, server: http.Streams, client: http.Streams, proxy: "SplitResult | None") -> None:
        """Pass an answer on. The next request comes on another connection, for it may be for another server."""
        first = " 100"
        while " 1" in first[:10]:
            first, headers = await http.head(server[0], "502 the server ended the connection without an answer")
            if proxy and " 407" in first[:13]:
                raise http.Refused(f"502 the proxy {http.place(proxy)} does not take the login of this host")
            client[1].write(http.message(first, headers))
        await self._downward(server, client)

    async def _downward(self, server: http.Streams, client: http.Streams) -> None:
        while data := await server[0].read(self._piece):
            now = asyncio.get_running_loop().time()
            # Each piece, of whatever connection, has its time after the one before.
            self._free = max(self._free, now - SAVED) + len(data) / self._rate
            await asyncio.sleep(self._free - now)
            client[1].write(data)
            await client[1].drain()


async def _upward(client: http.Streams, server: http.Streams) -> None:
    while data := await client[0].read(PIECE):
        server[1].write(data)
        await server[1].drain()


async def _either(*ways: Coroutine[Any, Any, None]) -> None:
    """Go both ways until one ends: whoever downloads closes no half of a connection before it has its answer."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()

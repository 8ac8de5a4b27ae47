"""The proxy that bounds a download's rate, between real sockets."""

from __future__ import annotations

import http.client
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import SplitResult, urlsplit

import pytest

from provisioning.templates import FOLDER

sys.path.insert(0, str(FOLDER))

from download_throttle import throttled
from download_throttle_http import basic

RATE = 2_000_000
FAST = 10**9


class Handler(BaseHTTPRequestHandler):
    """Knows `/BYTES`, `/chunked`, and answers what is posted; keeps connections open, and minds no `close`."""

    protocol_version = "HTTP/1.1"
    broken = Event()
    heads: list[dict[str, str]] = []  # noqa: RUF012 - of all requests of a test

    def do_GET(self) -> None:
        self.heads.append({"": self.path, **dict(self.headers.items())})
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
            return
        self.send_header("Content-Length", self.path[1:])
        self.end_headers()
        if self.command == "GET":
            self._send(int(self.path[1:]))

    def _send(self, number: int) -> None:
        try:
            for start in range(0, number, 65536):
                self.wfile.write(b"x" * min(65536, number - start))
        except OSError:
            self.broken.set()

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        """Answer with `100 Continue` first, where that is asked for."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a server; nothing of this machine's own environment counts."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    Handler.broken.clear()
    Handler.heads.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{listening.server_port}"
        listening.shutdown()


def login(proxy: SplitResult) -> dict[str, str]:
    return {"Proxy-Authorization": basic(proxy.username or "", proxy.password or "")}


def connection(proxy: str, target: str = "") -> http.client.HTTPConnection:
    """A connection to the proxy; through it to the target, where one is named."""
    found = urlsplit(proxy)
    made = http.client.HTTPConnection(found.hostname or "", found.port, timeout=120)
    if target:
        made.set_tunnel(target, headers=login(found))
    return made


def request(made: http.client.HTTPConnection, proxy: str, server: str, path: str) -> None:
    """Ask through a tunnel, where no server is named; else the proxy itself."""
    made.request("GET", server + path, headers=login(urlsplit(proxy)) if server else {})


def ask(proxy: str, url: str, method: str = "GET", body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
    with closing(connection(proxy)) as made:
        made.request(method, url, body or None, {**login(urlsplit(proxy)), **headers})
        answer = made.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]
        return answer


@pytest.mark.parametrize(("connections", "encrypted"), [(1, False), (4, False), (4, True)])
def test_all_connections_together_hold_the_rate(server: str, connections: int, encrypted: bool) -> None:
    number = RATE * 5 // 2 // connections

    def fetch(proxy: str) -> float:
        with closing(connection(proxy, server if encrypted else "")) as made:
            request(made, proxy, "" if encrypted else f"http://{server}", f"/{number}")
            answer = made.getresponse()
            half = len(answer.read(number // 2))
            at_half = time.monotonic()
            assert half + len(answer.read()) == number
            return at_half

    # Never faster. A busy machine may make it slower, but not time and again.
    for _ in range(5):
        with throttled(RATE) as proxy, ThreadPoolExecutor(connections) as pool:
            began = time.monotonic()
            halves = list(pool.map(fetch, [proxy] * connections))
            took = time.monotonic() - began
        half = sum(halves) / connections - began
        assert took > 2.5 * 0.9
        assert half > 1.25 * 0.8
        if took < 2.5 * 1.2 and half < 1.25 * 1.4:
            return
    pytest.fail(f"it took {took:.1f} s, and {half:.1f} s for a half")


def test_plain_http(server: str) -> None:
    with throttled(FAST) as proxy:
        assert ask(proxy, f"http://{server}/chunked").body == b"hello world"
        assert ask(proxy, f"http://{server}/123456", "HEAD").headers["Content-Length"] == "123456"
        posted = ask(proxy, f"http://{server}/a?b=c", "POST", b"x" * 100_000, Expect="100-continue", Connection="x")
        assert posted.body == b"x" * 100_000
    assert [head[""] for head in Handler.heads] == ["/chunked", "/123456"]
    assert not any("Proxy-Authorization" in head for head in Handler.heads)


def test_a_connection_that_is_kept_does_not_reach_another_server(server: str) -> None:
    """Each answer says that its connection ends, so that a client takes another for the next request."""
    with throttled(FAST) as proxy, closing(connection(proxy)) as made:
        for _ in range(3):
            made.request("GET", f"http://{server}/10", headers={**login(urlsplit(proxy)), "Connection": "keep-alive"})
            answer = made.getresponse()
            assert (answer.read(), answer.headers["Connection"]) == (b"x" * 10, "close")


def test_a_tunnel_is_kept(server: str) -> None:
    with throttled(FAST) as proxy, closing(connection(proxy, server)) as made:
        for _ in range(3):
            made.request("GET", "/10")
            assert made.getresponse().read() == b"x" * 10


def test_a_way_through_another_proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with throttled(FAST) as upstream:
        monkeypatch.setenv("all_proxy", upstream)
        with throttled(FAST) as proxy, closing(connection(proxy, server)) as made:
            made.request("GET", "/10")
            assert made.getresponse().read() == b"x" * 10
            assert ask(proxy, f"http://{server}/20").body == b"x" * 20


def test_another_proxy_that_refuses(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with throttled(FAST) as upstream:
        place = f"127.0.0.1:{urlsplit(upstream).port}"
        monkeypatch.setenv("http_proxy", f"me:secret@{place}")
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@{place}")
        with throttled(FAST) as proxy, closing(connection(proxy, server)) as made:
            with pytest.raises(OSError, match=f"502 the proxy {place} says: 407"):
                made.connect()
            plain = ask(proxy, f"http://{server}/20")
            assert (plain.status, plain.reason) == (502, f"the proxy {place} does not take the login of this host")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with throttled(FAST) as proxy:
            assert ask(proxy, f"http://{server}/20").status == 200
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("http_proxy", f"socks5://me:secret@{place}")
        with throttled(FAST) as proxy:
            assert ask(proxy, f"http://{server}/20").reason.endswith("not behind one of socks5")


@pytest.mark.parametrize("password", ["", "wrong", "ü"])
def test_other_accounts_get_nothing(server: str, password: str) -> None:
    with throttled(FAST) as proxy:
        place = f"127.0.0.1:{urlsplit(proxy).port}"
        answer = ask(f"http://limit:{password}@{place}", f"http://{server}/10")
        assert (answer.status, answer.headers["Proxy-Authenticate"]) == (407, 'Basic realm="limit"')
        with closing(connection(f"http://{place}", server)) as made, pytest.raises(OSError, match="407"):
            made.connect()
    assert Handler.heads == []


def test_what_cannot_be_reached_is_said(server: str) -> None:
    with socket.socket() as closed, throttled(FAST) as proxy:
        closed.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{closed.getsockname()[1]}"
        assert ask(proxy, f"http://{place}/").reason == f"{place} cannot be reached: Connection refused"
        with closing(connection(proxy, place)) as made, pytest.raises(OSError, match=r"502 .*Connection refused"):
            made.connect()
        assert ask(proxy, "http://nowhere.invalid/").reason.startswith("nowhere.invalid:80 cannot be reached: ")


@pytest.mark.parametrize("url", ["/", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http://[::1/", "http:///"])
def test_what_is_no_request_to_a_proxy(server: str, url: str) -> None:
    with throttled(FAST) as proxy, socket.create_connection(("127.0.0.1", urlsplit(proxy).port or 0), 60) as raw:
        [(name, value)] = login(urlsplit(proxy)).items()
        raw.sendall(f"GET {url} HTTP/1.1\r\n{name}: {value}\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 400 not a request to a proxy")


def test_a_head_without_end_and_nonsense(server: str) -> None:
    with throttled(FAST) as proxy:
        for sent in (b"x" * 1_000_000, b"\x00\xff\r\n\r\n", b"GET /\r\n\r\n"):
            place = ("127.0.0.1", urlsplit(proxy).port or 0)
            with suppress(OSError), socket.create_connection(place, 60) as raw:
                raw.sendall(sent)
                raw.shutdown(socket.SHUT_WR)
                assert raw.recv(100).startswith((b"HTTP/1.1 400", b"HTTP/1.1 407"))
        assert ask(proxy, f"http://{server}/10").status == 200


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_client_that_goes_away_ends_the_download(
    server: str, encrypted: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    with throttled(RATE) as proxy:
        made = connection(proxy, server if encrypted else "")
        request(made, proxy, "" if encrypted else f"http://{server}", f"/{10**9}")
        answer = made.getresponse()
        answer.read(1000)
        answer.close()
        made.close()
        assert Handler.broken.wait(60)
    assert capfd.readouterr() == ("", "")


def test_its_end_ends_what_goes_through(server: str) -> None:
    with throttled(RATE) as proxy:
        made = connection(proxy, server)
        made.request("GET", f"/{10**9}")
        answer = made.getresponse()
    with closing(made), pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()

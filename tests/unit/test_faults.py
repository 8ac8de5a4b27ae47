"""The proxies of the tests fail as they are told, and only so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests
from hosts.proxy import Proxy
from hosts.servers import FileServer
from hubs.faulty_proxy import FaultyProxy

DATA = bytes(range(256)) * 4096


@pytest.fixture
def files(tmp_path: Path) -> Iterator[FileServer]:
    (tmp_path / "a file").write_bytes(DATA)
    with FileServer(tmp_path) as server:
        yield server


@pytest.fixture
def line(files: FileServer) -> Iterator[FaultyProxy]:
    with FaultyProxy(files.url()) as line:
        yield line


def get(line: FaultyProxy | FileServer, query: str = "", **headers: str) -> requests.Response:
    return requests.get(line.url("a file") + query, headers=headers, timeout=60)


def test_it_passes_on(files: FileServer, line: FaultyProxy) -> None:
    assert get(line).content == DATA
    part = get(line, Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, DATA[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(DATA)}"
    assert requests.head(line.url("a file"), timeout=60).headers["Content-Length"] == str(len(DATA))
    assert requests.get(line.url("other"), timeout=60).status_code == 404
    assert files.requests[0].headers["Host"] == f"127.0.0.1:{line.port}"
    assert line.sent("a file") == len(DATA) + 100


def test_other_answers(line: FaultyProxy) -> None:
    line.fail("*", status=429, headers={"Retry-After": "7"}, times=1)
    assert get(line).headers["Retry-After"] == "7"
    page = "<html>Log in to the network</html>"
    line.fail("*", status=200, body=page, headers={"Content-Type": "text/html"}, times=1)
    assert get(line).text == page + "\n"
    line.fail("*", ignore_range=True)
    assert get(line, Range="bytes=100-").status_code == 200
    line.heal()
    assert get(line).content == DATA


def test_patterns_see_the_query_and_the_method(line: FaultyProxy) -> None:
    line.fail("*FilePath=b c*", status=500)
    assert get(line, "?FilePath=b%20c&x=1").status_code == 500
    line.fail("*", status=503, method="HEAD")
    assert get(line).status_code == 200
    assert requests.head(line.url("a file"), timeout=60).status_code == 503


def test_bytes_go_wrong_once(line: FaultyProxy) -> None:
    line.fail("*", flip_at=70_000, times=1)
    got = get(line).content
    assert [at for at in range(len(DATA)) if got[at] != DATA[at]] == [70_000]
    assert get(line).content == DATA


def test_cut_and_stall(line: FaultyProxy) -> None:
    line.fail("*", cut_after=100_001)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="100001 bytes read"):
        get(line)
    line.fail("*", stall_after=10)
    with closing(HTTPConnection(line.listen, line.port, timeout=60)) as connection:
        connection.request("GET", "/a%20file")
        answer = connection.getresponse()
        assert answer.read(10) == DATA[:10]
        connection.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            answer.read(1)
    line.resume()
    assert get(line).content == DATA


def test_all_answers_share_a_rate(line: FaultyProxy) -> None:
    line.throttle.bytes_per_second = 4 * len(DATA)
    start = time.monotonic()
    for _ in range(2):
        assert get(line).content == DATA
    assert 0.4 < time.monotonic() - start < 30


def test_tcp_proxy_flips_slows_and_counts(files: FileServer) -> None:
    with Proxy(("127.0.0.1", files.port)) as line:
        line.flip_at, line.throttle.bytes_per_second = 500_000, 4 * len(DATA)
        start = time.monotonic()
        got = requests.get(f"http://127.0.0.1:{line.port}/a%20file", timeout=60).content
        assert sum(one != other for one, other in zip(got, DATA, strict=True)) == 1
        assert time.monotonic() - start > 0.2
        assert requests.get(f"http://127.0.0.1:{line.port}/a%20file", timeout=60).content == DATA
        deadline = time.monotonic() + 60
        while line.bytes_down <= 2 * len(DATA):  # it counts what it has passed on, which is here before
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert 0 < line.bytes_up < 2000


def test_a_hub_that_is_gone() -> None:
    with FaultyProxy("http://127.0.0.1:9") as line:
        assert get(line).status_code == 502

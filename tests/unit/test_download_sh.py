"""What downloads installers, by the real sh and curl, from a server on loopback that is slow."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts.proxy import Proxy

from provisioning.fetching import Fetching
from provisioning.templates import text
from provisioning.transfer import Said, Transfer

CONTENT = os.urandom(300_000)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Proxy]:
    """The way to the server."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served/installer").write_bytes(CONTENT)
    handler: Any = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with Proxy(("127.0.0.1", server.server_port)) as line:
            yield line
        server.shutdown()


def download(folder: Path, url: str, sha256: str = "") -> subprocess.CompletedProcess[str]:
    script = f"part={folder}/part\n{text('download.sh')}\ndownload '{sha256}' '{url}'"
    return subprocess.run(["sh", "-uc", script], capture_output=True, text=True, check=False, timeout=60)


def test_it_says_how_far_it_is(line: Proxy, tmp_path: Path) -> None:
    line.throttle.bytes_per_second = 60_000
    url = f"http://127.0.0.1:{line.port}/installer"
    done = download(tmp_path, url, hashlib.sha256(CONTENT).hexdigest())
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "part").read_bytes() == CONTENT
    told: list[Said] = []
    fetching = Fetching(told.append)
    for each in done.stdout.splitlines():
        fetching(each)
    assert told[0] == f"downloading {url}"
    transfers = [each for each in told if isinstance(each, Transfer)]
    assert len(transfers) > 2
    assert transfers[-1].complete
    assert transfers[-1].done == len(CONTENT)
    assert {each.size for each in transfers} - {0} == {len(CONTENT)}
    assert any(re.search(r"/s, \d+:\d\d min left", str(each)) for each in transfers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part", "served"]


def test_what_curl_says_is_passed_on(line: Proxy, tmp_path: Path) -> None:
    done = download(tmp_path, f"http://me:hunter2@127.0.0.1:{line.port}/none")
    assert done.returncode == 1
    assert f"warning: http://***@127.0.0.1:{line.port}/none: curl: (22)" in done.stdout
    assert "warning: it says: " in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["served"]

"""How long git is let wait for a server that takes no connection: it has no limit of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioning.templates import FOLDER

sys.path.insert(0, str(FOLDER))

import compile_fetch
import git_client
from compile_download import Unavailable
from download_sources import Transient
from git_repository import Repository

Said = Callable[..., str]


@pytest.fixture
def deaf() -> Iterator[str]:
    """Host and port of one that takes no connection, and refuses none: the kernel drops what does not fit its queue."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        yield "{}:{}".format(*server.getsockname())


@pytest.fixture
def open_server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield "{}:{}".format(*server.getsockname())


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


@pytest.fixture
def said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """What is said of a URL, soon where it is to be silence: a busy machine has time for all else."""

    def said(url: str, *, silent: bool = False) -> str:
        monkeypatch.setattr(git_client, "CONNECTING", 0.3 if silent else 30)
        return git_client.silence(str(repository), url)

    return said


def configure(repository: Path, *setting: str) -> None:
    subprocess.run(["git", "-C", repository, "config", *setting], check=True)


def test_a_server_that_takes_no_connection(said: Said, deaf: str, open_server: str) -> None:
    assert said(f"http://{deaf}/a/b.git", silent=True) == f"{deaf} takes no connection within 0.3 s"
    assert said(f"http://{open_server}/a/b.git") == ""


def test_a_proxy_is_asked_instead(
    said: Said, repository: Path, deaf: str, open_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:pass@{open_server}")
    assert said(f"http://{deaf}/a.git") == ""
    configure(repository, "http.proxy", deaf)
    assert said(f"http://{open_server}/a.git", silent=True).startswith(deaf)
    configure(repository, "http.proxy", "")
    assert said(f"http://{open_server}/a.git") == ""


def test_a_url_that_git_takes_another_for(said: Said, repository: Path, deaf: str, open_server: str) -> None:
    configure(repository, f"url.http://{open_server}/.insteadOf", f"http://{deaf}/")
    assert said(f"http://{deaf}/a.git") == ""


@pytest.mark.parametrize(
    "url", ["/srv/a.git", "file:///srv/a.git", "git@host.invalid:a.git", "http://[x", "http://a:b/"]
)
def test_what_is_not_http_is_left_to_git(said: Said, url: str) -> None:
    assert said(url) == ""


def test_nobody_waits_longer(repository: Path, deaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_client, "CONNECTING", 0.3)
    with pytest.raises(Transient, match="takes no connection"):
        Repository(str(repository), f"http://{deaf}/a.git", "").git("fetch", "-q", "origin", "HEAD")
    with pytest.raises(Unavailable, match="takes no connection"):
        compile_fetch.cloned(f"http://{deaf}/a.git", str(repository), "v1", 1)

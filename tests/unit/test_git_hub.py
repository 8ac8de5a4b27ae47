"""The git server of the tests serves the real git and git-lfs, with tokens, ranges and faults."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hosts.system import require_system_packages
from hubs.content import contents, make_model, make_sparse
from hubs.faulty_proxy import FaultyProxy
from hubs.git_hub import GitServer

ID, TOKEN = "Qwen/Tiny", "s3cret"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[GitServer]:
    require_system_packages("git", "git-lfs")
    with GitServer(tmp_path / "hub", token=TOKEN) as hub:
        yield hub


def git(*arguments: str | Path, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
    command = ["git", "-c", "filter.lfs.process=git-lfs filter-process", "-c", "filter.lfs.required=true", *arguments]
    environment = {**os.environ, **alone, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=check)


def pull(url: str, target: Path, **variables: str) -> None:
    git("clone", "-q", url, target, **variables)
    git("-C", target, "lfs", "pull", **variables)


def same(left: Path, right: Path) -> bool:
    hashes = [{path: content.sha256 for path, content in contents(folder).items()} for folder in (left, right)]
    hashes[1].pop(".gitattributes")
    return hashes[0] == hashes[1]


def test_clone_and_pull(hub: GitServer, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", small=2000)
    first = hub.add(ID, model, tag="v1.0")
    pull(hub.clone_url(ID), tmp_path / "got")
    assert same(model, tmp_path / "got")
    (model / "config.json").write_text("{}\n")
    second = hub.add(ID, model)
    refs = git("ls-remote", hub.clone_url(ID)).stdout.split()
    assert refs[::2] == [second, second, first]
    assert refs[1::2] == ["HEAD", "refs/heads/master", "refs/tags/v1.0"]


def test_a_large_object_takes_no_room(hub: GitServer, tmp_path: Path) -> None:
    make_sparse(tmp_path / "model" / "model.safetensors", 2**29)
    hub.add(ID, tmp_path / "model")
    place = hub.object_path(ID, contents(tmp_path / "model")["model.safetensors"].sha256)
    assert place.stat().st_size == 2**29
    assert place.stat().st_blocks * 512 < 2**20


def test_a_cut_object_is_resumed(hub: GitServer, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    hub.add(ID, model)
    weights = contents(model)["model-00001-of-00002.safetensors"]
    oid, size = weights.sha256, weights.size
    with FaultyProxy(hub.url) as line:
        line.fail(f"*/storage/{oid}", cut_after=100_000, times=1)
        pull(f"{line.url(ID)}.git", tmp_path / "got")
        asked = line.asked(f"*/storage/{oid}")
    assert same(model, tmp_path / "got")
    assert [request.status for request in asked] == [200, 206]
    assert [request.headers.get("Range") for request in asked] == [None, f"bytes=100000-{size - 1}"]
    assert sum(request.sent for request in asked) == size


def test_private_repositories(hub: GitServer, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    hub.add(ID, model, private=True)
    url = hub.clone_url(ID)
    assert requests.get(f"{url}/info/refs", timeout=60).status_code == 401
    assert requests.get(f"{url}/info/refs", headers={"Authorization": "Bearer no"}, timeout=60).status_code == 403
    assert "could not read Username" in git("clone", url, tmp_path / "no", check=False).stderr
    helper = '!f() { printf "username=oauth2\\npassword=%s\\n" "$TOKEN"; }; f'
    config = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": helper}
    pull(url, tmp_path / "got", TOKEN=TOKEN, **config)
    assert same(model, tmp_path / "got")


def test_what_is_not_there(hub: GitServer, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    hub.add(ID, model)
    assert "not found" in git("clone", hub.clone_url("Qwen/Other"), tmp_path / "no", check=False).stderr
    assert git("ls-remote", hub.clone_url(ID), "v9").stdout == ""
    hub.object_path(ID, contents(model)["model-00001-of-00002.safetensors"].sha256).unlink()
    git("clone", "-q", hub.clone_url(ID), tmp_path / "got")
    assert "Object does not exist" in git("-C", tmp_path / "got", "lfs", "pull", check=False).stderr

"""The real `modelscope`, SDK and command line, downloads from the ModelScope of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hosts.system import require_system_packages
from hubs.content import contents, make_model
from hubs.faulty_proxy import FaultyProxy
from hubs.git_hub import GitServer
from hubs.modelscope_hub import ModelScopeHub

ID, TOKEN = "Qwen/Tiny", "ms-s3cret"
PART = "model-00001-of-00002.safetensors"


@pytest.fixture
def hub() -> Iterator[ModelScopeHub]:
    with ModelScopeHub(token=TOKEN) as hub:
        yield hub


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")


def modelscope(url: str, target: Path, *arguments: str, id: str = ID, **variables: str) -> str:
    """Run the command line; what it says, and how it ended in the last line."""
    environment = {**os.environ, "HOME": str(target.parent), "MODELSCOPE_ENDPOINT": url, **variables}
    program = Path(sys.executable).with_name("modelscope")
    command = [program, "download", "--model", id, "--local_dir", target, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=180)
    return f"{done.stdout}{done.stderr}\n{done.returncode}"


def hashes(folder: Path) -> dict[str, str]:
    return {path: content.sha256 for path, content in contents(folder).items()}


def test_command_line(hub: ModelScopeHub, model: Path, tmp_path: Path) -> None:
    hub.add(ID, model)
    said = modelscope(hub.url, tmp_path / "got")
    assert said.endswith("\n0")
    assert hashes(tmp_path / "got") == hashes(model)


def test_patterns_and_revision(hub: ModelScopeHub, model: Path, tmp_path: Path) -> None:
    hub.add(ID, model, tag="v1.0")
    (model / "config.json").write_text("{}\n")
    hub.add(ID, model)
    said = modelscope(hub.url, tmp_path / "got", "--revision", "v1.0", "--include", "*.json")
    assert said.endswith("\n0")
    assert list(hashes(tmp_path / "got")) == ["config.json"]
    assert "Qwen2" in (tmp_path / "got" / "config.json").read_text()


def test_private_models(hub: ModelScopeHub, model: Path, tmp_path: Path) -> None:
    hub.add(ID, model, private=True)
    said = modelscope(hub.url, tmp_path / "got")
    assert "无权限访问该模型" in said
    assert said.endswith("\n1")
    assert modelscope(hub.url, tmp_path / "got", MODELSCOPE_API_TOKEN=TOKEN).endswith("\n0")
    assert hashes(tmp_path / "got") == hashes(model)


def test_what_is_not_there(hub: ModelScopeHub, model: Path, tmp_path: Path) -> None:
    hub.add(ID, model)
    assert "record not found" in modelscope(hub.url, tmp_path / "got", id="Qwen/Other")
    assert "获取模型目录树失败" in modelscope(hub.url, tmp_path / "got", "--revision", "v9")


def test_cut_weights_are_resumed(hub: ModelScopeHub, model: Path, tmp_path: Path) -> None:
    hub.add(ID, model)
    path = hub.object_path(contents(model)[PART].sha256)
    with FaultyProxy(hub.url) as line:
        line.fail(path, cut_after=100_000, times=1)
        assert modelscope(line.url(), tmp_path / "got").endswith("\n0")
        assert [request.headers.get("Range") for request in line.asked(path)] == [None, "bytes=100000-"]
    assert hashes(tmp_path / "got") == hashes(model)


def test_parts_in_parallel(hub: ModelScopeHub, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", weights=3 * 2**20)
    hub.add(ID, model)
    settings = {"PARALLEL_THRESHOLD_MB": "1", "PARALLEL_WORKERS": "4", "PART_SIZE_MB": "1"}
    with FaultyProxy(hub.url) as line:
        variables = {f"MODELSCOPE_DOWNLOAD_{name}": value for name, value in settings.items()}
        assert modelscope(line.url(), tmp_path / "got", **variables).endswith("\n0")
        asked = line.asked(hub.object_path(contents(model)[PART].sha256))
        assert sorted(request.headers["Range"] for request in asked)[0] == "bytes=0-1048575"
    assert hashes(tmp_path / "got") == hashes(model)


def test_sdk(hub: ModelScopeHub, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", small=50)
    hub.add(ID, model)
    program = "import sys, modelscope; modelscope.snapshot_download(sys.argv[1], local_dir=sys.argv[2])"
    environment = {**os.environ, "HOME": str(tmp_path), "MODELSCOPE_ENDPOINT": hub.url}
    command = [sys.executable, "-c", program, ID, str(tmp_path / "got")]
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=180)
    assert hashes(tmp_path / "got") == hashes(model)


def test_listings_end_early(hub: ModelScopeHub, tmp_path: Path) -> None:
    hub.add(ID, make_model(tmp_path / "model", small=150))
    hub.longest = 100
    url = f"{hub.url}/api/v1/models/{ID}/repo/files"

    def listed(query: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = requests.get(f"{url}?{query}", timeout=60).json()["Data"]["Files"]
        return found

    assert len(listed("Recursive=true")) == 100
    assert [each["Path"] for each in listed("Recursive=False") if each["Type"] == "tree"] == ["tokens"]
    assert len(listed("Root=tokens/01&Recursive=True")) == 50


def test_api(hub: ModelScopeHub, model: Path) -> None:
    commit = hub.add(ID, model, tag="v1.0")
    hub.add("Qwen/Secret", model, private=True)
    api = f"{hub.url}/api/v1"
    get = requests.get
    assert get(f"{api}/models/{ID}/commits?Ref=v1.0", timeout=60).json()["Data"]["Commit"] == [{"Id": commit}]
    assert get(f"{api}/models/{ID}/commits?Ref=v9", timeout=60).json()["Data"]["Commit"] is None
    refused = get(f"{api}/models/Qwen/Secret", timeout=60)
    assert (refused.status_code, refused.json()["Code"]) == (404, 10010200001)
    found = get(f"{hub.url}/openapi/v1/models?search=tin", timeout=60).json()
    assert found["data"]["models"] == [{"id": ID}]
    assert requests.post(f"{api}/login", json={"AccessToken": "no"}, timeout=60).status_code == 400
    assert requests.post(f"{api}/login", json={"AccessToken": TOKEN}, timeout=60).cookies["m_session_id"] == TOKEN


def test_git_at_the_same_address(model: Path, tmp_path: Path) -> None:
    require_system_packages("git", "git-lfs")
    git = GitServer(tmp_path / "git")
    commit = git.add(ID, model)
    with ModelScopeHub(git=git) as hub:
        said = subprocess.run(["git", "ls-remote", f"{hub.url}/{ID}.git"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith(commit)

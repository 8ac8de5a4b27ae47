"""The real `hf download` and `huggingface_hub` download from the Hugging Face of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hubs.content import contents, make_model
from hubs.faulty_proxy import FaultyProxy
from hubs.hf_hub import HuggingFaceHub

ID, TOKEN = "Qwen/Tiny", "hf_s3cret"
PART = "model-00001-of-00002.safetensors"


@pytest.fixture
def hub() -> Iterator[HuggingFaceHub]:
    with HuggingFaceHub(token=TOKEN) as hub:
        yield hub


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model", small=30)


def hf(url: str, target: Path, *arguments: str, id: str = ID, **variables: str) -> str:
    """Run the command line; what it says, and how it ended in the last line."""
    environment = {**os.environ, "HF_ENDPOINT": url, "HF_HOME": str(target.parent / "home"), **variables}
    command = [Path(sys.executable).with_name("hf"), "download", id, "--local-dir", target, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=180)
    return f"{done.stdout}{done.stderr}\n{done.returncode}"


def hashes(folder: Path) -> dict[str, str]:
    return {path: each.sha256 for path, each in contents(folder).items() if not path.startswith(".cache/")}


def test_command_line(hub: HuggingFaceHub, model: Path, tmp_path: Path) -> None:
    hub.add(ID, model)
    hub.page = 10
    assert hf(hub.url, tmp_path / "got").endswith("\n0")
    assert hashes(tmp_path / "got") == hashes(model)


def test_patterns_and_revision(hub: HuggingFaceHub, model: Path, tmp_path: Path) -> None:
    hub.add(ID, model, tag="v1.0")
    (model / "config.json").write_text("{}\n")
    hub.add(ID, model)
    assert hf(hub.url, tmp_path / "got", "--revision", "v1.0", "--include", "config.json").endswith("\n0")
    assert list(hashes(tmp_path / "got")) == ["config.json"]
    assert "Qwen2" in (tmp_path / "got" / "config.json").read_text()


def test_private_and_gated(hub: HuggingFaceHub, model: Path, tmp_path: Path) -> None:
    hub.add(ID, model, private=True)
    hub.add("Qwen/Gated", model, gated=True)
    assert "not found" in hf(hub.url, tmp_path / "got").lower()
    assert "requires approval" in hf(hub.url, tmp_path / "got", id="Qwen/Gated").lower()
    assert hf(hub.url, tmp_path / "got", HF_TOKEN=TOKEN).endswith("\n0")
    assert hashes(tmp_path / "got") == hashes(model)


def test_a_cut_file_comes_again(hub: HuggingFaceHub, model: Path, tmp_path: Path) -> None:
    commit = hub.add(ID, model)
    path = f"{ID}/resolve/{commit}/{PART}"
    with FaultyProxy(hub.url) as line:
        line.fail(path, cut_after=100_000, times=1, method="GET")
        assert hf(line.url(), tmp_path / "got").endswith("\n0")
        assert [request.sent for request in line.asked(path)] == [100_000, (model / PART).stat().st_size]
    assert hashes(tmp_path / "got") == hashes(model)


def test_api(hub: HuggingFaceHub, model: Path) -> None:
    commit = hub.add(ID, model, tag="v1.0")
    api = f"{hub.url}/api/models/{ID}"
    found = requests.get(f"{api}/revision/main?blobs=true", timeout=60).json()
    assert found["sha"] == commit
    weights = next(each for each in found["siblings"] if each["rfilename"] == PART)
    assert weights["lfs"]["sha256"] == contents(model)[PART].sha256
    refs = requests.get(f"{api}/refs", timeout=60).json()
    assert [refs[kind][0]["name"] for kind in ("branches", "tags")] == ["main", "v1.0"]
    size = (model / PART).stat().st_size
    head = requests.head(f"{hub.url}/{ID}/resolve/main/{PART}", timeout=60)
    assert (head.headers["X-Linked-Size"], head.headers["X-Repo-Commit"]) == (str(size), commit)
    rest = requests.get(head.url, headers={"Range": f"bytes={size - 10}-"}, timeout=60)
    assert (rest.status_code, rest.content) == (206, (model / PART).read_bytes()[-10:])
    assert requests.get(f"{hub.url}/api/models?search=tin", timeout=60).json()[0]["id"] == ID


def test_refusals(hub: HuggingFaceHub, model: Path) -> None:
    hub.add(ID, model)
    api = f"{hub.url}/api/models"

    def refused(url: str, token: str = "") -> tuple[int, str | None]:
        answer = requests.get(url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=60)
        return answer.status_code, answer.headers.get("X-Error-Code")

    assert refused(f"{api}/Qwen/Other") == (401, "RepoNotFound")
    assert refused(f"{api}/Qwen/Other", TOKEN) == (404, "RepoNotFound")
    assert refused(f"{api}/{ID}", "hf_other") == (401, None)
    assert refused(f"{api}/{ID}/revision/v9") == (404, "RevisionNotFound")
    assert refused(f"{hub.url}/{ID}/resolve/main/other") == (404, "EntryNotFound")

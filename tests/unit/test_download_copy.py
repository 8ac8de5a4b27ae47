"""The part of the program on hosts that copies: what it takes, leaves to the controller, and records."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hubs.content import make_model
from hubs.downloads import Download, same_files

from provisioning.templates.download_exit import INCOMPLETE, LOST
from provisioning.templates.download_records import save, sha256_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = make_model(tmp_path / "source", weights=3000)
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    about = {"key": "k1", "method": "git", "source": "https://hub/m", "id": "a/m", "asked": "", "revision": "abc"}
    save(str(folder), about, {name: sha256_of(str(folder / name)) for name in names})
    return folder


@pytest.fixture
def copy(tmp_path: Path, source: Path) -> Download:
    private = tmp_path / "private"
    private.mkdir()
    shutil.copy(source / ".vllm-provisioning/manifest.json", private)
    return Download(tmp_path / "model", [{"method": "copy", "endpoint": str(private)}])


def bring(source: Path, copy: Download) -> list[str]:
    """Let it say what is missing, and bring that, as the controller does."""
    private = Path(copy.sources[0]["endpoint"])
    (private / "way.json").write_text('{"brought": true}')
    code, said = copy.run()
    assert code == INCOMPLETE, said
    names = (private / "missing").read_text().split("\0")[:-1]
    for name in names:
        target = copy.folder / ".vllm-provisioning/parts/copied" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, target)
    return names


def test_what_is_brought_is_proven_and_recorded(source: Path, copy: Download) -> None:
    there = json.loads((source / ".vllm-provisioning/manifest.json").read_text())
    assert sorted(bring(source, copy)) == sorted(there["files"])
    copy.succeed()
    assert same_files(source, copy.folder)
    for name in ("key", "source", "revision"):
        assert copy.manifest[name] == there[name]
    assert not (copy.folder / ".vllm-provisioning/parts").exists()


def test_what_arrives_wrong_is_asked_for_again_alone(source: Path, copy: Download) -> None:
    bring(source, copy)
    wrong = copy.folder / ".vllm-provisioning/parts/copied/model-00001-of-00002.safetensors"
    wrong.write_bytes(wrong.read_bytes()[:-1] + b"?")
    assert bring(source, copy) == ["model-00001-of-00002.safetensors"]
    copy.succeed()
    assert same_files(source, copy.folder)


def test_half_a_file_waits_for_its_rest(source: Path, copy: Download) -> None:
    bring(source, copy)
    half = copy.folder / ".vllm-provisioning/parts/copied/model-00002-of-00002.safetensors"
    half.write_bytes(half.read_bytes()[:100])
    assert copy.run()[0] == INCOMPLETE
    assert half.stat().st_size == 100


def test_a_way_that_nobody_prepared(copy: Download) -> None:
    code, said = copy.run()
    assert code == LOST
    assert "the way to the source is not prepared" in said
    assert "Traceback" not in said

"""What a download makes of its own records where they are spoilt, where no server answers, and where half is there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hubs.content import make_model
from hubs.downloads import Download, same_files
from hubs.faulty_proxy import FaultyProxy
from hubs.hf_hub import HuggingFaceHub

from provisioning.templates.download_sources import Unavailable, Wanted, chosen

ID, WEIGHTS = "Qwen/Tiny", "model-00001-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = make_model(tmp_path / "model", weights=1000)
    parts = {"a": WEIGHTS, "b": "model-00002-of-00002.safetensors", "c": WEIGHTS}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": parts}))
    return folder


def away(download: Download) -> Download:
    """The same, from a server that has not the model: that is said at once."""
    return Download(download.folder, download.sources, {"id": "Qwen/none"})


@pytest.mark.parametrize(
    "text", ["", "null", "[]", '{"files": []}', '{"files": {"config.json": 3}}', '{"files": {"a": {"size": "x"}}}']
)
def test_spoilt_records_are_made_anew(download: Download, line: FaultyProxy, text: str) -> None:
    download.succeed()
    manifest = download.folder / ".vllm-provisioning/manifest.json"
    as_it_was = manifest.read_text()
    before = line.sent("*/resolve/*")
    manifest.write_text(text)
    download.succeed()
    assert manifest.read_text() == as_it_was
    assert line.sent("*/resolve/*") == before, "hashed again, and not fetched again"


def test_what_is_whole_is_verified_without_its_server(download: Download) -> None:
    download.succeed()
    os.utime(download.folder / "config.json")
    said = away(download).succeed(verify=True)
    assert "warning: m cannot be had" in said
    assert "each file was hashed again" in said
    state = (download.folder / "config.json").stat()
    assert download.manifest["files"]["config.json"]["mtime_ns"] == state.st_mtime_ns
    assert download.manifest["id"] == ID


def test_what_is_not_whole_is_told_without_its_server(download: Download) -> None:
    download.succeed()
    (download.folder / WEIGHTS).write_bytes(b"x" * 1000)
    code, said = away(download).run(verify=True)
    assert code == 1
    assert f"{WEIGHTS} is not (any more) what was downloaded" in said
    assert "there is no model Qwen/none" in said


def test_to_verify_waits_for_no_server(download: Download, line: FaultyProxy) -> None:
    download.succeed()
    line.fail("api/models/*", status=503)
    asked = len(line.asked("api/models/*"))
    said = download.succeed(verify=True)
    assert "each file was hashed again" in said
    assert "going on in" not in said
    assert len(line.asked("api/models/*")) == asked + 1


def test_what_is_not_whole_waits_for_its_server(download: Download, line: FaultyProxy, model: Path) -> None:
    download.succeed()
    (download.folder / WEIGHTS).write_bytes(b"x" * 1000)
    line.fail("api/models/*", status=503, times=2)
    assert f"{WEIGHTS} is not (any more) what was downloaded" in download.succeed(verify=True)
    assert same_files(download.folder, model)


def test_something_else_than_was_downloaded_wants_its_server(download: Download) -> None:
    download.succeed()
    code, _ = away(download).run(key="k2")
    assert code == 1


def test_half_of_the_weights_is_never_served(download: Download, model: Path) -> None:
    code, said = download.run(exclude=["*-00001-*"])
    assert code == 1
    assert f"{INDEX} names {WEIGHTS}, which is not here" in said
    download.succeed(exclude=["*.safetensors"])
    download.succeed(exclude=[])
    assert same_files(download.folder, model)


@pytest.mark.parametrize("index", ["[]", '{"weight_map": 3}', "x", '{"weight_map": {"a": 3}}'])
def test_an_index_of_another_kind(download: Download, hub: HuggingFaceHub, model: Path, index: str) -> None:
    (model / INDEX).write_text(index)
    hub.add(ID, model)
    download.succeed()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.json", {"config.json", "a/b.json", "a/深/c d.json"}),
        ("**/*.json", {"config.json", "a/b.json", "a/深/c d.json"}),
        ("a/", {"a/b.json", "a/深/c d.json"}),
        ("a/**/c d.json", {"a/深/c d.json"}),
        ("a/**/b.json", {"a/b.json"}),
        ("config.json", {"config.json"}),
    ],
)
def test_patterns(pattern: str, names: set[str]) -> None:
    files = dict.fromkeys(["config.json", "a/b.json", "a/深/c d.json", "README"], Wanted(1))
    assert chosen(files, [pattern], []).keys() == names
    assert chosen(files, [], [pattern]).keys() == files.keys() - names


def test_patterns_that_choose_nothing() -> None:
    with pytest.raises(Unavailable, match="none of its 1 files is chosen"):
        chosen({"a": Wanted(1)}, ["b"], [])

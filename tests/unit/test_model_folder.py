"""A folder with a model that somebody else put on the host: what keeps it from being served."""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hubs.content import contents, make_model

from provisioning.resources.model_folder import ModelFolder

PART, OTHER = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = make_model(tmp_path / "模 型's $HOME", weights=1000)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": PART, "b": OTHER}}, indent=2))
    return folder


def look(folder: Path) -> str:
    account, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    command = ["sh", "-c", ModelFolder("m", str(folder), account, group).probe()]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def said(folder: Path) -> str:
    difference = ModelFolder("m", str(folder), "vllm", "vllm").diff(look(folder))
    return difference.text if difference else ""


def test_a_whole_model(folder: Path, tmp_path: Path) -> None:
    assert said(folder) == ""
    link = tmp_path / "link"
    link.symlink_to(folder)
    (folder / PART).rename(tmp_path / "blob")
    (folder / PART).symlink_to(tmp_path / "blob")  # as caches of hubs have them
    assert said(link) == ""


def without_weights(folder: Path) -> None:
    for file in folder.glob("*.safetensors"):
        file.unlink()


def cloned_without_lfs(folder: Path) -> None:
    content = contents(folder)[PART]
    (folder / PART).write_bytes(content.pointer)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "it has no config.json"),
        (without_weights, "it has no weights"),
        (cloned_without_lfs, f"{PART} is a pointer of git-lfs"),
        (lambda folder: (folder / OTHER).unlink(), f"it has no {OTHER}, which {INDEX} names"),
        (lambda folder: folder.rename(folder.parent / "elsewhere"), "there is no such folder"),
    ],
)
def test_what_is_missing(folder: Path, spoil: Callable[[Path], object], words: str) -> None:
    spoil(folder)
    assert words in said(folder)


def test_half_of_older_weights(folder: Path) -> None:
    parts = {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": parts}))
    assert said(folder) == "", "none of them is here: safetensors are"
    (folder / parts["a"]).write_bytes(b"x" * 9000)
    assert f"it has no {parts['b']}" in said(folder)


def test_weights_of_another_form_beside_an_index(folder: Path) -> None:
    without_weights(folder)
    (folder / "model.gguf").write_bytes(b"GGUF" * 1000)
    assert said(folder) == ""

"""What every unit test begins with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hubs.content import make_model
from hubs.downloads import Download
from hubs.faulty_proxy import FaultyProxy
from hubs.hf_hub import HuggingFaceHub

from provisioning import masking

OF_TERMINALS = re.compile("CI$|NO_COLOR|FORCE_COLOR|CLICOLOR|COLUMNS|LINES|TTY_")


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of another test, which may be any word, is masked in what this one reads."""
    monkeypatch.setattr(masking, "_secrets", set())


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs note how they went."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, records: Path) -> Iterator[None]:
    """Whoever runs the tests may have any terminal, or none, and any umask; and nothing is noted in their home."""
    for name in filter(OF_TERMINALS.match, list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(records))
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model."""
    return make_model(tmp_path / "model", weights=1000)


@pytest.fixture
def hub(model: Path) -> Iterator[HuggingFaceHub]:
    """A hub that has it; its token opens more."""
    with HuggingFaceHub(token="s3cret") as hub:
        hub.add("Qwen/Tiny", model)
        yield hub


@pytest.fixture
def line(hub: Any) -> Iterator[FaultyProxy]:
    """The way to a hub, whichever it is, on which things go wrong as told."""
    with FaultyProxy(hub.url) as line:
        yield line


@pytest.fixture
def download(tmp_path: Path, line: FaultyProxy) -> Download:
    """A download of the model over that line."""
    sources = [{"method": "huggingface", "endpoint": line.url().rstrip("/")}]
    return Download(tmp_path / "tiny", sources, {"id": "Qwen/Tiny"})

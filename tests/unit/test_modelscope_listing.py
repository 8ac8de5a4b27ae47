"""What a model of ModelScope has, asked of a server on loopback that answers as theirs does, well and badly."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hubs.content import contents, make_model
from hubs.faulty_proxy import FaultyProxy
from hubs.modelscope_hub import ModelScopeHub

from provisioning.templates import FOLDER

sys.path.insert(0, str(FOLDER))

import download_modelscope
from download_sources import Listing, Unavailable

ID = "Qwen/tiny"
Ask = Callable[..., Listing]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model", small=250)


@pytest.fixture
def hub(model: Path) -> Iterator[ModelScopeHub]:
    with ModelScopeHub(token="ms-s3cret") as hub:
        hub.add(ID, model, tag="v1.0")
        hub.add("Qwen/private", model, private=True)
        yield hub


@pytest.fixture
def ask(line: FaultyProxy, tmp_path: Path) -> Ask:
    def ask(**told: Any) -> Listing:
        asked = {"id": ID, "revision": "", "setting": "models/m", "token": "", "attempts": 3, "endpoint": line.url()}
        return download_modelscope.Sdk({**asked, **told}, str(tmp_path / "got")).listing()

    return ask


def test_what_is_there(ask: Ask, hub: ModelScopeHub, model: Path) -> None:
    found = ask(revision="v1.0")
    assert found.revision == hub.known[ID].tags["v1.0"]
    wanted = {name: (each.size, each.sha256) for name, each in contents(model).items()}
    assert {name: (each.size, each.sha256) for name, each in found.files.items()} == wanted
    assert ask(revision=found.revision) == found


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"id": "Qwen/nothing"}, "there is no model Qwen/nothing at http://127.0.0.1:"),
        ({"id": "Other/tiny"}, r"did you mean Qwen/tiny\?"),
        ({"revision": "v1.1"}, r"Qwen/tiny has no revision v1.1; did you mean v1.0\?"),
        ({"revision": "0" * 40}, f"has no revision {'0' * 40}; it has master, v1.0"),
        ({"id": "Qwen/private"}, "is private or gated: name a token in models/m/token"),
        ({"id": "Qwen/private", "token": "ms-other"}, "is private or gated: the token does not open it"),
    ],
)
def test_what_is_not_there(ask: Ask, told: dict[str, str], words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        ask(**told)


def test_listings_that_were_cut(ask: Ask, hub: ModelScopeHub, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.longest = 110
    monkeypatch.setattr(download_modelscope, "LONGEST", 110)
    assert ask().files.keys() == contents(model).keys()
    hub.longest = 3
    monkeypatch.setattr(download_modelscope, "LONGEST", 3)
    with pytest.raises(Unavailable, match="more files than the server lists"):
        ask()


def test_a_server_that_is_busy(ask: Ask, line: FaultyProxy) -> None:
    words = "获取模型信息失败，信息：Error 1461: Can't create more than max_prepared_stmt_count statements"
    body = json.dumps({"Code": 10010205001, "Message": words, "Success": False})
    line.fail("*/commits", status=404, body=body, times=2)
    line.fail("*/repo/files", status=429, headers={"Retry-After": "1"}, times=1)
    assert ask().files
    assert [len(line.asked(path)) for path in ("*/commits", "*/repo/files")] == [3, 2]


def test_a_page_instead_of_an_answer(ask: Ask, line: FaultyProxy) -> None:
    page = "<html>Log in to the network</html>"
    line.fail("*", status=403, body=page)
    with pytest.raises(Unavailable, match="HTTP 403"):
        ask()
    line.fail("*", status=200, body=page, headers={"Content-Type": "text/html"})
    with pytest.raises(Unavailable, match=r"something else than JSON.*Log in to the network"):
        ask(attempts=1)

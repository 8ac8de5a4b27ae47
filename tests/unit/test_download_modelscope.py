"""Downloading with ModelScope's own SDK and command line, from a server on loopback that answers as theirs does."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hubs.content import contents, make_model
from hubs.downloads import Download, same_files
from hubs.faulty_proxy import FaultyProxy
from hubs.modelscope_hub import ModelScopeHub

from provisioning.templates import FOLDER

sys.path.insert(0, str(FOLDER))

import modelscope_package

ID, TOKEN = "Qwen/tiny", "ms-s3cret"
PART = "model-00001-of-00002.safetensors"
BOTH = pytest.mark.parametrize("method", ["sdk", "cli"])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_model(tmp_path_factory.mktemp("model"))
    for name in ("odd, names [1]*?.json", " blank.json ", "a\nb.json", "'q\"u.json", "-rf.json", "{a,b}\\.json"):
        (folder / name).write_text("{}\n")
    return folder


@pytest.fixture(scope="module")
def hub(model: Path) -> Iterator[ModelScopeHub]:
    with ModelScopeHub(token=TOKEN) as hub:
        hub.add(ID, model, tag="v1.0")
        hub.add("Qwen/private", model, private=True)
        yield hub


@pytest.fixture
def download(tmp_path: Path, line: FaultyProxy) -> Download:
    """A download by the SDK, on a host where the package is installed: it is the one of these tests."""
    cache = tmp_path / "home" / modelscope_package.CACHE.removeprefix("~/")
    cache.mkdir(parents=True)
    name = modelscope_package.PACKAGES[0].replace("==", "-")
    (cache / name).symlink_to(sys.prefix)
    (cache / f"{name}.made-for").write_text(modelscope_package.made_for())
    return Download(tmp_path / "tiny", sources("sdk", line), {"id": ID}, {"HOME": str(tmp_path / "home")})


def sources(method: str, line: FaultyProxy) -> list[dict[str, str]]:
    return [{"method": method, "endpoint": line.url()}]


def weights(model: Path) -> str:
    return ModelScopeHub.object_path(contents(model)[PART].sha256)


@BOTH
def test_it_brings_the_model(
    download: Download, line: FaultyProxy, hub: ModelScopeHub, model: Path, method: str
) -> None:
    download.sources = sources(method, line)
    said = download.succeed()
    assert "each proven by its SHA-256" in said
    assert same_files(download.folder, model)
    assert download.manifest["revision"] == hub.known[ID].branches["master"]
    sent = line.sent("/prod/*") + line.sent("*FilePath=*")
    download.succeed()
    assert line.sent("/prod/*") + line.sent("*FilePath=*") == sent, "the second run fetches nothing"


@BOTH
def test_only_what_is_missing(download: Download, line: FaultyProxy, model: Path, method: str) -> None:
    download.sources = sources(method, line)
    download.succeed()
    (download.folder / "config.json").unlink()
    (download.folder / PART).write_bytes(bytes((model / PART).stat().st_size))
    line.requests.clear()
    download.succeed()
    assert same_files(download.folder, model)
    assert sorted(request.query.partition("FilePath=")[2] for request in line.asked("*FilePath=*")) == [
        "config.json",
        PART,
    ]


def test_tags_and_patterns(download: Download, hub: ModelScopeHub, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "moving")
    first = hub.add("Qwen/moving", folder, tag="v1.0")
    (folder / "config.json").write_text("{}\n")
    hub.add("Qwen/moving", folder)
    download.succeed(id="Qwen/moving", revision="v1.0", include=["*.json", "*.md"], exclude=["README*"])
    names = {each.name for each in download.folder.iterdir()}
    assert names == {"config.json", "模型 说明.md", ".vllm-provisioning"}
    assert "Qwen2" in (download.folder / "config.json").read_text()
    assert download.manifest["revision"] == first


@BOTH
def test_private_models(download: Download, line: FaultyProxy, model: Path, method: str) -> None:
    download.sources = sources(method, line)
    code, said = download.run(id="Qwen/private")
    assert code == 1
    assert "Qwen/private is private or gated: name a token in models/m/token" in said
    code, said = download.run(token="ms-other")
    assert "the token does not open it" in said
    assert TOKEN not in download.succeed(token=TOKEN)
    assert same_files(download.folder, model)


@BOTH
def test_a_bad_line(download: Download, line: FaultyProxy, model: Path, method: str) -> None:
    download.sources = sources(method, line)
    line.fail("*/repo/files", status=503, headers={"Retry-After": "1"}, times=2)
    line.fail(weights(model), cut_after=100_000, times=1)
    download.succeed()
    assert same_files(download.folder, model)
    assert line.sent(weights(model)) == (model / PART).stat().st_size, "no byte comes twice"


@BOTH
def test_wrong_bytes_come_again(download: Download, line: FaultyProxy, model: Path, method: str) -> None:
    download.sources = sources(method, line)
    line.fail(weights(model), flip_at=1000, times=1)
    download.succeed()
    assert same_files(download.folder, model)
    assert len(line.asked("/prod/*")) == 3, "only the one file"


def test_wrong_bytes_at_the_server(download: Download, line: FaultyProxy, model: Path) -> None:
    line.fail(weights(model), flip_at=1000)
    code, said = download.run()
    assert code == 1
    assert f"Hash mismatch for {PART}" in said
    assert not (download.folder / PART).exists()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_open(file: Path) -> bool:
    """Whether any process has it open."""
    found = False
    for each in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            found = found or each.readlink() == file
    return found


def test_it_goes_on_after_a_kill(download: Download, line: FaultyProxy, hub: ModelScopeHub, tmp_path: Path) -> None:
    model = make_model(tmp_path / "large", weights=8_000_000)
    hub.add("Qwen/large", model)
    line.throttle.bytes_per_second = 4_000_000
    download.told["id"] = "Qwen/large"
    process = download.start()
    part = download.folder / f"{PART}.incomplete"
    until(lambda: part.exists() and part.stat().st_size > 2_000_000)
    process.kill()
    process.communicate()
    until(lambda: not is_open(part))  # the package's own process ends after the one that started it
    had, line.throttle.bytes_per_second = part.stat().st_size, None
    line.requests.clear()
    said = download.succeed()
    assert same_files(download.folder, model)
    assert line.asked(weights(model))[0].headers["Range"] == f"bytes={had}-"
    told = [json.loads(row.removeprefix("progress ")) for row in said.splitlines() if row.startswith("progress ")]
    assert told[-1]["done"] == told[-1]["size"] >= 16_000_000


def test_many_files(download: Download, hub: ModelScopeHub, tmp_path: Path) -> None:
    model = make_model(tmp_path / "many", small=250)
    hub.add("Qwen/many", model)
    download.succeed(id="Qwen/many")
    assert same_files(download.folder, model)

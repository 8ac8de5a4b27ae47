"""Downloading by HTTP: from a hub that answers as Hugging Face's does, and from URLs; both on loopback."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hubs.content import contents, make_model
from hubs.downloads import Download, same_files
from hubs.faulty_proxy import FaultyProxy
from hubs.hf_hub import HuggingFaceHub

ID, TOKEN = "Qwen/Tiny", "s3cret-token"
WEIGHTS = "model-00001-of-00002.safetensors"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def hub(model: Path) -> Iterator[HuggingFaceHub]:
    with HuggingFaceHub(token=TOKEN) as hub:
        hub.add(ID, model, tag="v1.0")
        hub.add("Qwen/Gated", model, gated=True)
        hub.add("Qwen/Private", model, private=True)
        yield hub


def huggingface(line: FaultyProxy) -> list[dict[str, str]]:
    return [{"method": "huggingface", "endpoint": line.url().rstrip("/")}]


def urls(line: FaultyProxy, model: Path) -> list[dict[str, str]]:
    base = line.url(f"{ID}/resolve/main")
    return [{"url": f"{base}/{name}", "sha256": each.sha256, "path": name} for name, each in contents(model).items()]


@pytest.fixture(params=["huggingface", "url"])
def download(request: pytest.FixtureRequest, tmp_path: Path, line: FaultyProxy, model: Path) -> Download:
    if request.param == "url":
        told = {"files": urls(line, model)}
        return Download(tmp_path / "tiny", [{"method": "url", "endpoint": ""}], told)
    return Download(tmp_path / "tiny", huggingface(line), {"id": ID})


@pytest.fixture
def of_hub(tmp_path: Path, line: FaultyProxy) -> Download:
    return Download(tmp_path / "tiny", huggingface(line), {"id": ID})


def size(model: Path) -> int:
    return sum(path.stat().st_size for path in model.rglob("*") if path.is_file())


def test_it_brings_the_model(download: Download, model: Path, line: FaultyProxy) -> None:
    said = download.succeed()
    assert same_files(download.folder, model)
    assert "proven by its SHA-256" in said
    before = line.sent("*/resolve/*")
    assert before == size(model)
    download.succeed()
    assert line.sent("*/resolve/*") == before, "nothing is fetched twice"


def test_twenty_cuts_cost_next_to_nothing(of_hub: Download, model: Path, line: FaultyProxy) -> None:
    line.fail(f"*/{WEIGHTS}", method="GET", cut_after=14_000, times=20)
    of_hub.succeed()
    assert line.faults[f"/*/{WEIGHTS}"].times == 0
    assert same_files(of_hub.folder, model)
    assert line.sent("*/resolve/*") <= 1.02 * size(model)


def test_a_killed_run_goes_on(download: Download, model: Path, line: FaultyProxy) -> None:
    line.fail(f"*/{WEIGHTS}", method="GET", bytes_per_second=100_000)
    process = download.start()
    while line.sent(f"*/{WEIGHTS}") < 150_000:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    line.heal()
    download.succeed()
    assert same_files(download.folder, model)
    assert line.sent("*/resolve/*") <= 1.2 * size(model)


@pytest.mark.parametrize(
    "fault",
    [
        {"ignore_range": True},
        {"status": 416},
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"status": 503},
        {
            "status": 200,
            "body": "<html><title>Log in to the network</title></html>",
            "headers": {"Content-Type": "text/html"},
        },
        {"flip_at": 100},
    ],
    ids=lambda fault: "-".join(map(str, fault.items()))[:30],
)
def test_a_server_that_fails_once(download: Download, model: Path, line: FaultyProxy, fault: dict[str, Any]) -> None:
    # The file is half here, so the rest of it is asked for: the second request meets the second of the patterns.
    line.fail(f"*/{WEIGHTS}", method="GET", cut_after=100_000, times=1)
    line.fail(f"*{WEIGHTS}", method="GET", times=1, **fault)
    download.succeed()
    assert [each.times for each in line.faults.values()] == [0, 0]
    assert same_files(download.folder, model)


def test_wrong_bytes_always(download: Download, line: FaultyProxy, model: Path) -> None:
    line.fail(f"*/{WEIGHTS}", method="GET", flip_at=100)
    code, said = download.run()
    assert code == 1
    right = contents(model)[WEIGHTS].sha256
    assert "it came with SHA-256" in said
    assert f"and {right} is right" in said
    assert not (download.folder / WEIGHTS).exists()
    line.heal()
    download.succeed()
    assert same_files(download.folder, model)


def test_what_is_spoilt_by_hand_is_fetched_again_alone(download: Download, line: FaultyProxy, model: Path) -> None:
    download.succeed()
    before = line.sent("*/resolve/*")
    (download.folder / WEIGHTS).write_bytes(b"half")
    (download.folder / "config.json").unlink()
    assert WEIGHTS in download.succeed()
    assert same_files(download.folder, model)
    assert line.sent("*/resolve/*") - before == sum((model / name).stat().st_size for name in (WEIGHTS, "config.json"))


def test_a_disk_that_is_too_small_is_told_before(of_hub: Download, hub: HuggingFaceHub, tmp_path: Path) -> None:
    whole = os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize  # others may make room meanwhile
    commit = hub.add("Qwen/Huge", make_model(tmp_path / "small"))
    files = hub.known["Qwen/Huge"].commits[commit]
    files["model.bin"] = replace(files[WEIGHTS], size=whole + 10**9)
    code, said = of_hub.run(id="Qwen/Huge")
    assert code == 1
    assert "too little disk" in said
    assert "GB are free where" in said


def test_truncated_weights_are_never_served(of_hub: Download, hub: HuggingFaceHub, tmp_path: Path) -> None:
    model = make_model(tmp_path / "truncated")
    weights = model / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-10])
    hub.add("Qwen/Truncated", model)
    code, said = of_hub.run(id="Qwen/Truncated")
    assert code == 1
    assert f"{WEIGHTS} is truncated" in said
    assert not (of_hub.folder / ".vllm-provisioning/manifest.json").exists()


def test_there_is_no_such_model(of_hub: Download) -> None:
    code, said = of_hub.run(id="Qwen/Tiyn")
    assert code == 1
    assert "there is no model Qwen/Tiyn" in said
    assert "did you mean Qwen/Tiny" in said


def test_there_is_no_such_revision(of_hub: Download) -> None:
    code, said = of_hub.run(revision="v1.1")
    assert code == 1
    assert "Qwen/Tiny has no revision v1.1; did you mean v1.0?" in said


@pytest.mark.parametrize("id", ["Qwen/Gated", "Qwen/Private"])
def test_gated_and_private_models_want_a_token(of_hub: Download, model: Path, id: str) -> None:
    code, said = of_hub.run(id=id)
    assert code == 1
    assert "models/m/token" in said
    assert "s3cret" not in of_hub.succeed(token=TOKEN)
    assert same_files(of_hub.folder, model)


def test_auto_falls_over_and_says_so(line: FaultyProxy, tmp_path: Path, model: Path) -> None:
    nowhere = {"method": "huggingface", "endpoint": "http://127.0.0.1:1"}
    download = Download(tmp_path / "tiny", [nowhere, *huggingface(line)], {"id": ID})
    said = download.succeed()
    assert "warning: huggingface (http://127.0.0.1:1/Qwen/Tiny)" in said
    assert "trying the next" in said
    assert same_files(download.folder, model)


def test_two_at_once_do_not_disturb_each_other(download: Download, model: Path, line: FaultyProxy) -> None:
    line.throttle.bytes_per_second = 20_000
    first = download.start()
    while not line.asked(f"*/{WEIGHTS}"):
        assert first.poll() is None, first.communicate()
    second = download.start()
    assert second.stdout
    assert any("waiting for its end" in said for said in iter(second.stdout.readline, ""))
    line.throttle.bytes_per_second = None
    said = [process.communicate(timeout=60) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert same_files(download.folder, model)
    assert line.sent("*/resolve/*") == size(model)


def test_odd_paths_are_refused(of_hub: Download, hub: HuggingFaceHub, model: Path) -> None:
    commit = hub.known[ID].branches["main"]
    files = hub.known[ID].commits[commit]
    files["../../etc/passwd"] = files["config.json"]
    code, said = of_hub.run()
    assert code == 1
    assert "outside of the model's folder" in said


def test_the_rate_is_limited(download: Download, model: Path) -> None:
    began = time.monotonic()
    download.succeed(limit_rate=300_000)
    assert same_files(download.folder, model)
    assert time.monotonic() - began > 1.7, "0.6 MB at 0.3 MB/s"

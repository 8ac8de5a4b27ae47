"""`init`: what is proposed for hosts as they were found."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from bare_hosts import FACTS
from inits import BADLY, CPU, GPU, SLOWLY, WELL, seen
from sites import GIB, h100s

from provisioning.doctor_mirrors import Mirror
from provisioning.facts import Facts
from provisioning.init import proposal
from provisioning.init.looking import Answer, answered, timed


@pytest.mark.parametrize(
    ("facts", "free", "device", "model"),
    [
        (replace(FACTS, memory=3 * GIB), 500, "cpu", "demo"),
        (FACTS, 500, "cpu", "Qwen/Qwen2-0.5B-Instruct"),
        (replace(FACTS, memory=512 * GIB), 500, "cpu", "Qwen/Qwen2-0.5B-Instruct"),
        (replace(FACTS, cores=4), 500, "cpu", "Qwen/Qwen2-1.5B-Instruct"),
        (CPU, 500, "cpu", "Qwen/Qwen2-7B-Instruct"),
        (CPU, 15, "cpu", "Qwen/Qwen2-1.5B-Instruct"),
        (CPU, 1, "cpu", "demo"),
        (GPU, 500, "cuda", "Qwen/Qwen2-7B-Instruct"),
        (replace(CPU, gpus=h100s(4)), 500, "cuda", "Qwen/Qwen2-72B-Instruct"),
        (replace(CPU, gpus=h100s(4)), 100, "cuda", "Qwen/Qwen2-7B-Instruct"),
        (replace(CPU, gpus=tuple(replace(gpu, memory=0) for gpu in h100s(1))), 500, "cuda", "demo"),
        (replace(CPU, gpus=h100s(1, driver="470.256.02")), 500, "cpu", "Qwen/Qwen2-7B-Instruct"),
    ],
)
def test_a_model_that_fits(facts: Facts, free: int, device: str, model: str) -> None:
    host = seen(facts, free=free * GIB)
    assert proposal.device(host) == device
    assert proposal.model([host], device)[0] == model


def test_the_model_fits_every_host() -> None:
    assert proposal.model([seen(CPU), seen(FACTS)], "cpu")[0] == "Qwen/Qwen2-0.5B-Instruct"
    assert proposal.model([], "cpu")[0] == "demo"


def test_where_a_model_comes_from() -> None:
    other = seen(modelscope=BADLY)
    assert proposal.settings("cpu", "a/b", "auto", [seen()])["models"] == {"b": {"id": "a/b"}}
    assert proposal.settings("cpu", "a/b", "auto", [seen(), other])["models"]["b"]["method"] == "huggingface"
    none = seen(modelscope=BADLY, huggingface=BADLY)
    assert proposal.model([other, none], "cpu")[0] == "demo"


@pytest.mark.parametrize(
    ("index", "tsinghua", "mirrors"),
    [
        *((WELL, WELL, "auto"), (BADLY, WELL, "tsinghua"), (SLOWLY, WELL, "tsinghua")),
        *((SLOWLY, SLOWLY, "auto"), (BADLY, BADLY, "auto"), (WELL, BADLY, "auto")),
    ],
)
def test_mirrors_where_they_help(index: Answer, tsinghua: Answer, mirrors: str) -> None:
    assert proposal.mirrors([seen(), seen(index=index, tsinghua=tsinghua)])[0] == mirrors


@pytest.mark.parametrize(("url", "reached"), [("file:///etc/passwd", True), ("file:///nowhere/at/all", False)])
def test_how_soon_a_server_answers(url: str, reached: bool) -> None:
    mirror = Mirror(f"ask {url}", "hubs", root=True)
    said = subprocess.run(["sh"], input=timed(mirror), capture_output=True, text=True, check=True).stdout
    found = answered(mirror, said)
    assert found.reached == reached, said
    assert 0 <= found.seconds < 60
    assert not answered(mirror, said.rpartition(" ms")[0].rpartition("\n")[0]).reached, "it was cut off"

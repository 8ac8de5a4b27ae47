"""What a host is told to answer with: what the service's server would be told, and no secret on a command line."""

from __future__ import annotations

import shlex

import pytest
from sites import site, with_service

from provisioning.errors import ProvisioningError
from provisioning.inference.cache import Cache
from provisioning.inference.on_host import GIB, Inference
from provisioning.inference.progress import Answering
from provisioning.transfer import Said


def _inference(available: int = 16 * GIB, device: str = "cpu", **changes: object) -> Inference:
    told = {**with_service(**changes), "build": {"device": device}}
    found = site(told, memory_available=available)
    return Inference(found, found.settings.resolved_services()["demo"])


def test_the_job_has_the_services_arguments_and_variables() -> None:
    inference = _inference(max_model_len=200, environment={"HF_TOKEN": "a secret", "HOME": "/own"}, api_key="generate")
    job = inference.job({"prompt": "it's"})
    assert (job.name, job.interruptible) == ("infer-demo-prompt", False)
    command = " ".join(shlex.split(job.script))
    for words in ("--max-model-len", "export HF_TOKEN=", "export HOME=/own", "VLLM_CPU_OMP_THREADS_BIND", "it's"):
        assert words in command
    assert "VLLM_API_KEY_FILE" not in command
    assert inference.job({"folder": "/f"}).name == "infer-demo"


def test_too_little_memory_is_told_before_vllm_starts() -> None:
    inference = _inference(available=2 * GIB)
    with pytest.raises(
        ProvisioningError, match=r"not enough memory for demo\n2.1 GB are free.*\nThe service demo runs"
    ):
        inference._require_room(serves=True, weights=3 * GIB)
    with pytest.raises(ProvisioningError, match="\nLower kv_cache_gib"):
        inference._require_room(serves=False, weights=3 * GIB)
    inference._require_room(serves=True, weights=GIB)


def test_a_server_that_runs_has_its_gpus() -> None:
    inference = _inference(device="cuda")
    with pytest.raises(ProvisioningError, match="invoke stop --service demo"):
        inference._require_room(serves=True, weights=0)
    inference._require_room(serves=False, weights=1 << 50)


def test_progress_says_how_far_and_how_fast() -> None:
    said: list[Said] = []
    answering = Answering(said.append)
    for line in (
        "INFO Starting to load model /m",
        "INFO something else",
        'progress {"done": 10, "of": 30, "new": 0, "tokens": 0, "seconds": 0.0}',
        'progress {"done": 15, "of": 30, "new": 5, "tokens": 100, "seconds": 20.0}',
        'progress {"done": 0, "of": 0, "new": 0, "tokens": 0, "seconds": 0.1}',
    ):
        answering(line)
    assert said == [
        "loading weights …",
        "answering ███████░░░░░░░░░░░░░ 10 of 30 lines",
        "answering ██████████░░░░░░░░░░ 15 of 30 lines, 5.0 tokens/s, about 1:00 min left",
        "answering ░░░░░░░░░░░░░░░░░░░░ 0 of 0 lines",
    ]


def test_its_folder_goes_again_where_it_made_it() -> None:
    cache = Cache("/var/cache/vllm/demo", "vllm", "vllm", "700")
    assert "rm -rf /var/cache/vllm/demo;" in cache.undo("absent\n")
    assert cache.undo("700 vllm vllm\n") == ""

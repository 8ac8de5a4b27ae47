"""What is proposed for hosts that were looked at: device, model, mirrors. Pure."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provisioning import gpus
from provisioning.build_settings import Build
from provisioning.doctor_disks import DISK_FOR_CUDA, DISK_FOR_VLLM
from provisioning.init.looking import Seen
from provisioning.settings import Miniconda
from provisioning.tuning import GIB, PROCESS
from provisioning.with_model import define

DATA = Path(__file__).parent.with_name("well_known_models.yaml")
CACHE = 2 * GIB
"""What is left for the KV cache at least, and on a GPU for activations."""
OF_GPU = 0.9
"""vLLM's --gpu-memory-utilization, as it is where nobody says otherwise."""
FOR_EACH_CORE = 1 << 30
"""Bytes of weights that a core reads for each token at a bearable speed: 0.5B on 2 cores gives some 40 tokens/s
(benchmarks/serving), and a model ten times as large a tenth of that."""
OLDEST_CUDA = "12"
"""The least that a release of vLLM in releases.yaml is built with."""
SLOW, SOONER = 3.0, 3
"""Seconds from which an index is slow, and how many times sooner a mirror has to answer to be proposed."""


@dataclass(frozen=True)
class KnownModel:
    """A model that is proposed where it fits."""

    id: str
    bytes: int
    """Of weights."""
    heads: int
    """Attention heads: the number of GPUs that share it divides them."""


@functools.cache
def known_models() -> tuple[KnownModel, ...]:
    """The largest first."""
    return tuple(KnownModel(**row) for row in yaml.safe_load(DATA.read_text("utf-8"))["models"])


def device(seen: Seen | None) -> str:
    """`cuda` where a GPU answers whose driver runs a CUDA that vLLM is built with, else `cpu`."""
    found = seen.facts.gpus if seen else ()
    return "cuda" if found and not gpus.obstacle(gpus.driver_of(found), OLDEST_CUDA) else "cpu"


def fits(model: KnownModel, seen: Seen, on: str) -> bool:
    """Whether a host has memory, cores and disk for it."""
    facts = seen.facts
    if seen.free < model.bytes + (DISK_FOR_CUDA if on == "cuda" else DISK_FOR_VLLM):
        return False
    if on == "cuda":
        sharing = max((n for n in range(1, len(facts.gpus) + 1) if model.heads % n == 0), default=0)
        least = min((gpu.memory for gpu in facts.gpus), default=0)
        return model.bytes + CACHE * sharing <= OF_GPU * least * sharing
    usable = facts.memory - max(2 * GIB, facts.memory // 10)
    return model.bytes + PROCESS + CACHE <= usable and model.bytes <= FOR_EACH_CORE * facts.cores


def model(seen: Sequence[Seen], on: str) -> tuple[str, str]:
    """The largest known model that fits all of these hosts, or the demo; and why."""
    if not seen:
        return "demo", "nobody could look whether another one fits"
    if not method(seen):
        return "demo", f"no hub can be reached: {seen[0].modelscope.words}"
    fitting = (known.id for known in known_models() if all(fits(known, each, on) for each in seen))
    if name := next(fitting, ""):
        return name, "the largest of the Qwen2 family that fits" + (" and is not slow" if on == "cpu" else "")
    return "demo", "no other fits memory and disk"


def method(seen: Sequence[Seen]) -> str:
    """How models can be downloaded by all of these hosts; "" for not at all."""
    if all(each.modelscope.reached for each in seen):
        return "git"
    return "huggingface" if all(each.huggingface.reached for each in seen) else ""


def mirrors(seen: Collection[Seen]) -> tuple[str, str]:
    """`tsinghua` where a host gets at its package index badly or not at all, and well at Tsinghua's; and why."""
    for each in seen:
        if each.tsinghua.reached and not each.index.reached:
            return "tsinghua", each.index.words
        if each.tsinghua.reached and each.index.seconds > max(SLOW, SOONER * each.tsinghua.seconds):
            return "tsinghua", f"the package index took {each.index.seconds:.1f} s, this {each.tsinghua.seconds:.1f} s"
    return "auto", "as the hosts are configured"


def common(mirrors: str) -> dict[str, Any]:
    """Settings of all hosts."""
    if mirrors == "tsinghua":
        return {"apt": {"mirror": "tuna"}, "conda": {"condarc": "tuna"}, "pip": {"index": "tuna"}}
    if mirrors == "none":
        return {"conda": {"condarc": "none"}, "miniconda": {"mirrors": list(Miniconda().mirrors[-1:])}}
    return {}


def settings(on: str, model: str, mirrors: str, seen: Sequence[Seen]) -> dict[str, Any]:
    """Settings of hosts that serve one model on one kind of device."""
    defined: dict[str, Any] = {}
    name = define(model, defined)
    told = defined[name].model_dump(exclude_unset=True)
    if "id" in told and seen and method(seen) == "huggingface":
        told = {"method": "huggingface", **told}
    service: Mapping[str, Any] = {"port": 8000, "model": name}
    build: dict[str, Any] = {"device": on}
    if on == "cuda":
        service = {**service, "tensor_parallel_size": "auto"}
    elif mirrors == "none":
        build["torch_indexes"] = list(Build().torch_indexes[-1:])
    return {"models": {name: told}, "services": {name: service}, "build": build}

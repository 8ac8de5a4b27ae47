"""What a service's server is told: its environment and its arguments, from the settings and the host. Pure."""

from __future__ import annotations

import json

from provisioning import gpu_sharing, releases, tuning
from provisioning.serve_settings import ResolvedService
from provisioning.site import CONFIGURATION, Site

QUIET_SINCE = "0.16.0"
"""First release with --disable-access-log-for-endpoints: https://github.com/vllm-project/vllm/pull/30011"""


def url(service: ResolvedService) -> str:
    """Where the service is reached on its own host."""
    address = service.own_address
    return f"http://[{address}]:{service.port}" if ":" in address else f"http://{address}:{service.port}"


def environment(site: Site, service: ResolvedService, index: int) -> dict[str, str]:
    """Everything a service is told; the user's own variables last."""
    values = {
        "VLLM_PYTHON": site.environment_python,
        "VLLM_ARGUMENTS": json.dumps(arguments(site, service), ensure_ascii=False),
        "VLLM_URL": url(service),
        "VLLM_SERVED_MODEL": service.model,
        "HEALTH_INTERVAL": str(service.health.interval),
        "HEALTH_HANG_TIMEOUT": str(service.health.hang_timeout),
        "HEALTH_BUSY_TIMEOUT": str(service.health.busy_timeout),
        "HEALTH_START_TIMEOUT": str(service.health.start_timeout),
        # The environment's programs first: vLLM calls ninja and others by name.
        "PATH": f"{site.environment}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    if not site.settings.compiler.default:
        # torch compiles at start-up with `g++`, which may be another version, or none.
        version = site.settings.compiler.version
        values |= {"CC": f"gcc-{version}", "CXX": f"g++-{version}"}
    if service.api_key != "none":
        values["VLLM_API_KEY_FILE"] = f"{CONFIGURATION}/{service.name}.key"
    values |= _on_cpu(site, service, index) if site.settings.build.device == "cpu" else _on_gpus(site, service)
    return values | service.environment


def _on_cpu(site: Site, service: ResolvedService, index: int) -> dict[str, str]:
    facts = site.facts
    placement = tuning.Placement(index, len(site.settings.services), _tensor_parallel_size(site, service))
    cache = service.kv_cache_gib
    values = {
        "VLLM_CPU_KVCACHE_SPACE": str(
            _kv_cache(site, service, placement.services) if cache == "auto" else max(1, round(cache))
        ),
        "VLLM_CPU_OMP_THREADS_BIND": tuning.threads_bind(facts.topology, facts.cores, placement)
        if service.threads == "auto"
        else service.threads,
    }
    if service.preload:
        values["VLLM_PRELOAD"] = ":".join(tuning.preload(facts.architecture, site.environment))
    return values


def _on_gpus(site: Site, service: ResolvedService) -> dict[str, str]:
    # By their place on the bus, as nvidia-smi numbers them; CUDA itself begins with the fastest.
    values = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    if numbers := gpu_sharing.of(site, service):
        values["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, numbers))
    if service.tensor_parallel_size == "auto":
        # How many divide the model's heads its folder says: serve.py looks there. vLLM itself does not hear of this.
        values["VLLM_GPUS"] = str(len(site.facts.gpus))
    return values


def _kv_cache(site: Site, service: ResolvedService, services: int) -> int:
    # The demo model's longest context takes a few MiB: a proof of the pipeline is no reason to take half the memory.
    is_demo = site.settings.models[service.model].method == "demo"
    return 1 if is_demo else tuning.kv_cache_gib(site.facts.memory, services)


def _tensor_parallel_size(site: Site, service: ResolvedService) -> int:
    """As told; `auto` is one on a CPU, and on GPUs what serve.py finds when it starts."""
    return 1 if service.tensor_parallel_size == "auto" else service.tensor_parallel_size


def arguments(site: Site, service: ResolvedService) -> list[str]:
    """Arguments of vLLM's API server; the user's own last, so that they win."""
    given = ["--model", site.model_path(service.model), "--served-model-name", service.model]
    given += ["--host", service.listen, "--port", str(service.port)]
    if service.dtype != "auto":
        given += ["--dtype", service.dtype]
    if service.max_model_len:
        given += ["--max-model-len", str(service.max_model_len)]
    if (devices := _tensor_parallel_size(site, service)) > 1:
        given += ["--tensor-parallel-size", str(devices)]
    if site.settings.build.device == "cuda" and (share := gpu_sharing.memory_utilization(site, service)):
        given += ["--gpu-memory-utilization", str(share)]
    if service.eager:
        given.append("--enforce-eager")
    if releases.number(site.release.version) >= releases.number(QUIET_SINCE):
        # What serve.py asks every few seconds is nothing that anybody wants to read.
        given += ["--disable-access-log-for-endpoints", "/health,/metrics,/v1/models"]
    return [*given, *service.arguments]

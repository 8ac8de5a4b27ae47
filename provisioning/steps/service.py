"""One unit for each service, kept alive by systemd; by supervisord, under the same rules, where there is none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from provisioning import env_file, releases, tuning
from provisioning.resources import Directory, File, Resource
from provisioning.resources.api_key import GeneratedApiKey, given_api_key
from provisioning.resources.service import SupervisorService, SystemdService
from provisioning.serve_settings import ResolvedService
from provisioning.site import CONFIGURATION, LIBRARY, Site
from provisioning.steps import model, vllm
from provisioning.templates import load, text

PROGRAM = ("serve.py", "serve_config.py", "serve_health.py", "serve_process.py")
UNIT = "/etc/systemd/system/vllm@.service"
SUPERVISORD = f"{CONFIGURATION}/supervisord.conf"
LOGS = "/var/log/vllm"
QUIET_SINCE = "0.16.0"
"""First release with --disable-access-log-for-endpoints: https://github.com/vllm-project/vllm/pull/30011"""


def resources(site: Site) -> Iterator[Resource]:
    """Yield the program that every service runs, its unit, and each service."""
    services = site.settings.resolved_services()
    if not services:
        return
    yield Directory(LIBRARY)
    yield Directory(CONFIGURATION)
    for name in PROGRAM:
        yield File(f"{LIBRARY}/{name}", text(name))
    yield from _systemd(site) if site.facts.systemd else _supervisord(site)
    for index, service in enumerate(services.values()):
        yield from _service(site, service, index)


def url(service: ResolvedService) -> str:
    """Where the service is reached on its own host."""
    address = service.own_address
    return f"http://[{address}]:{service.port}" if ":" in address else f"http://{address}:{service.port}"


def unit(site: Site) -> str:
    """The template unit."""
    # The service writes into its own cache and runtime folders only; systemd makes both.
    return load("vllm@.service.j2").render(
        account=site.account, group=site.group, gpu=site.settings.build.device == "cuda", writable_paths=[]
    )


def _systemd(site: Site) -> Iterator[Resource]:
    yield File(UNIT, unit(site))


def _supervisord(site: Site) -> Iterator[Resource]:
    yield Directory(f"{CONFIGURATION}/supervisor.d")
    yield Directory(LOGS)
    yield File(SUPERVISORD, load("supervisord.conf.j2").render(run_directory="/run/vllm", log_directory=LOGS))


def _service(site: Site, service: ResolvedService, index: int) -> Iterator[Resource]:
    key = f"{CONFIGURATION}/{service.name}.key"
    if service.api_key == "generate":
        yield GeneratedApiKey(key, site.account, site.group)
    elif service.api_key != "none":
        yield File(key, given_api_key(service) + "\n", site.account, site.group, "600", secret=True)
    values = environment(site, service, index)
    values["VLLM_FINGERPRINT"] = _fingerprint(site, service, values)
    yield _environment_file(site, service, values)
    common: dict[str, Any] = {
        "service": service.name,
        "fingerprint": values["VLLM_FINGERPRINT"],
        "enabled": service.enabled,
        "url": url(service),
    }
    if site.facts.systemd:
        yield SystemdService(**common)
        return
    cache, state = f"/var/cache/vllm/{service.name}", f"/run/vllm/{service.name}"
    program = load("supervisor-program.conf.j2").render(
        name=service.name,
        account=site.account,
        enabled=service.enabled,
        cache_directory=cache,
        state_directory=state,
        log_directory=LOGS,
    )
    yield Directory("/var/cache/vllm")
    yield Directory(cache, site.account, site.group, "700")
    yield File(f"{CONFIGURATION}/supervisor.d/{service.name}.conf", program)
    yield SupervisorService(**common, account=site.account)


def _environment_file(site: Site, service: ResolvedService, values: dict[str, str]) -> File:
    """What a service is told. The user's own variables may well be secrets: their values are shown nowhere.

    systemd reads it as root; supervisord's program reads it as the account that serves.
    """
    ours = values.keys() - service.environment.keys()
    owner = ("root", "root") if site.facts.systemd else (site.account, site.group)
    return File(
        f"{CONFIGURATION}/{service.name}.env",
        env_file.render(values),
        *owner,
        mode="600",
        conceal=lambda before, after: env_file.concealed(before, after, ours),
    )


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
    if site.settings.build.device == "cpu":
        values |= _on_cpu(site, service, index)
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


def _kv_cache(site: Site, service: ResolvedService, services: int) -> int:
    # The demo model's longest context takes a few MiB: a proof of the pipeline is no reason to take half the memory.
    is_demo = site.settings.models[service.model].method == "demo"
    return 1 if is_demo else tuning.kv_cache_gib(site.facts.memory, services)


def _tensor_parallel_size(site: Site, service: ResolvedService) -> int:
    """As told; `auto` is the largest power of two among the GPUs, and one on a CPU."""
    if service.tensor_parallel_size != "auto":
        return service.tensor_parallel_size
    gpus = len(site.facts.gpus) if site.settings.build.device == "cuda" else 0
    return 1 << (max(1, gpus).bit_length() - 1)


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
    if service.eager:
        given.append("--enforce-eager")
    if releases.number(site.release.version) >= releases.number(QUIET_SINCE):
        # What serve.py asks every few seconds is nothing that anybody wants to read.
        given += ["--disable-access-log-for-endpoints", "/health,/metrics,/v1/models"]
    return [*given, *service.arguments]


def _fingerprint(site: Site, service: ResolvedService, values: dict[str, str]) -> str:
    """Hash of all that a running server has read: a changed input is a changed environment file, and a restart."""
    kind = site.settings.models[service.model].method
    parts = [
        *(text(name) for name in PROGRAM),
        unit(site) if site.facts.systemd else "",
        vllm.state(site),
        model.demo_revision() if kind == "demo" else site.model_path(service.model),
        json.dumps(values, sort_keys=True),
        repr(service.api_key) + (given_api_key(service) if service.api_key not in ("none", "generate") else ""),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

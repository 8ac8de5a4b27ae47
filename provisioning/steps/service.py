"""One unit for each service, kept alive by systemd; by supervisord, under the same rules, where there is none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from provisioning import env_file
from provisioning.resources import Directory, File, Program, Resource
from provisioning.resources.api_key import GeneratedApiKey, given_api_key
from provisioning.resources.service import Service, SystemdService
from provisioning.resources.supervisor_service import SupervisorService
from provisioning.serve_settings import ResolvedService
from provisioning.server_environment import environment, url
from provisioning.site import CONFIGURATION, LIBRARY, Site
from provisioning.steps import model, vllm
from provisioning.templates import load, text

PROGRAM = tuple(f"serve{part}.py" for part in ("", "_config", "_health", "_metrics", "_process", "_state"))
UNIT = "/etc/systemd/system/vllm@.service"
GPU_UNIT = "/etc/systemd/system/vllm-gpus.service"
SUPERVISORD = f"{CONFIGURATION}/supervisord.conf"
LOGS = "/var/log/vllm"


def resources(site: Site) -> Iterator[Resource]:
    """Yield the program that every service runs, its unit, and each service."""
    services = site.settings.resolved_services()
    if not services:
        return
    yield Directory(LIBRARY)
    yield Directory(CONFIGURATION)
    yield Program("serves", PROGRAM)
    yield from _systemd(site) if site.facts.systemd else _supervisord(site)
    for index, service in enumerate(services.values()):
        yield from _service(site, service, index)


def supervised(site: Site, service: ResolvedService, fingerprint: str = "") -> Service:
    """Give a service; without the fingerprint it can be looked at, started and stopped, whatever Python and vLLM."""
    common: dict[str, Any] = {
        "service": service.name,
        "fingerprint": fingerprint,
        "enabled": service.enabled,
        "url": url(service),
    }
    return SystemdService(**common) if site.facts.systemd else SupervisorService(**common, account=site.account)


def unit(site: Site) -> str:
    """The template unit."""
    # The service writes into its own cache and runtime folders only; systemd makes both.
    return load("vllm@.service.j2").render(
        account=site.account, group=site.group, gpu=site.settings.build.device == "cuda", writable_paths=[]
    )


def _systemd(site: Site) -> Iterator[Resource]:
    yield File(UNIT, unit(site))
    if site.settings.build.device == "cuda":
        yield File(GPU_UNIT, text("vllm-gpus.service"))


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
    if not site.facts.systemd:
        yield from _program(site, service)
    yield supervised(site, service, values["VLLM_FINGERPRINT"])


def _program(site: Site, service: ResolvedService) -> Iterator[Resource]:
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


def _fingerprint(site: Site, service: ResolvedService, values: dict[str, str]) -> str:
    """Hash of all that a running server has read: a changed input is a changed environment file, and a restart."""
    kind = site.settings.models[service.model].method
    parts = [
        *(text(name) for name in PROGRAM),
        unit(site) if site.facts.systemd else "",
        vllm.state(site),
        site.facts.installed_wheel if site.compiles else "",
        model.demo_revision() if kind == "demo" else site.model_path(service.model),
        site.facts.model_revisions.get(site.model_path(service.model), ""),
        json.dumps(values, sort_keys=True),
        repr(service.api_key) + (given_api_key(service) if service.api_key not in ("none", "generate") else ""),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

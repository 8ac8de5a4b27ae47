"""The steps, in order. Each is one function that takes a site and yields resources; adding one touches one file
here and a line in this table.
"""

from collections.abc import Callable, Iterator

from provisioning.resources import Resource
from provisioning.settings import HostSettings
from provisioning.site import Site
from provisioning.steps import conda, environment, mirrors, model, offline, service, system, vllm

STEPS: dict[str, Callable[[Site], Iterator[Resource]]] = {
    "offline": offline.resources,
    "system": system.resources,
    "conda": conda.resources,
    "mirrors": mirrors.resources,
    "environment": environment.resources,
    "vllm": vllm.resources,
    "model": model.resources,
    "service": service.resources,
}

# Every task brings what it rests on: looking at converged steps costs nothing, so each task works on a bare host.
PROVISION = ("offline", "system", "conda", "mirrors", "environment")
BUILD = (*PROVISION, "vllm")
DOWNLOAD = (*BUILD, "model")
SERVE = (*DOWNLOAD, "service")


def of(task: tuple[str, ...], settings: HostSettings) -> tuple[str, ...]:
    """Give a task's steps on a host: to download takes no vLLM, unless a model is trained with it."""
    trains = any(settings.models[service.model].method == "demo" for service in settings.services.values())
    return task if task != DOWNLOAD or trains else (*PROVISION, "model")

"""The steps, in order. Each is one function that takes a site and yields resources; adding one touches one file
here and a line in this table.
"""

from collections.abc import Callable, Iterator

from provisioning.resources import Resource
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

"""The steps, in order. Each is one function that takes a site and yields resources; adding one is a file here, and its
name below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.resources import Resource
    from provisioning.settings import HostSettings
    from provisioning.site import Site


class _Steps(dict[str, "Callable[[Site], Iterator[Resource]]"]):
    """Steps by name; each is imported when it is first asked for."""

    def __missing__(self, name: str) -> Callable[[Site], Iterator[Resource]]:
        return self.setdefault(name, import_module(f"{__name__}.{name}").resources)


STEPS = _Steps()

# Every task brings what it rests on: looking at converged steps costs nothing, so each task works on a bare host.
PROVISION = ("offline", "system", "conda", "mirrors", "environment")
BUILD = (*PROVISION, "vllm")
DOWNLOAD = (*BUILD, "model")
SERVE = (*DOWNLOAD, "service", "webui")


def load() -> None:
    """Import them all: they are most of this program, and there is time for it while hosts are yet to answer."""
    import jinja2  # noqa: F401 - what the steps render templates with

    for name in SERVE:
        STEPS[name]


def of(task: tuple[str, ...], settings: HostSettings) -> tuple[str, ...]:
    """Give a task's steps on a host: to download takes no vLLM, unless a model is trained with it."""
    trains = any(settings.models[service.model].method == "demo" for service in settings.services.values())
    return task if task != DOWNLOAD or trains else (*PROVISION, "model")

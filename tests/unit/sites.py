"""A host that serves the demo model, as the steps see it: settings and facts, without a machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bare_hosts import FACTS

from provisioning.gpus import Gpu
from provisioning.settings import HostSettings
from provisioning.site import Site

GIB = 2**30
DEMO: dict[str, Any] = {"models": {"demo": {"method": "demo"}}, "services": {"demo": {"model": "demo"}}}
"""Settings of a host with one service, the demo model's."""

SERVER = replace(
    FACTS,
    account_exists=True,
    cores=4,
    topology=tuple((number, number, 0, 0) for number in range(4)),
    manager="uv",
    compilers={"gcc": "12.2.0", "g++": "12.2.0"},
)
"""A Debian 12 with four cores and 16 GiB, provisioned with uv."""


def site(told: dict[str, Any] = DEMO, **facts: Any) -> Site:
    """A host with these settings, and facts that differ from `SERVER`'s."""
    return Site("web1", HostSettings.model_validate(told), replace(SERVER, **facts))


def h100s(count: int, driver: str = "580.159.04") -> tuple[Gpu, ...]:
    """The GPUs of a host that has some."""
    return tuple(Gpu(number, "NVIDIA H100", driver, 81559 << 20, "9.0") for number in range(count))


def with_service(**changes: Any) -> dict[str, Any]:
    """`DEMO` with changes to its service."""
    return {**DEMO, "services": {"demo": {"model": "demo", **changes}}}

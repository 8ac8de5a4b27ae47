"""Which GPUs the services of a host get."""

from __future__ import annotations

from typing import Any

import pytest
from sites import DEMO, h100s, site

from provisioning import gpu_sharing
from provisioning.errors import ExitCode, IncompatibleError
from provisioning.site import Site


def host(gpus: int, *services: dict[str, Any], **facts: Any) -> Site:
    """A host with this many GPUs and services a, b, c and so on."""
    told = {"abcdef"[number]: {"model": "demo", "port": 8000 + number, **each} for number, each in enumerate(services)}
    return site({**DEMO, "services": told, "build": {"device": "cuda"}}, gpus=h100s(gpus), **facts)


def dealt(of: Site) -> dict[str, tuple[int, ...]]:
    return {name: gpu_sharing.of(of, service) for name, service in of.settings.resolved_services().items()}


AUTO: dict[str, Any] = {"tensor_parallel_size": "auto"}


@pytest.mark.parametrize(
    ("gpus", "services", "expected"),
    [
        (8, [{}], [()]),
        (8, [AUTO], [()]),
        (0, [{}, {}], [(), ()]),
        (8, [{"gpus": "3,1"}], [(1, 3)]),
        (4, [{}, {}], [(0,), (1,)]),
        (8, [AUTO, AUTO], [(0, 1, 2, 3), (4, 5, 6, 7)]),
        (8, [{"tensor_parallel_size": 2}, AUTO], [(0, 1), (2, 3, 4, 5, 6, 7)]),
        (4, [{"gpus": "0"}, AUTO], [(0,), (1, 2, 3)]),
        (4, [{"gpus": "1,2"}, {}, {}], [(1, 2), (0,), (3,)]),
        (1, [{}, {}], [(0,), (0,)]),
        (2, [{}, {}, {}], [(0,), (1,), (0,)]),
        (2, [{"gpus": "0"}, {"tensor_parallel_size": 2}], [(0,), (0, 1)]),
        (2, [{"gpus": "0,1"}, {}], [(0, 1), (0,)]),
    ],
)
def test_how_gpus_are_dealt_out(gpus: int, services: list[dict[str, Any]], expected: list[tuple[int, ...]]) -> None:
    assert list(dealt(host(gpus, *services)).values()) == expected


def test_the_memory_of_a_shared_gpu_is_shared() -> None:
    for gpus, share in ((1, 0.45), (2, None)):
        two = host(gpus, {}, {})
        services = two.settings.resolved_services().values()
        assert [gpu_sharing.memory_utilization(two, each) for each in services] == [share, share]
    apart = host(2, {}, {})
    assert list(gpu_sharing.notes(apart)) == []
    ((text, remedy),) = gpu_sharing.notes(host(2, {"gpus": "0,1"}, {"gpus": "1"}))
    assert text == "a, b share GPU 1, each with 45% of its memory"
    assert "gpus" in remedy


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (host(0, {}), "no NVIDIA GPU answers here"),
        (host(0, {}, gpu_complaint="No devices were found"), "No devices were found"),
        (host(2, {"gpus": "1,2"}), "the service a wants GPU 2"),
        (host(2, {"tensor_parallel_size": 4}), "the service a wants 4 GPUs, and may use 2"),
        (host(4, {"gpus": "0,1", "tensor_parallel_size": 4}), "the service a wants 4 GPUs, and may use 2"),
    ],
)
def test_gpus_that_are_not_there_are_refused(of: Site, words: str) -> None:
    with pytest.raises(IncompatibleError) as caught:
        gpu_sharing.require(of)
    assert words in str(caught.value)
    assert caught.value.remedy
    assert caught.value.exit_code == ExitCode.INCOMPATIBLE


def test_what_is_there_is_not_refused() -> None:
    gpu_sharing.require(site())
    gpu_sharing.require(host(2, {"gpus": "1"}, {"gpus": "0", "tensor_parallel_size": "auto"}))
    gpu_sharing.require(host(2, {"tensor_parallel_size": 2}))

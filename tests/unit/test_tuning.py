"""What vLLM is told about a host's cores and memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.tuning import GIB, Cpu, Placement, kv_cache_gib, preload, threads_bind


def machine(nodes: int, cores: int, threads: int = 1) -> list[Cpu]:
    """A host whose first hyperthreads are numbered first, as x86 does; `cores` are per node."""
    return [
        (thread * nodes * cores + node * cores + core, node * cores + core, node, node)
        for thread in range(threads)
        for node in range(nodes)
        for core in range(cores)
    ]


@pytest.mark.parametrize(
    ("topology", "bind"),
    [
        (machine(1, 1), "0"),
        (machine(1, 2), "0-1"),
        (machine(1, 4), "0-3"),
        (machine(1, 4, threads=2), "0-3"),
        (machine(1, 8), "0-6"),
        (machine(1, 8, threads=2), "0-7"),
        (machine(2, 16, threads=2), "0-15"),
    ],
)
def test_a_service_alone_computes_on_the_cores_of_one_node(topology: list[Cpu], bind: str) -> None:
    assert threads_bind(topology, len(topology), Placement()) == bind


def test_hyperthreads_that_are_neighbours_are_told_apart() -> None:
    topology = [(0, 0, 0, 0), (1, 0, 0, 0), (2, 1, 0, 0), (3, 1, 0, 0)]
    assert threads_bind(topology, 4, Placement()) == "0,2"


def test_where_lscpu_says_nothing_all_cores_count() -> None:
    assert threads_bind([], 4, Placement()) == "0-3"


def test_workers_of_one_model_sit_on_nodes_of_their_own() -> None:
    assert threads_bind(machine(2, 4), 8, Placement(workers=2)) == "0-3|4-7"


def test_services_divide_the_cores() -> None:
    topology = machine(1, 4)
    assert [threads_bind(topology, 4, Placement(index, 2)) for index in range(2)] == ["0-1", "2-3"]


def test_services_have_nodes_before_they_divide_them() -> None:
    topology = machine(2, 4)
    binds = [threads_bind(topology, 8, Placement(index, 3)) for index in range(3)]
    assert binds == ["0-1", "4-7", "2-3"]


def test_services_share_cores_where_there_are_too_few() -> None:
    assert {threads_bind(machine(1, 2), 2, Placement(index, 3)) for index in range(3)} == {"0-1"}


@given(
    nodes=st.integers(1, 4),
    cores=st.integers(1, 12),
    threads=st.integers(1, 2),
    services=st.integers(1, 5),
    workers=st.integers(1, 3),
)
def test_every_worker_gets_cores_of_the_host(nodes: int, cores: int, threads: int, services: int, workers: int) -> None:
    topology = machine(nodes, cores, threads)
    for index in range(services):
        groups = threads_bind(topology, len(topology), Placement(index, services, workers)).split("|")
        assert len(groups) == workers
        for group in groups:
            ends = [int(end) for run in group.split(",") for end in run.split("-")]
            assert 0 <= min(ends) <= max(ends) < nodes * cores


@pytest.mark.parametrize(
    ("memory", "services", "model", "gib"),
    [
        (2 * GIB, 1, 0, 1),
        (8 * GIB, 1, GIB, 1),
        (16 * GIB, 1, GIB, 5),
        (24 * GIB, 1, 0, 9),
        (24 * GIB, 2, 0, 4),
        (64 * GIB, 1, 15 * GIB, 20),
        (512 * GIB, 1, 15 * GIB, 64),
    ],
)
def test_the_cache_takes_half_of_what_is_left(memory: int, services: int, model: int, gib: int) -> None:
    assert kv_cache_gib(memory, services, model) == gib


@given(memory=st.integers(1, 4096), services=st.integers(1, 8), model=st.integers(0, 2048))
def test_all_services_together_leave_room(memory: int, services: int, model: int) -> None:
    gib = kv_cache_gib(memory * GIB, services, model * GIB)
    assert gib >= 1
    if gib > 1:
        assert services * (gib + model) <= memory * 0.9


def test_libraries_to_preload() -> None:
    assert preload("x86_64", "/opt/env") == (
        "/opt/env/lib/libiomp5.so",
        "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4",
    )
    assert preload("aarch64", "/opt/env") == ("/usr/lib/aarch64-linux-gnu/libtcmalloc_minimal.so.4",)

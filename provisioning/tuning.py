"""vLLM's settings on a CPU, from the host's cores and memory. Pure: facts and settings in, environment out.

Measured with `benchmarks/serving`; its README has the figures behind each rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

GIB = 1 << 30
MAX_KV_CACHE = 64  # GiB; a cache beyond this holds more tokens than a CPU makes in the lifetime of a request
PROCESS = 2 * GIB  # what the API server, the engine and a worker need besides weights and cache
SPARE_FROM = 8  # cores from which one is left to the engine and the API server, where no hyperthread is

Cpu = tuple[int, int, int, int]
"""A logical CPU as lscpu lists it: its number, core, socket and NUMA node."""


@dataclass(frozen=True)
class Placement:
    """A service among the services of its host."""

    index: int = 0
    services: int = 1
    workers: int = 1
    """Processes that share the model: vLLM's tensor parallel size."""


def threads_bind(topology: Sequence[Cpu], cores: int, placement: Placement) -> str:
    """VLLM_CPU_OMP_THREADS_BIND: the CPUs of each worker, such as `0-7` or `0-7|8-15`.

    vLLM's own `auto` leaves a core idle, which is half of a machine with two. One hyperthread of each core computes,
    the others are left to Python. A worker stays on one NUMA node, next to its memory. Services have cores of
    their own where each gets two; where there are fewer they share all, for both are seldom busy at once.
    """
    nodes = _computing(topology) or [list(range(cores))]
    groups = _split(nodes, placement.services * placement.workers)
    mine = groups[placement.index * placement.workers :][: placement.workers]
    spare = len(topology) == sum(map(len, nodes))  # no hyperthread is left for Python
    return "|".join(_ranges(group[:-1] if spare and len(group) >= SPARE_FROM else group) for group in mine)


def kv_cache_gib(memory: int, services: int, model: int = 0) -> int:
    """VLLM_CPU_KVCACHE_SPACE: half of what is left of a service's share of the memory, at least one GiB."""
    usable = memory - max(2 * GIB, memory // 10)
    left = usable // services - model - PROCESS
    return max(1, min(MAX_KV_CACHE, left // 2 // GIB))


def preload(architecture: str, environment: str) -> tuple[str, ...]:
    """Libraries worth preloading, in order; serve.py leaves out those that are not there."""
    tcmalloc = f"/usr/lib/{architecture}-linux-gnu/libtcmalloc_minimal.so.4"
    return (f"{environment}/lib/libiomp5.so", tcmalloc) if architecture == "x86_64" else (tcmalloc,)


def _computing(topology: Sequence[Cpu]) -> list[list[int]]:
    """The first hyperthread of every core, node by node."""
    cores: dict[tuple[int, int, int], int] = {}
    for cpu, core, socket, node in sorted(topology):
        cores.setdefault((node, socket, core), cpu)
    nodes = defaultdict(list)
    for (node, _, _), cpu in cores.items():
        nodes[node].append(cpu)
    return [sorted(nodes[node]) for node in sorted(nodes)]


def _split(nodes: list[list[int]], workers: int) -> list[list[int]]:
    """The CPUs of each worker: the nodes are dealt out in turn, and each is divided among those who got it."""
    groups = []
    for worker in range(workers):
        node = nodes[worker % len(nodes)]
        sharing = len(range(worker % len(nodes), workers, len(nodes)))
        position, size = worker // len(nodes), len(node)
        share = node[position * size // sharing : (position + 1) * size // sharing]
        groups.append(share if size >= 2 * sharing else node)
    return groups


def _ranges(cpus: Sequence[int]) -> str:
    """`0-2,5` for 0, 1, 2, 5."""
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and runs[-1][-1] == cpu - 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)

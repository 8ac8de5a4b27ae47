"""Which GPUs each service of a host computes on. Pure: settings and facts in, numbers of GPUs out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from provisioning.errors import IncompatibleError
from provisioning.gpus import least_driver
from provisioning.serve_settings import ResolvedService
from provisioning.site import Site

MEMORY = 0.9
"""vLLM's own share of a GPU's memory, where the GPU is one service's alone."""

Shares = Mapping[str, tuple[int, ...]]
"""The GPUs of each service, by their numbers."""


def shares(services: Mapping[str, ResolvedService], gpus: Sequence[int]) -> Shares:
    """Deal the GPUs out: as told; to the others those that nobody is told to take, next to each other.

    Of these, who says how many (`tensor_parallel_size`) gets as many, and the others the same number each. Where there
    are too few, services share.
    """
    told = {name: _numbers(service.gpus) for name, service in services.items() if service.gpus != "auto"}
    taken = {number for numbers in told.values() for number in numbers}
    free = [number for number in gpus if number not in taken] or list(gpus)
    sizes = _sizes({name: service for name, service in services.items() if name not in told}, len(free))
    dealt, position = dict(told), 0
    for name, size in sizes.items():
        start = position % max(1, len(free))
        turned = [*free[start:], *free[:start]]
        dealt[name] = tuple(sorted([*turned, *(number for number in gpus if number not in free)][:size]))
        position += size
    return dealt


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted(set(map(int, text.split(",")))))


def _sizes(services: Mapping[str, ResolvedService], free: int) -> dict[str, int]:
    """How many GPUs each of these services gets."""
    wanted = {name: service.tensor_parallel_size for name, service in services.items()}
    left = free - sum(size for size in wanted.values() if size != "auto")
    automatic = max(1, list(wanted.values()).count("auto"))
    return {name: max(1, left // automatic) if size == "auto" else size for name, size in wanted.items()}


def of(site: Site, service: ResolvedService) -> tuple[int, ...]:
    """The GPUs that a service is bound to; none for the only service of a host, which sees them all."""
    services = site.settings.resolved_services()
    if service.gpus == "auto" and (len(services) == 1 or not site.facts.gpus):
        return ()
    return _all(site)[service.name]


def memory_utilization(site: Site, service: ResolvedService) -> float | None:
    """The share of its GPUs' memory that a service may take; None where it has them for itself."""
    dealt = _all(site)
    most = max((_crowd(dealt, number) for number in dealt[service.name]), default=1)
    return round(MEMORY / most, 2) if most > 1 else None


def _all(site: Site) -> Shares:
    return shares(site.settings.resolved_services(), [gpu.index for gpu in site.facts.gpus])


def _crowd(dealt: Shares, number: int) -> int:
    return sum(number in numbers for numbers in dealt.values())


def notes(site: Site) -> Iterator[tuple[str, str]]:
    """What to know of GPUs that several services share: the fact, and what to do about it."""
    dealt = _all(site)
    for number in sorted({number for numbers in dealt.values() for number in numbers}):
        names = [name for name, numbers in dealt.items() if number in numbers]
        if len(names) > 1:
            text = f"{', '.join(names)} share GPU {number}, each with {MEMORY / len(names):.0%} of its memory"
            yield text, "That may be what you want; else give each service GPUs of its own (gpus)."


def require(site: Site) -> None:
    """Refuse, before anything is installed, a host without the GPUs that its services want (`IncompatibleError`)."""
    if site.settings.build.device != "cuda":
        return
    if not site.facts.gpus:
        raise IncompatibleError(
            f"{site.name}: no NVIDIA GPU answers here",
            cause=site.facts.gpu_complaint or "There is no nvidia-smi, which comes with NVIDIA's driver.",
            remedy=f"Install NVIDIA's driver ({least_driver('13')} or newer for the newest vLLM), or build for cpu.",
        )
    there = {gpu.index for gpu in site.facts.gpus}
    for service in site.settings.resolved_services().values():
        if problem := _lacking(service, there):
            raise IncompatibleError(
                f"{site.name}: the service {service.name} {problem}",
                cause=f"The host has {', '.join(f'GPU {number}' for number in sorted(there))}.",
                remedy="Correct gpus or tensor_parallel_size of the service.",
            )


def _lacking(service: ResolvedService, there: set[int]) -> str:
    """What a service wants and cannot have, as the end of a sentence; "" for nothing."""
    wanted = there if service.gpus == "auto" else set(_numbers(service.gpus))
    if wanted - there:
        return f"wants GPU {min(wanted - there)}"
    size = service.tensor_parallel_size
    return f"wants {size} GPUs, and may use {len(wanted)}" if size != "auto" and size > len(wanted) else ""

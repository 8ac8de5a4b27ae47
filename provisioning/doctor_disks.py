"""Whether there is room on every file system of a host that gets much."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning import free_space
from provisioning.findings import ERROR, GIB, OK, Finding
from provisioning.host import quote
from provisioning.places import STATE
from provisioning.site import Site

DISK_FOR_VLLM = 6 * GIB
"""vLLM and torch for CPUs take 3.4 GB, and as much again while they are unpacked; what else comes fits in beside."""
LARGE = 7 * GIB // 2
DISK_FOR_CUDA = 16 * GIB
"""torch for CUDA 13 takes 5.6 GB, vLLM and all but flashinfer 1.4 GB, and the cache as much again."""
SMALL = GIB // 2


def needs(site: Site) -> dict[str, int]:
    """Give the folders that get much, and how much. (uv unpacks in its cache, not in /tmp.)"""
    large = DISK_FOR_CUDA // 2 if _brings_cuda(site) else LARGE
    trained = [name for name, model in site.settings.models.items() if model.method == "demo"]
    return {
        site.environment: large,
        f"{site.home}/.cache/vllm-provisioning": large,
        STATE: SMALL,
        "/usr": SMALL,
        "/var/cache/vllm": SMALL,
        **{site.model_path(name): SMALL for name in trained},
    }


def _brings_cuda(site: Site) -> bool:
    return site.settings.build.device == "cuda" and "torch" not in site.settings.build.exclude


def probe(site: Site) -> str:
    """Print a line of df for each folder; for one that is yet to be made, that of the folder above."""
    folders = " ".join(map(quote, needs(site)))
    return (
        # A folder whose df says nothing has a line too.
        f'{free_space.ROW}; for folder in {folders}; do printf "%s\\n" "$(df_row "$folder")"; done'
    )


def findings(site: Site, output: str) -> Iterator[Finding]:
    """Judge each file system once, by all that it gets."""
    wanted: dict[str, int] = {}
    free: dict[str, int] = {}
    for row, need in zip(output.splitlines(), needs(site).values(), strict=False):
        fields = row.split(maxsplit=5)
        if len(fields) == 6 and fields[3].isdecimal():
            most = DISK_FOR_CUDA if _brings_cuda(site) else DISK_FOR_VLLM
            wanted[fields[5]] = min(most, wanted.get(fields[5], 0) + need)
            free[fields[5]] = int(fields[3])
    for mount, need in wanted.items():
        if free[mount] >= need:
            yield Finding(OK, "disk", f"{free[mount] / GIB:.0f} GiB free on {mount}")
        else:
            remedy = f"{need / GIB:g} GiB are needed there: make room."
            yield Finding(ERROR, "disk", f"{free[mount] / GIB:.1f} GiB free on {mount}", remedy)

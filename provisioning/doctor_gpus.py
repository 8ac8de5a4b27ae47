"""What `doctor` says of GPUs and their driver."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning import gpu_sharing
from provisioning.findings import ERROR, OK, WARNING, Finding
from provisioning.gpus import describe, driver_of, least_driver, newest_cuda
from provisioning.site import Site


def findings(site: Site) -> Iterator[Finding]:
    """Judge them: what is there, what CUDA it can run, and what services make of it."""
    found, wanted = site.facts.gpus, site.settings.build.device == "cuda"
    if not found:
        why = site.facts.gpu_complaint or "no NVIDIA GPU (or no driver)"
        remedy = f"Install NVIDIA's driver {least_driver('13')} or newer, or build for cpu."
        yield Finding(ERROR if wanted else OK, "GPUs", why, remedy if wanted else "")
        return
    driver = driver_of(found)
    yield Finding(OK, "GPUs", describe(found))
    # Which release that allows, and whether it is the wanted one, the line on vLLM says.
    yield Finding(OK, "driver", f"{driver}, runs CUDA {newest_cuda(driver) or 'of no known version'}")
    if wanted:
        yield from (Finding(WARNING, "GPUs", *note) for note in gpu_sharing.notes(site))

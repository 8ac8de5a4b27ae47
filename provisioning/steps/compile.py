"""vLLM compiled from source for CPUs, as a wheel: made on one host, taken by those that can run it."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator
from typing import Any

from provisioning import compiler, uv
from provisioning.build_settings import ArmCompute, Build, OneDnn
from provisioning.errors import IncompatibleError
from provisioning.host import quote
from provisioning.masking import masked
from provisioning.releases import cpu_torch
from provisioning.resources import Directory, Program, Resource
from provisioning.resources.compiled_wheel import CompiledWheel
from provisioning.site import LIBRARY, TOOLS, Site
from provisioning.templates import load
from provisioning.wheel_store import Target

PROGRAM = (
    "compile_vllm.py",
    "compile_fetch.py",
    "compile_download.py",
    "compile_requirements.py",
    "compile_wheel.py",
    "compile_explain.py",
    "compile_needs.py",
    "git_client.py",
    "tree_state.sh",
)
GIB = 1 << 30
SCOPE_HAS_OOM_POLICY = 253
"""Version of systemd: https://www.freedesktop.org/software/systemd/man/latest/systemd.scope.html"""
MEMORY_PER_JOB = 4 * GIB
"""Bytes that the compiler needs for the heaviest file, csrc/cpu/cpu_attn.cpp: see benchmarks/compile."""
LEAST_MEMORY = 5 * GIB // 2
"""Bytes that it needs for that file when it is told to be frugal: see benchmarks/compile."""
DISK = 3 * GIB
"""Bytes that sources, objects, ccache and the wheel take, torch not counted: see benchmarks/compile."""


def resources(site: Site) -> Iterator[Resource]:
    """Yield the program that compiles, and the wheel."""
    _require_processor(site)
    yield Directory(LIBRARY)
    yield Program("compiles", PROGRAM)
    yield CompiledWheel(
        host=site.name,
        key=key(site),
        title=f"vLLM {site.release.version} for CPUs, Python {site.python}",
        script=_script(site),
        workshop=folder(site),
        account=site.account,
        home=site.home,
        target=Target(site.facts.architecture, site.facts.glibc, site.facts.cpu_flags),
        builder="" if site.settings.build.on == "auto" else site.settings.build.on,
        watched=_watched(site),
        disk=DISK,
        refusal=_refusal(site),
    )


def _watched(site: Site) -> tuple[str, ...]:
    """Folders of the host that would be compiled again if they changed.

    A library's only where the first is taken, whatever its version: what has the wanted tag does not change.
    """
    build = site.settings.build
    libraries: list[OneDnn | ArmCompute] = [build.onednn]
    if site.facts.architecture == "aarch64":
        libraries.append(build.arm_compute)
    first = [build.sources[0], *(library.sources[0] for library in libraries if library.allow)]
    return tuple(site.expand(source) for source in first if source[0] in "/~")


def _require_processor(site: Site) -> None:
    """Refuse a host that could not run what it compiles. Raises `IncompatibleError`."""
    if site.facts.architecture == "x86_64" and "avx2" not in site.facts.cpu_flags:
        raise IncompatibleError(
            "vLLM for CPUs needs a processor with AVX2, and this one has none",
            remedy="Take another host; of a virtual machine, let it see the processor as it is (host-passthrough).",
        )


def _refusal(site: Site) -> IncompatibleError | None:
    """Why vLLM cannot be compiled here: its compiler, or its memory."""
    try:
        compiler.require(site, site.release)
    except IncompatibleError as error:
        return error
    if (limit := _memory_limit(site)) < LEAST_MEMORY:
        return IncompatibleError(
            f"too little memory to compile vLLM: {limit / 1e9:.1f} of the host's {site.facts.memory / 1e9:.1f} GB",
            cause=f"the heaviest file takes {LEAST_MEMORY / 1e9:.1f} GB; the rest is left to the host",
            remedy="Compile on another host (build.on), or take the prebuilt wheel (build.method: wheel).",
        )
    return None


def folder(site: Site) -> str:
    """Where it is compiled: kept, so that an interrupted build goes on, and the next one is faster."""
    return f"{site.home}/.cache/vllm-provisioning/compile/{key(site)[:12]}"


def key(site: Site) -> str:
    """Hash of all that is asked of the wheel; what exactly went into it stands in its manifest."""
    return hashlib.sha256(json.dumps(_asked(site), sort_keys=True).encode()).hexdigest()[:32]


def _asked(site: Site) -> dict[str, Any]:
    build, release = site.settings.build, site.release
    return {
        "version": release.version,
        "revision": build.revision or "",
        # Whose fork it is makes a difference, unless nothing was said.
        "sources": [] if build.sources == Build().sources else list(build.sources),
        "allow_missing_isa": build.allow_missing_isa,
        "python": site.python,
        "torch": cpu_torch(release.torch_cpu or "", site.facts.architecture),
        "architecture": site.facts.architecture,
        "compiler": build.cxx or f"gcc-{site.settings.compiler.version}",
        "flags": build.cmake_args or "",
        "onednn": _library(build.onednn),
        "arm_compute": _library(build.arm_compute) if site.facts.architecture == "aarch64" else "",
    }


def _library(library: OneDnn | ArmCompute) -> list[str]:
    """Mirrors of one and the same tag make no difference; other versions do."""
    return list(library.sources) if library.allow else []


def config(site: Site) -> dict[str, Any]:
    """Everything that the program on the host is told."""
    build, asked = site.settings.build, _asked(site)
    cc, cxx = compiler.paths(site)
    libraries: dict[str, tuple[str, OneDnn | ArmCompute]] = {
        "onednn": ("onednn", build.onednn),
        "acl": ("arm_compute", build.arm_compute),
    }
    return {
        **{name: asked[name] for name in ("version", "revision", "python", "torch", "flags")},
        "key": key(site),
        "folder": folder(site),
        "sources": build.sources,
        "build_requirements": site.release.cpu_build_requirements,
        **{
            name: {"setting": setting, "sources": library.sources, "allow": library.allow}
            for name, (setting, library) in libraries.items()
        },
        "cc": cc,
        "cxx": cxx,
        "jobs": build.jobs,
        "memory_limit": _memory_limit(site),
        "memory_per_job": MEMORY_PER_JOB,
        "ccache": build.ccache,
        "allow_missing_isa": build.allow_missing_isa,
    }


def _memory_limit(site: Site) -> int:
    return site.facts.memory - max(GIB // 2, site.facts.memory // 10)


def _script(site: Site) -> str:
    script = load("compile_vllm.sh").render(
        quote=quote,
        python=site.environment_python,
        program=posixpath.join(LIBRARY, PROGRAM[0]),
        folder=folder(site),
        tools=TOOLS,
        config=json.dumps(config(site), ensure_ascii=False),
        masked=masked,
        private=[],
        public=[f"torch=={_asked(site)['torch']}"],
        torch_indexes=torch_indexes(site),
    )
    # What it needs is installed into the environment: whatever was proven there before is not proven any more.
    forget = f"rm -f {quote(site.environment)}/.vllm-provisioning\n"
    return _bounded(_memory_limit(site), site.facts.systemd) + uv.script(site, forget + script)


def torch_indexes(site: Site) -> list[str]:
    """Where torch for CPUs is looked for beside pip's own indexes: nowhere on a host that is told to ask none."""
    return [] if site.settings.pip.index == "none" else list(site.settings.build.torch_indexes)


def _bounded(memory: int, systemd: int) -> str:
    """Shell that runs the rest in a scope of its own: a compiler that wants too much is ended, and nothing else."""
    # Newer ones would end the whole scope with the compiler, and with it who explains that.
    policy = "-p OOMPolicy=continue " if systemd >= SCOPE_HAS_OOM_POLICY else ""
    return (
        'if [ -d /run/systemd/system ] && [ -z "${IN_SCOPE:-}" ]; then\n'
        f"    IN_SCOPE=1 exec systemd-run --scope --quiet --collect -p MemoryMax={memory} {policy}-p CPUWeight=50 "
        '-- /bin/sh "$0"\nfi\n'
    )

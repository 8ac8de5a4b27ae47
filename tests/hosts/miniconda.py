"""A stand-in for the Miniconda installer.

Anaconda's servers and their mirrors cannot be counted on in a test (here they cannot be reached at all), and a
hundred megabytes per test would be slow. The stand-in takes the real installer's flags, refuses what it refuses
(a truncated file, an existing prefix, a prefix with a space), and lays down a `conda` whose environments are virtual
environments of the Python that the host has. Their packages are files with nothing in them, which are cached, listed
(`list --explicit`) and taken offline (`create --offline --file`) as the real conda does, with the words that it has for
it. So it proves how provisioning deals with an installer, a download, conda's command and its files; it proves nothing
about what is in conda's packages, nor about its solver.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path
from typing import Any

import yaml

from .controller import PROJECT

HERE = Path(__file__).parent
VERSION = "25.7.0"
CHANNEL = "https://conda.anaconda.org/conda-forge"
FILE = "Miniconda3-py311_25.7.0-2-Linux-x86_64.sh"
"""A name as the real ones have."""
PINNED = "py310_26.5.3-1"
PINNED_FILE = f"Miniconda3-{PINNED}-Linux-x86_64.sh"
"""What the program downloads if it is told nothing."""


def make_installer(
    path: Path,
    *,
    megabytes: int = 0,
    version: str = VERSION,
    terms: bool = True,
    any_python: bool = False,
    channel: str = CHANNEL,
) -> str:
    """Write an installer, padded to a size where a download takes its time, and give its SHA-256.

    With `terms`, conda refuses Anaconda's own channels until `conda tos accept`; with `any_python`, an environment
    gets the host's Python whatever version was asked for, where otherwise a version that the host lacks is an error.
    Packages that were not taken from a file come from `channel`, if conda is asked.
    """
    conda = (HERE / "miniconda_conda.sh").read_text()
    values = {"VERSION": version, "TERMS": str(int(terms)), "ANY_PYTHON": str(int(any_python)), "CHANNEL": channel}
    for name, value in values.items():
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


def pin_installer(folder: Path, **options: Any) -> tuple[Path, Path]:
    """Give a stand-in for the pinned installer, and a clone of the program with its hash in place of the real one's."""
    project, installer = folder / "project", folder / PINNED_FILE
    shutil.copytree(PROJECT / "provisioning", project / "provisioning")
    for name in ("tasks.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(PROJECT / name, project)
    data = project / "provisioning/miniconda.yaml"
    content = yaml.safe_load(data.read_text())
    content["installers"][PINNED]["x86_64"]["sha256"] = make_installer(installer, **options)
    data.write_text(yaml.safe_dump(content))
    return installer, project

"""A Debian 13 machine on which the real vLLM is compiled with nothing but the package registries.

The registries have vLLM's source distribution, and Debian has oneDNN 3.7.2 as a source package: older than what vLLM's
cmake file names, but the last one that can be had without GitHub; `allow` takes it. torch for CPUs lies in the folder
that this machine's pip configuration names, for Python 3.11, which Debian 13 does not package: the Python that runs the
tests is bound into the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .debian import package_folders
from .machine import Machine

VLLM = "0.31.0"
PYTHON = "3.11"
ONEDNN = "/srv/onednn"
GET_ONEDNN = f"""
sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >/etc/apt/sources.list.d/source.sources
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends dpkg-dev
cd /tmp
apt-get -qq source onednn=3.7.2+ds-2
mv onednn-3.7.2+ds {ONEDNN}
"""


def settings(**build: Any) -> dict[str, Any]:
    """What an inventory says to compile this; `build` is added."""
    told = {"method": "source", "vllm": VLLM, "sources": ["sdist"], "onednn": {"sources": [ONEDNN], "allow": True}}
    return {
        "environment": {"manager": "uv", "python": PYTHON},
        # Debian's oneDNN logs through spdlog.
        "apt": {"packages": ["libspdlog-dev"]},
        "build": {**told, **build},
    }


def make(factory: Callable[..., Machine], uv_cache: Path | None = None, **options: Any) -> Machine:
    """Boot a machine with Python 3.11 and with oneDNN's source. Skips where either or torch cannot be had."""
    if not any(folder.glob("torch-*+cpu-cp311-*.whl") for folder in package_folders()):
        pytest.skip("this machine's pip configuration names no folder with torch for CPUs and Python 3.11")
    binds = _python()
    if uv_cache:
        binds[str(uv_cache)] = "/var/cache/uv:rw"
    machine = factory("trixie", binds=binds, **options)
    machine.run("ldconfig")
    if machine.run(f"[ -d {ONEDNN} ]", check=False).returncode:
        machine.run(f"set -e; {GET_ONEDNN}")
    assert machine.run("python3.11 --version").stdout.startswith("Python 3.11")
    return machine


def _python() -> dict[str, str]:
    """This Python, where a `make install` of its source would have put it."""
    prefix = Path(sys.base_prefix)
    if sys.version_info[:2] != (3, 11) or prefix == Path("/usr"):
        pytest.skip(f"the tests must run with a Python 3.11 of its own folder, not {sys.executable}")
    parts = ["bin/python3.11", "include/python3.11", "lib/python3.11", "lib/libpython3.11.so.1.0"]
    return {str(prefix / part): f"/usr/local/{part}" for part in parts if (prefix / part).exists()}

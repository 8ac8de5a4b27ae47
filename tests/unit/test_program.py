"""A program of ours on a host: what its probe means, run by a real shell in a folder of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from provisioning.resources import Program
from provisioning.site import LIBRARY
from provisioning.templates import text

PROGRAM = Program("serves", ("serve.py", "tree_state.sh"))


def difference(folder: Path) -> str:
    script = PROGRAM.probe().replace(LIBRARY, str(folder))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert not done.stderr
    found = PROGRAM.diff(done.stdout)
    return found.text if found else ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if os.geteuid():
        pytest.skip("the files have to be root's")
    for file in PROGRAM.files:
        (tmp_path / file).write_text(text(file))
        (tmp_path / file).chmod(0o644)
    return tmp_path


def test_nothing_is_there(tmp_path: Path) -> None:
    assert f"install the program that serves into {LIBRARY}: 2 files" in difference(tmp_path / "none")


def test_all_is_there(folder: Path) -> None:
    (folder / "another.py").touch()
    assert difference(folder) == ""


@pytest.mark.parametrize("change", ["content", "mode", "link", "gone"])
def test_a_file_is_another(folder: Path, change: str) -> None:
    file = folder / "serve.py"
    if change == "content":
        file.write_text(text("serve.py") + "\n")
    elif change == "mode":
        file.chmod(0o666)
    else:
        file.rename(folder / "elsewhere")
        if change == "link":
            file.symlink_to(folder / "elsewhere")
    assert difference(folder).endswith(f"{LIBRARY}: serve.py")


def test_it_is_taken_back(folder: Path) -> None:
    subprocess.run(["sh", "-c", PROGRAM.undo("").replace(LIBRARY, str(folder))], check=True)
    assert not list(folder.iterdir())

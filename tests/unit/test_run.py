"""`./run` makes its virtual environment once, and makes it anew when it stopped working."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / "run"
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "stand-in"
version = "1"
"""
BACKEND = """
import zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name, info = "stand_in-1-py3-none-any.whl", "stand_in-1.dist-info/"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("stand_in.py", "import sys\\ndef main(): print('invoke', *sys.argv[1:])\\n")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: stand-in\\nVersion: 1\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "entry_points.txt", "[console_scripts]\\ninvoke = stand_in:main\\n")
        wheel.writestr(info + "RECORD", "")
    return name
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project that brings a program called `invoke`, and needs no network."""
    folder = tmp_path / "a project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "constraints.txt").touch()
    shutil.copy(RUN, folder / "run")
    return folder


def start(program: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": python, "PIP_NO_INDEX": "1"}
    return subprocess.run([program, "--list"], env=environment, capture_output=True, text=True, check=False)


def run(program: Path) -> tuple[str, bool]:
    """What it said, and whether it set something up."""
    done = start(program / "run" if program.is_dir() else program)
    assert done.returncode == 0, done.stderr
    return done.stdout, "setting up" in done.stderr


def test_it_is_made_once_and_again_when_it_stopped_working(project: Path) -> None:
    said = f"invoke --search-root {project} --list\n"
    # An interpreter that is gone: its link hangs, and so does the first line of every program.
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to("/nowhere/python")
    (project / ".venv/bin/invoke").write_text(f"#!{project}/.venv/bin/python\n")
    (project / ".venv/bin/invoke").chmod(0o755)
    stamp = subprocess.run(["cksum"], input=PROJECT, capture_output=True, text=True, check=True).stdout
    (project / ".venv/.stamp").write_text(stamp)
    (project / ".venv/.made-for").write_text(f"{project}\n")
    assert run(project) == (said, True)
    assert run(project) == (said, False)
    # Through links, and beside them is another program's environment.
    (project.parent / "bin/.venv").mkdir(parents=True)
    (project.parent / "bin/provision").symlink_to(project / "run")
    (project.parent / "link").symlink_to("bin/provision")
    assert run(project.parent / "link") == (said, False)
    # The interpreter has become another version: what is installed is for the old one.
    (project / ".venv/.made-for").write_text(f"{project}\n3 9 /usr\n")
    (project / ".venv/mark").touch()
    assert run(project) == (said, True)
    assert not (project / ".venv/mark").exists()
    # Other pins fill it again, and leave what else is in it.
    (project / ".venv/mark").touch()
    (project / "constraints.txt").write_text("# another\n")
    assert run(project) == (said, True)
    assert (project / ".venv/mark").exists()


def test_an_environment_that_cannot_be_made_leaves_nothing(project: Path) -> None:
    """As on a full disk, of which ensurepip says nothing."""
    python = project / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in "-m venv"*) mkdir -p "$3"; exit 1;; esac\nexec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    done = start(project / "run", str(python))
    assert done.returncode == 1
    assert "could not be made" in done.stderr
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("name", ["a$b", "{a}", "a:b", 'a"b', "a\\b", "a`b", "a\nb"])
def test_a_folder_in_which_python_cannot_install(project: Path, name: str) -> None:
    done = start(project.rename(project.with_name(name)) / "run")
    assert done.returncode == 1
    assert "Move this folder" in done.stderr
    assert not (project.with_name(name) / ".venv").exists()


def test_a_python_that_was_named_is_taken_or_refused(project: Path) -> None:
    done = start(project / "run", "/nowhere/python")
    assert done.returncode == 1
    assert "found none: PYTHON is /nowhere/python" in done.stderr

"""What a process reads is noted without being told, by real files and folders."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning import reads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "listed").mkdir()
    (tmp_path / "read").write_text("one")
    return tmp_path


def noted(folder: Path) -> list[str]:
    noting = reads.Reads()
    (folder / "read").read_text()
    (folder / "missing").exists()
    with pytest.raises(FileNotFoundError):
        (folder / "missing").read_text()
    (folder / "written").write_text("by this process")
    os.listdir(folder / "listed")
    Path("/proc/self/stat").read_text()
    paths = noting.paths()
    (folder / "later").touch()
    (folder / "later").read_text()
    assert paths == noting.paths()
    return paths


def test_files_and_folders_that_were_read(folder: Path) -> None:
    paths = noted(folder)
    assert [path for path in paths if path.startswith(str(folder))] == [
        str(folder / name) for name in ("listed", "missing", "read")
    ]
    assert reads.__file__ in paths
    assert not [path for path in paths if path.endswith(".pyc") or path.startswith("/proc/")]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "read").write_text("two"),
        lambda folder: [(folder / "read").write_text("two"), os.utime(folder / "read", (1, 1))],
        lambda folder: (folder / "read").unlink(),
        lambda folder: (folder / "missing").touch(),
        lambda folder: (folder / "listed/new").touch(),
    ],
    ids=["another content", "another content of another time", "gone", "there now", "another file in a folder"],
)
def test_a_change_shows(folder: Path, change: Callable[[Path], object]) -> None:
    paths = noted(folder)
    before, now = reads.state(paths), time.time_ns()
    assert reads.state(paths) == before
    assert 0 < before.changed_at < now
    time.sleep(0.02)  # the kernel's clock of files ticks some hundred times a second
    change(folder)
    assert reads.state(paths).digest != before.digest


def test_a_module_counts_by_its_source(tmp_path: Path) -> None:
    """Also where it is read from its bytecode."""
    (tmp_path / "module_of_mine.py").write_text("ONE = 1\n")
    program = (
        "from provisioning import reads; noting = reads.Reads(); import module_of_mine; "
        "print([path for path in noting.paths() if 'module_of_mine' in path])"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(reads.__file__).parents[1]}"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == str([str(tmp_path / "module_of_mine.py")])

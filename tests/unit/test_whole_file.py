"""Text files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioning.whole_file import write_whole


@pytest.mark.parametrize(("mode", "found"), [(0o666, 0o644), (0o600, 0o600)])
def test_a_file_takes_the_place_of_another(tmp_path: Path, mode: int, found: int) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    write_whole(file, "中", mode=mode)
    assert file.read_text("utf-8") == "中"
    assert file.stat().st_mode & 0o777 == found
    assert os.listdir(tmp_path) == ["file"]


def test_what_cannot_be_written_leaves_everything_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    with pytest.raises(UnicodeError):
        write_whole(file, "half of a pair: \ud800")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "folder", "text")
    assert file.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    write_whole(file, "half of a pair: \ud800", errors="replace")
    assert file.read_text() == "half of a pair: ?"

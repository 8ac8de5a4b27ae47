"""Text files that are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
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


def test_what_a_link_leads_to_is_written(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    for text in ("one\n", "天空\n"):
        write_whole(link, text)
        assert (link.is_symlink(), target.read_text("utf-8")) == (True, text)


def test_what_is_no_file_stays_what_it_is() -> None:
    program = "from pathlib import Path; from provisioning.whole_file import write_whole; "
    program += "write_whole(Path('/dev/stdout'), 'one\\n')"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == "one\n"
    assert Path("/dev/stdout").is_symlink()

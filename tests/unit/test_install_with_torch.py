"""Where an installation looks next, and where it stops: the script, with a stand-in for uv that ends as it is told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from provisioning.host import quote
from provisioning.masking import masked
from provisioning.templates import load

UV = """#!/bin/sh
echo "uv ${UV_INDEX-} $*" >>"$RECORD"
echo a line of progress
echo "${WORDS-}" >&2
[ "${UV_INDEX-}" = "${GOOD-}" ]
"""


def install(folder: Path, **variables: str) -> tuple[int, list[str], list[str]]:
    """Give the exit code, what was printed, and the calls of uv."""
    (folder / "uv").write_text(UV)
    (folder / "uv").chmod(0o755)
    indexes = ["https://me:secret@first/cpu", "https://second/cpu"]
    about = {"torch_indexes": indexes, "private": [], "public": ["torch==2"], "quote": quote, "masked": masked}
    script = load("install_with_torch.sh").render(**about)
    run = f"set -u; python={folder}/bin/python\n{script}\ninstall_with_torch 'torch==2 '"
    told = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "RECORD": str(folder / "record"), **variables}
    done = subprocess.run(["sh", "-c", run], capture_output=True, text=True, check=False, timeout=60, env=told)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines(), (folder / "record").read_text().splitlines()


def test_the_configured_indexes_come_first_and_then_each_other(tmp_path: Path) -> None:
    code, _, calls = install(tmp_path, GOOD="")
    assert (code, calls) == (0, [f"uv  pip install --python {tmp_path}/bin/python torch==2 "])
    (tmp_path / "record").unlink()
    code, said, calls = install(tmp_path, GOOD="https://second/cpu")
    assert (code, len(calls)) == (0, 3)
    assert "looking for torch at https://***@first/cpu" in said
    assert not (tmp_path / ".vllm-provisioning.unfinished").exists()


def test_where_all_fail_it_says_what_was_tried(tmp_path: Path) -> None:
    code, said, calls = install(tmp_path, GOOD="none", WORDS="no such package")
    assert (code, len(calls), said.count("no such package")) == (1, 3, 3)
    assert said[-2:] == [
        "these could not be installed: torch==2",
        "tried: pip's configured indexes, https://***@first/cpu, https://second/cpu (pip.*, build.torch_indexes)",
    ]
    install(tmp_path, GOOD="")
    assert "--reinstall" in (tmp_path / "record").read_text().splitlines()[-1], "what was cut off is put there again"


def test_what_a_full_disk_ends_is_tried_nowhere_else(tmp_path: Path) -> None:
    words = "  cause: failed to write to file `/x`: No space left on device (os error 28)"
    code, said, calls = install(tmp_path, GOOD="none", WORDS=words)
    assert (code, len(calls)) == (1, 1)
    assert said[-2:] == [words, "the disk is full: make room there"]
    assert install(tmp_path, GOOD="", WORDS=words)[0] == 0, "a warning is no failure"

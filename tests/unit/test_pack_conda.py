"""The packages of a conda environment, as a bundle holds them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from provisioning.templates.pack_conda import EXPLICIT, Package, is_right, main, packages

FORGE = "https://conda.anaconda.org/conda-forge"
LIST = f"""\
# This file may be used to create an environment using:
# $ conda create --name <env> --file <this file>
# platform: linux-64
# created-by: conda 26.5.3
@EXPLICIT
{FORGE}/linux-64/python-3.11.9-h1_0.conda#{hashlib.sha256(b"python").hexdigest()}
https://me@mirror.example.com/pkgs/main/noarch/a%21b-1!2-0.tar.bz2#{hashlib.md5(b"a").hexdigest()}
{FORGE}/noarch/pip-25.1-0.conda
"""
PYTHON, OTHER, PIP = packages(LIST)


def test_a_list_is_read_in_its_order() -> None:
    assert [each.path for each in (PYTHON, OTHER, PIP)] == [
        "linux-64/python-3.11.9-h1_0.conda",
        "noarch/a!b-1!2-0.tar.bz2",
        "noarch/pip-25.1-0.conda",
    ]
    assert Package("noarch/pip-25.1-0.conda", f"{FORGE}/noarch/pip-25.1-0.conda", "") == PIP
    assert (len(PYTHON.hash), len(OTHER.hash)) == (64, 32)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("# no URL for: mine-1-0.conda", "does not know where this package came from: mine-1-0.conda"),
        ("python=3.11", "no package of conda: python=3.11"),
        (f"{FORGE}/noarch/a-1-0.conda#../x", "no package of conda"),
    ],
)
def test_what_cannot_be_packed_is_named(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        packages(f"{LIST}{line}\n")


def test_a_file_is_right_by_its_hash_if_one_is_known(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert not is_right(file, "")
    file.write_bytes(b"a")
    assert is_right(file, "")
    assert is_right(file, OTHER.hash)
    assert is_right(file, hashlib.sha256(b"a").hexdigest())
    assert not is_right(file, PYTHON.hash)


def test_what_caches_have_is_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    folder, one, two = tmp_path / "conda", tmp_path / "one", tmp_path / "two"
    for cache in (folder, one, two):
        cache.mkdir()
    (one / "python-3.11.9-h1_0.conda").write_bytes(b"damaged")
    (two / "python-3.11.9-h1_0.conda").write_bytes(b"python")
    (one / "pip-25.1-0.conda").write_bytes(b"pip")
    assert main(folder, LIST, [one, two, tmp_path / "none"]) == [OTHER]
    assert (folder / PYTHON.path).read_bytes() == b"python"
    assert (folder / PIP.path).read_bytes() == b"pip"
    (folder / OTHER.path).write_bytes(b"a")
    assert main(folder, LIST, []) == []
    assert (folder / EXPLICIT).read_text().splitlines() == [
        "@EXPLICIT",
        f"{PYTHON.path}#{PYTHON.hash}",
        f"{OTHER.path}#{OTHER.hash}",
        PIP.path,
    ]


def test_what_was_cut_off_stays_and_another_environments_goes(tmp_path: Path) -> None:
    for path in (f"{PYTHON.path}.part", "noarch/old-1-0.conda", "noarch/old-1-0.conda.part"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    main(tmp_path, LIST, [])
    left = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()}
    assert left == {EXPLICIT, f"{PYTHON.path}.part"}

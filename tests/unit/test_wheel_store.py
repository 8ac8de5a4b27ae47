"""The store of compiled wheels: what is found for which host, and that nothing damaged is handed out."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from invoke.config import Config
from invoke.context import Context

from provisioning.errors import ConfigurationError
from provisioning.wheel_store import Store, Target, Wheel
from provisioning.wheels import wheels

HOST = Target("x86_64", "2.36", frozenset({"avx2"}))


def manifest(content: bytes = b"wheel", **changes: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"key": "K", "version": "0.31.0", "python": "3.11", "torch": "2.13.0+cpu", "commit": "c"}
    about |= {"compilers": {"cc": "12.4.0", "cxx": "12.4.0"}, "architecture": "x86_64", "glibc": "2.34"}
    about |= {"cpu_flags": ["avx2"], "wheel": "vllm-0.31.0+cpu-cp38-abi3-linux_x86_64.whl", "host": "a", "seconds": 9}
    about |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "made": 1}
    return about | changes


def add(store: Store, content: bytes = b"wheel", **changes: Any) -> Wheel:
    return store.add(manifest(content, **changes), lambda path: path.write_bytes(content))


def test_the_newest_that_runs_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add(store)
    newer = add(store, b"newer", made=2)
    add(store, b"too new", made=3, glibc="2.41")
    assert store.find("K", HOST) == (newer, "")
    assert store.find("other", HOST) == (None, "")
    assert [wheel.manifest["made"] for wheel in store.wheels()] == [3, 2, 1]


@pytest.mark.parametrize(
    ("change", "obstacle"),
    [
        ({"glibc": "2.38"}, "glibc 2.38, and the host has 2.36"),
        ({"architecture": "aarch64"}, "is for aarch64"),
        ({"cpu_flags": ["avx2", "avx512_bf16"]}, "avx512_bf16"),
    ],
)
def test_a_host_that_cannot_run_it(change: dict[str, Any], obstacle: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    add(store, **change)
    found, why = store.find("K", HOST)
    assert found is None
    assert obstacle in why


def test_a_state_of_a_folder_is_part_of_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add(store, commit="tree:1")
    assert store.find("K", HOST, ["tree:1"])[0]
    assert store.find("K", HOST, ["tree:2"]) == (None, "")
    add(store, b"with", commit="tree:2", onednn={"commit": "tree:3"})
    assert store.find("K", HOST, ["tree:2", "tree:3"])[0]
    assert store.find("K", HOST, ["tree:2", "tree:4"]) == (None, "")


def test_a_damaged_wheel_is_not_handed_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add(store).file.write_bytes(b"whee")
    assert store.find("K", HOST) == (None, "is damaged")


def test_what_arrives_damaged_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ConfigurationError, match="not what its manifest says"):
        store.add(manifest(), lambda path: path.write_bytes(b"wh"))
    assert not list(tmp_path.iterdir())


def test_export_and_take(tmp_path: Path) -> None:
    store, other = Store(tmp_path / "a"), Store(tmp_path / "b")
    wheel = add(store)
    add(store, b"second")
    store.export([wheel.name[:5]], tmp_path / "usb")
    assert [each.name for each in other.take(tmp_path / "usb")] == [wheel.name]
    assert other.find("K", HOST)[0]
    with pytest.raises(ConfigurationError, match="no exported wheel"):
        other.take(tmp_path)
    with pytest.raises(ConfigurationError, match="no wheel ffff"):
        store.export(["ffff"], tmp_path / "usb")


def test_prune_keeps_the_newest_of_each_kind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(3):
        add(store, f"k{number}".encode(), made=number)
    add(store, b"j", key="J", made=0)
    assert sorted(wheel.manifest["made"] for wheel in store.prune(1)) == [0, 1]
    assert sorted((wheel.manifest["key"], wheel.manifest["made"]) for wheel in store.wheels()) == [("J", 0), ("K", 2)]


def test_what_killed_runs_have_left_is_pruned(tmp_path: Path) -> None:
    old, new = tmp_path / ".new-old", tmp_path / ".new-new"
    old.mkdir()
    new.mkdir()
    os.utime(old, (1, 1))
    Store(tmp_path).prune(1)
    assert not old.exists()
    assert new.exists(), "another run may write it now"


@pytest.mark.parametrize(
    "change", [{"wheel": "../../pwned.whl"}, {"wheel": "/tmp/pwned.whl"}, {"wheel": "x"}, {"sha256": "../../../../x"}]
)
def test_a_manifest_names_files_of_its_folder_only(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no name of a wheel"):
        add(Store(tmp_path / "store"), **change)
    assert not list(tmp_path.rglob("pwned*"))


def test_dry_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    store = Store()
    wheel = add(store)
    dry = Context(Config(overrides={"run": {"dry": True}}))
    wheels(dry, export="", to="", take="", prune="0")
    wheels(dry, export="all", to=str(tmp_path / "usb"), take="", prune="")
    assert f"would delete {wheel.name}" in capsys.readouterr().out
    assert store.wheels()
    assert not (tmp_path / "usb").exists()


def test_what_the_file_system_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    wheel = Store(tmp_path / "usb").folder / add(Store(tmp_path / "usb")).name
    (next(wheel.glob("*.whl"))).unlink()
    with pytest.raises(ConfigurationError, match="No such file"):
        wheels(Context(), export="", to="", take=str(tmp_path / "usb"), prune="")


def test_a_manifest_that_lacks_something_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    lacks = add(Store()).folder / "manifest.json"
    lacks.write_text(json.dumps({key: value for key, value in manifest().items() if key != "made"}))
    (lacks.parent.parent / "0123").mkdir()
    (lacks.parent.parent / "0123/manifest.json").write_text("[]")
    assert not wheels(Context(), export="", to="", take="", prune="")
    assert "no wheel has been compiled yet" in capsys.readouterr().out


@pytest.mark.parametrize("keep", ["x", "-1", "²", "9" * 5000])
def test_what_is_no_number_is_told(keep: str) -> None:
    with pytest.raises(ConfigurationError, match="--prune takes how many"):
        wheels(Context(), export="", to="", take="", prune=keep)

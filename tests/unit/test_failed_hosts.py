"""What is remembered of runs that failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioning import inventory
from provisioning.errors import ConfigurationError, ProvisioningError
from provisioning.failed_hosts import FailedHosts
from provisioning.inventory import Inventory
from provisioning.outcome import Outcome
from provisioning.report import Report


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def known(tmp_path: Path, hosts: str = "a: , b: , c: , d: ") -> tuple[Inventory, str]:
    file = tmp_path / "inventory.yaml"
    file.write_text(f"all: {{hosts: {{{hosts}}}}}\n")
    return inventory.load(file), str(file)


def note(path: str, task: str = "up", **statuses: str) -> FailedHosts:
    failed = FailedHosts(path, task)
    failed.note([Outcome(host, status) for host, status in statuses.items()])
    return failed


def chosen(failed: FailedHosts, found: Inventory, pattern: str = "") -> list[str]:
    return [entry.name for entry in failed.choose(found, pattern)]


def test_who_did_not_go_well_is_taken_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, path = known(tmp_path)
    note(path, a="ok", b="failed", c="unreachable", d="skipped")
    failed = FailedHosts(path, "up")
    assert chosen(failed, found) == ["b", "c", "d"]
    assert "again: b (failed), c (unreachable), d (skipped)" in capsys.readouterr().out
    assert chosen(failed, found, "a,d") == ["d"]
    with pytest.raises(ConfigurationError, match=r"no host of --hosts is left .* `up`") as refused:
        chosen(failed, found, "a")
    assert "b, c, d" in refused.value.cause


def test_an_inventory_whose_path_is_not_utf_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, path = known(tmp_path)
    odd = Path(path).rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml"))
    note(str(odd), b="failed")
    assert chosen(FailedHosts(str(odd), "up"), found) == ["b"]


def test_a_good_run_forgets_its_own_hosts_and_no_others(tmp_path: Path, data_folder: Path) -> None:
    found, path = known(tmp_path)
    note(path, b="failed", c="unreachable")
    assert note(path, b="changed").statuses() == {"c": "unreachable"}
    assert note(path, a="failed", d="ok").statuses() == {"c": "unreachable", "a": "failed"}
    assert note(path, "restart", a="ok").statuses() == {}
    note(path, a="ok", c="ok")
    assert not list(data_folder.rglob("*.json"))
    with pytest.raises(ConfigurationError, match="no host is left"):
        chosen(FailedHosts(path, "up"), found)


def test_the_command_that_goes_on_says_what_the_first_one_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, path = known(tmp_path)
    failed = FailedHosts(path, "download", service="my own", max_fail="20%", model="", verify=True)
    failed.conclude([Outcome("a", "failed"), Outcome("b")], Report())
    command = f"invoke download --retry-failed --inventory {path} --service 'my own' --max-fail 20% --verify"
    assert capsys.readouterr().out.rstrip().endswith(command)


def test_tasks_and_inventories_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, path = known(tmp_path)
    note(path, a="failed")
    (tmp_path / "other.yaml").write_text("all: {hosts: {a: }}\n")
    assert FailedHosts(str(tmp_path / "other.yaml"), "up").statuses() == {}
    monkeypatch.chdir(tmp_path)
    assert FailedHosts("", "up").statuses() == {"a": "failed"}, "one file, however it is named"
    with pytest.raises(ConfigurationError) as refused:
        chosen(FailedHosts(path, "stop"), found)
    assert "up: a" in refused.value.cause


def test_a_host_that_has_gone_from_the_inventory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, path = known(tmp_path)
    note(path, a="failed", b="failed")
    found, _ = known(tmp_path, "a: , c: ")
    failed = FailedHosts(path, "up")
    assert chosen(failed, found) == ["a"]
    assert "b (failed) is no longer in the inventory" in capsys.readouterr().out
    failed.note([Outcome("a", "ok")])
    assert failed.statuses() == {}


def test_this_machine_need_not_be_listed(tmp_path: Path) -> None:
    found, path = known(tmp_path)
    assert chosen(note(path, localhost="failed"), found) == ["localhost"]


def test_a_record_that_cannot_be_read_or_written(tmp_path: Path, data_folder: Path) -> None:
    _, path = known(tmp_path)
    note(path, a="failed")
    (file,) = data_folder.rglob("*.json")
    file.write_text('{"tasks": [1')
    assert note(path, b="failed").statuses() == {"b": "failed"}
    file.unlink()
    file.mkdir()
    with pytest.raises(ProvisioningError, match="cannot be remembered"):
        note(path, a="failed")

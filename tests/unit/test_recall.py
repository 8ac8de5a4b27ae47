"""The short way of a command typed again, on this machine and by the real sh, with questions that change nothing."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning import ahead, becoming, inventory, recall
from provisioning.facts import Asked
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.outcome import Outcome
from provisioning.parallel import all_succeed
from provisioning.probe import OnDisk, Probe
from provisioning.transport.local import LocalTransport

INVENTORY = "all: {hosts: {here: {ansible_connection: local}, there: {ansible_connection: local}}}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "state").write_text("as it should be")
    return tmp_path


def question(folder: Path, sudo: str = "none") -> ahead.Question:
    memory = "grep -E '^(MemTotal|MemAvailable):' /proc/meminfo"
    asked = Asked((Probe(memory), Probe("echo debian", isolated=False)), becoming.check(None))
    settled = OnDisk(str(folder / "state"), sha256=hashlib.sha256(b"as it should be").hexdigest())
    return ahead.Question(asked, sudo, (Probe(f"cat {folder}/state"), Probe("echo else", unless=(settled,))))


def outcomes(entries: list[HostEntry], asked: ahead.Question) -> list[Outcome]:
    """How it went on hosts that were asked this."""
    facts, states = asked.put(Host("here", LocalTransport()))
    return [Outcome(entry.name, looked=(asked, ahead.digest([*facts, *states]))) for entry in entries]


def remember(folder: Path, *command: str, lines: tuple[str, ...] = ()) -> None:
    time.sleep(0.02)  # what has just been written may have been after it was read
    memory = recall.Memory("", *command)
    memory.begin()
    entries = inventory.load(folder / "inventory.yaml").select()
    memory.end(entries, outcomes(entries, question(folder)), lines)


def files(folder: Path) -> list[Path]:
    return list((folder / "data/vllm-provisioning" / recall.FOLDER).glob("*"))


def test_nothing_is_as_it_was_at_first(folder: Path) -> None:
    assert not recall.Memory("", "serve").is_as_it_was()


def test_what_is_as_it_was_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remember(folder, "serve", lines=("here: demo serves demo at http://127.0.0.1:8000/v1",))
    (record,) = files(folder)
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    for _ in range(2):
        assert recall.Memory("", "serve").is_as_it_was()
        said = capsys.readouterr().out.splitlines()
        assert [line.split() for line in said[:2]] == [
            ["here", "nothing", "to", "do"],
            ["there", "nothing", "to", "do"],
        ]
        assert said[2:] == ["here: demo serves demo at http://127.0.0.1:8000/v1"]
    assert not recall.Memory("other.yaml", "serve").is_as_it_was()
    assert capsys.readouterr().out == ""


def change_state(folder: Path) -> None:
    (folder / "state").write_text("changed by hand")


def change_inventory(folder: Path) -> None:
    (folder / "inventory.yaml").write_text(INVENTORY + "\n")


def add_an_inventory(folder: Path) -> None:
    (folder / "inventory.local.yaml").write_text(INVENTORY)


def add_variables(folder: Path) -> None:
    (folder / "group_vars").mkdir()
    (folder / "group_vars/all.yml").write_text("host_keys: accept-new\n")


def set_a_variable(folder: Path) -> None:
    os.environ["OF_THIS_TEST"] = "1"


@pytest.mark.parametrize("change", [change_state, change_inventory, add_an_inventory, add_variables, set_a_variable])
def test_what_has_changed_takes_the_whole_way(
    folder: Path, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OF_THIS_TEST", "0")
    remember(folder, "serve")
    change(folder)
    assert not recall.Memory("", "serve").is_as_it_was()
    assert capsys.readouterr().out == ""


def test_what_changes_meanwhile_is_not_remembered(folder: Path) -> None:
    memory = recall.Memory("", "serve")
    memory.begin()
    entries = inventory.load(folder / "inventory.yaml").select()
    time.sleep(0.02)
    change_inventory(folder)
    memory.end(entries, outcomes(entries, question(folder)), ())
    assert files(folder) == []


def test_one_command_has_one_record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in "123":
        monkeypatch.setenv("OF_THIS_TEST", value)
        remember(folder, "serve")
    assert len(files(folder)) == 1


def test_a_run_that_begins_forgets_the_last_one(folder: Path) -> None:
    remember(folder, "serve")
    recall.Memory("", "serve").begin()
    assert files(folder) == []


@pytest.mark.parametrize("status", ["changed", "failed", "unreachable", "skipped"])
def test_only_a_run_with_nothing_to_do_is_remembered(folder: Path, status: str) -> None:
    entries = inventory.load(folder / "inventory.yaml").select()
    went = outcomes(entries, question(folder))
    went[1].status = status
    time.sleep(0.02)
    memory = recall.Memory("", "serve")
    memory.begin()
    memory.end(entries, went, ())
    assert files(folder) == []


@pytest.mark.parametrize(
    "spoilt",
    [
        ahead.Question(Asked((Probe("echo"),), becoming.check("a password")), "password", (Probe("echo"),)),
        ahead.Question(
            Asked((Probe("echo"),), becoming.check(None)), "none", (Probe("curl https://me:pass@mirror.example/"),)
        ),
    ],
    ids=["password for sudo", "login of a mirror"],
)
def test_what_holds_a_secret_is_not_written_down(folder: Path, spoilt: ahead.Question) -> None:
    entries = inventory.load(folder / "inventory.yaml").select()
    time.sleep(0.02)
    memory = recall.Memory("", "serve")
    memory.begin()
    memory.end(entries, [Outcome(entry.name, looked=(spoilt, "0")) for entry in entries], ())
    assert files(folder) == []


@pytest.mark.parametrize("record", ["", "{", "[]", '{"paths": []}', '{"paths": 3, "read": "", "hosts": [{}]}'])
def test_a_broken_record_does_no_harm(folder: Path, record: str) -> None:
    remember(folder, "serve")
    (file,) = files(folder)
    file.write_text(record)
    assert not recall.Memory("", "serve").is_as_it_was()


def test_a_host_that_is_away_takes_the_whole_way(folder: Path) -> None:
    (folder / "inventory.yaml").write_text(
        "all: {hosts: {here: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: me}}}\n"
    )
    remember(folder, "serve")
    assert files(folder)
    assert not recall.Memory("", "serve").is_as_it_was()


def test_the_first_failure_ends_the_waiting() -> None:
    def check(seconds: float) -> bool:
        time.sleep(abs(seconds))
        return seconds >= 0

    began = time.monotonic()
    assert all_succeed(check, [0.0, 0.01], 30)
    assert not all_succeed(check, [60.0, -0.01, 60.0], 30)
    assert not all_succeed(check, [60.0], 0.1)
    assert time.monotonic() - began < 30


def test_what_differs_at_every_look_counts_for_nothing() -> None:
    def told(available: int, total: int = 8) -> Any:
        text = f"MemTotal: {total} kB\nMemAvailable: {available} kB\n"
        return ahead.digest([ahead.probe.Probed(0, text)])

    assert told(1) == told(2)
    assert told(1) != told(1, total=9)


def test_records_are_no_input(folder: Path) -> None:
    """A run writes them itself."""
    remember(folder, "serve")
    remember(folder, "build")
    assert recall.Memory("", "serve").is_as_it_was()

"""Hosts are worked on side by side, and never more of them than was told."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from invoke.context import Context

from provisioning import fleet
from provisioning.command_line import command
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.parallel import HOSTS


@command
def work_on(ctx: Context, hosts: str = "") -> Any:
    seen.append(HOSTS.get())


seen: list[int] = []


def test_the_option_is_told_to_those_who_work(monkeypatch: pytest.MonkeyPatch) -> None:
    seen.clear()
    token = HOSTS.set(32)
    work_on(Context(), hosts=None, parallel=None, profile=False)
    work_on(Context(), parallel="4")
    HOSTS.reset(token)
    assert seen == [32, 4]


@pytest.mark.parametrize("number", ["0", "-1", "many", ""])
def test_a_number_that_is_none(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        work_on(Context(), parallel=number)
    assert ended.value.code == 3
    assert "--parallel" in capsys.readouterr().err


def test_where_the_time_went(capsys: pytest.CaptureFixture[str]) -> None:
    work_on(Context(), profile=True)
    assert "inventory and imports" in capsys.readouterr().err


@pytest.mark.parametrize(("told", "most"), [(1, 1), (3, 3), (99, 8)])
def test_no_more_at_once_than_told(told: int, most: int, entries: list[HostEntry]) -> None:
    """As many threads as told meet: with fewer they would wait in vain, with more the last ones would not be alone."""
    lock, now, highest = threading.Lock(), [0], [0]
    together = threading.Barrier(most)

    def work(host: Host, entry: HostEntry) -> str:
        with lock:
            now[0] += 1
            highest[0] = max(highest[0], now[0])
        if entry.name in meeting:
            together.wait(60)
        with lock:
            now[0] -= 1
        return entry.name

    meeting = {entry.name for entry in entries[:most]}
    token = HOSTS.set(told)
    try:
        assert fleet.on_each(entries, work) == [entry.name for entry in entries]
    finally:
        HOSTS.reset(token)
    assert highest[0] == most


@pytest.fixture
def entries(tmp_path: Any) -> list[HostEntry]:
    from provisioning import inventory

    hosts = "".join(f"\n    web{number}: {{ansible_connection: local}}" for number in range(8))
    (tmp_path / "inventory.yaml").write_text(f"all:\n  hosts:{hosts}\n")
    return list(inventory.load(tmp_path / "inventory.yaml").select())

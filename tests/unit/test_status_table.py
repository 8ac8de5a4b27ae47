"""The table of `status`: what fits, what is left out, and how things are said."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from provisioning import status, status_table, status_watch
from provisioning.errors import ProvisioningError, UnreachableError
from provisioning.outcome import Change, Outcome
from provisioning.service_status import ServiceStatus
from provisioning.status import Fared

PLAIN: dict[str, Any] = dict.fromkeys(ServiceStatus.__dataclass_fields__)
SERVICE = ServiceStatus(
    **{
        **PLAIN,
        **{"name": "qwen", "active": "active", "phase": "ready", "restarts": 0, "message": "", "model": "qwen3-8b"},
        **{"url": "http://127.0.0.1:8000", "vllm_version": "0.32.0", "uptime_seconds": 273845.0},
        **{"memory_bytes": 18_200_000_000, "requests_running": 12, "requests_waiting": 3, "requests_per_second": 2.25},
        **{"generation_tokens_per_second": 431.2, "prompt_tokens_per_second": 10.0},
    }
)
STOPPED = ServiceStatus(**{**vars(SERVICE), **PLAIN, **{"name": "aux", "phase": "stopped", "restarts": 1, "url": "u"}})
STOPPED = ServiceStatus(**{**vars(STOPPED), "active": "inactive", "message": "", "model": "m"})


def fleet(count: int = 3) -> list[Fared]:
    hosts = [Fared(Outcome(f"gpu{number}"), [SERVICE]) for number in range(count - 2)]
    changes = [Change("model", "m", "d"), Change("service", "s", "d"), Change("service", "t", "d")]
    differing = Fared(Outcome("cpu1", status="changed", changes=changes), [SERVICE, STOPPED])
    why = UnreachableError("away1: cannot connect to 192.0.2.7:22", cause="timed out")
    return [*hosts, differing, Fared(Outcome("away1", status="unreachable", error=why))]


def shown(fared: list[Fared], width: int | None) -> list[str]:
    file = io.StringIO()
    screen = Console(file=file, width=width or 240, soft_wrap=True)
    screen.print(status_table.table(fared, width), crop=False)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_without_a_terminal_nothing_is_left_out() -> None:
    title, first, differing, stopped, away = shown(fleet(), None)
    assert title.split() == [
        *("HOST", "SERVICE", "STATE", "UP", "RESTARTS", "MODEL", "VLLM", "MEMORY", "RUN+WAIT", "REQ/S", "TOK/S"),
        *("URL", "(on", "the", "host)", "INVENTORY"),
    ]
    words = first.split()
    assert words[:8] == ["gpu0", "qwen", "ready", "3d", "4h", "0", "qwen3-8b", "0.32.0"]
    assert words[8:] == ["18.2", "GB", "12+3", "2.2", "431", "http://127.0.0.1:8000", "converged"]
    assert differing.endswith("3 changes: model, service")
    assert stopped.split()[:4] == ["cpu1", "aux", "stopped", "-"]
    assert away.split()[:3] == ["away1", "-", "unreachable"]
    assert away.endswith("cannot connect to 192.0.2.7:22")


def test_what_services_did_last_is_not_told_of_now() -> None:
    silent = Fared(Outcome("gone1", status="silent", error=ProvisioningError("no answer for 20 s")), [SERVICE])
    _, row = shown([silent], None)
    assert row.split()[:4] == ["gone1", "qwen", "silent", "3d"]
    assert row.endswith("no answer for 20 s")


@pytest.mark.parametrize("width", [60, 80, 100, 132, 200])
def test_every_row_fits_a_terminal_and_the_most_important_stays(width: int) -> None:
    lines = shown(fleet(), width)
    assert len(lines) == 5
    assert max(map(cell_len, lines)) < width
    for word in ("HOST", "SERVICE", "STATE", "INVENTORY"):
        assert word in lines[0]
    assert "converged" in lines[1]
    assert "unreachable" in lines[-1]


def test_at_80_columns() -> None:
    lines = shown(fleet(), 80)
    assert lines[0].split() == ["HOST", "SERVICE", "STATE", "UP", "REQ/S", "TOK/S", "INVENTORY"]
    assert lines[1].split() == ["gpu0", "qwen", "ready", "3d", "4h", "2.2", "431", "converged"]


def test_text_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    odd = ServiceStatus(**{**vars(SERVICE), "name": "a", "phase": "[/b]", "url": "http://[::1]:100:"})
    status.show([Fared(Outcome("web1"), [odd])])
    _, row = capsys.readouterr().out.splitlines()
    assert row.split()[:3] == ["web1", "a", "[/b]"]
    assert "http://[::1]:100:" in row


def test_long_names_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    status.show([Fared(Outcome("h" * 150), [ServiceStatus(**{**vars(SERVICE), "url": "u" * 150})])])
    out = capsys.readouterr().out
    assert "h" * 150 in out
    assert "u" * 150 in out
    assert len(out.splitlines()) == 2
    assert not [line for line in out.splitlines() if line.endswith(" ")]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0s"), (59.9, "59s"), (61, "1m 1s"), (3600, "1h 0m"), (273845, "3d 4h")]
)
def test_uptime(seconds: float, words: str) -> None:
    assert status_table.uptime(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0"), (0.04, "0.04"), (2.25, "2.2"), (99.96, "100.0"), (431.2, "431")]
)
def test_rate(number: float, words: str) -> None:
    assert status_table.rate(number) == words


def test_fifty_hosts_on_a_small_terminal() -> None:
    fared = fleet(50)
    assert status_watch.summary(fared) == "50 hosts: 49 ready, 1 stopped, 1 unreachable"
    kept, left = status_watch.most_important(fared, 20)
    assert [each.host for each in kept[:3]] == ["cpu1", "away1", "gpu0"]
    assert left == 50 - len(kept)
    assert sum(max(1, len(each.services)) for each in kept) == 19
    assert status_watch.most_important(fared, 60) == (fared, 0)


def test_what_json_says() -> None:
    hosts = status.as_objects(fleet())["hosts"]
    assert [(each["reachable"], each["converged"]) for each in hosts.values()] == [
        (True, True),
        (True, False),
        (False, None),
    ]
    assert hosts["gpu0"]["services"][0]["memory_bytes"] == 18_200_000_000
    assert hosts["cpu1"]["services"][1]["requests_total"] is None

"""What a terminal shows of hosts that download."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from provisioning.bars import rows
from provisioning.report import Report
from provisioning.transfer import Part, Said, Transfer

GB = 10**9
FILES = tuple(Part(f"model-0000{number}-of-00009.safetensors", number * GB // 2, 4 * GB) for number in range(1, 6))
ONE = Transfer(done=GB, size=4 * GB, rate=2e7, files=(Part("weights.bin", GB, 4 * GB),), finished=0, of=1)
MANY = Transfer(done=32 * GB // 10, size=152 * GB // 10, rate=12.1e6, files=FILES, finished=3, of=12)


def shown(*now: tuple[str, Said], width: int = 100, height: int = 24) -> list[str]:
    found = [row.plain.rstrip() for row in rows(now, width, height)]
    assert len(found) <= height
    assert all(cell_len(row) <= width for row in found)
    return found


def test_one_file() -> None:
    assert shown(("web1", ONE)) == [
        "web1  █████░░░░░░░░░░░░░░░  1.0 of 4.0 GB  20.0 MB/s  2:30 min left  0 of 1 file",
        "  weights.bin  █████░░░░░░░░░░░░░░░  1.0 of 4.0 GB",
    ]


def test_many_files() -> None:
    found = shown(("web1", MANY), width=80)
    assert found[0] == "web1  ███░░░░░░░░░░░░░  3.2 of 15.2 GB  12.1 MB/s  16:32 min left  3 of 12 files"
    assert found[1] == "  model-00001-of-00009.safetensors  ██░░░░░░░░░░░░░░░░░░  0.5 of 4.0 GB"
    assert len(found) == 6


def test_many_hosts_share_what_room_there_is() -> None:
    now = [(f"web{number}", MANY) for number in range(1, 7)]
    found = shown(*now, height=15)
    assert [row[:4] for row in found if row.startswith("web")] == [f"web{number}" for number in range(1, 7)]
    assert len(found) == 15
    assert [row[:4] for row in shown(*now, height=6)] == [f"web{number}" for number in range(1, 7)]
    assert shown(*now, height=4)[2:] == [shown(*now, height=6)[2], "… and 3 more hosts at work"]
    assert shown(*now, height=1) == ["… and 6 more hosts at work"]
    assert shown(*now, height=0) == []


@pytest.mark.parametrize("width", [1, 5, 10, 20, 30, 40, 60, 300])
def test_every_width(width: int) -> None:
    wide = MANY.model_copy(update={"files": (Part("通义千问/模型的权重.safetensors", 1, 2),), "note": "again" * 50})
    found = shown(("模型主机", wide), ("web2", "安装" * 200), ("web3", ONE), width=width)
    assert len(found) == 6
    if width >= 20:
        assert "3.2 of 15" in found[0]


def test_a_narrow_terminal_keeps_what_matters_most() -> None:
    assert shown(("web1", MANY), width=40)[0] == "web1  █░░░░░░  3.2 of 15.2 GB  12.1 MB/s"
    assert shown(("web1", MANY), width=26)[:2] == ["web1  3.2 of 15.2 GB", "  mode…sors  0.5 of 4.0 GB"]


def test_an_unknown_size_has_no_bar() -> None:
    unknown = Transfer(
        done=5_000_000, rate=1e6, files=(Part("a", 5_000_000, 0), Part("b", 5_000_000, -1)), finished=0, of=2
    )
    assert shown(("web1", unknown)) == ["web1  5.0 MB  1.0 MB/s  0 of 2 files", "  a  5.0 MB", "  b  5.0 MB"]


def test_no_files() -> None:
    assert shown(("web1", Transfer(done=0))) == ["web1  0 B"]


def test_what_was_said_last_stands_first_below() -> None:
    noted = MANY.model_copy(update={"note": "connection lost"})
    assert shown(("web1", noted), height=2)[1] == "  … connection lost"


def test_a_terminal_gets_no_more_rows_than_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    file = io.StringIO()
    report = Report()
    report.screen.console = Console(file=file, force_terminal=True, width=60, height=8, color_system=None)
    hosts = [f"web{number}" for number in range(1, 6)]
    with report.running(hosts):
        for host in hosts:
            with report.working(host), report.change(host, "model", "model", "download it"):
                report.tell(host, MANY)
                report.tell(host, "odd\x1b[2J")
                report.tell(host, MANY)
                assert report._live is not None
                report._live.refresh()
    written = file.getvalue()
    assert "3.2 of 15.2 GB" in written
    assert "\x1b[2J" not in written
    # What goes back over a frame goes up as many rows as it has, less the one that it stands on.
    assert max(len(ups) for ups in re.findall(r"(?:\x1b\[1A\x1b\[2K)+", written)) <= 6 * len("\x1b[1A\x1b[2K")

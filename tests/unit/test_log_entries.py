"""What a journal's entries say, and a log file that is followed through rotations, from where it was left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning import log_entries
from provisioning.logs import Printer, Reader
from provisioning.pulse import growing_waits
from provisioning.templates import text


def entry(**fields: object) -> log_entries.Entry | None:
    return log_entries.parse(json.dumps({"__CURSOR": "c", **fields}).encode())


def test_entries() -> None:
    found = entry(MESSAGE="two\nlines", SYSLOG_IDENTIFIER="python3", _PID="7", __REALTIME_TIMESTAMP="1700000000000000")
    assert found
    assert found.cursor == "c"
    first, second = found.lines
    assert first.startswith("2023-11-1")
    assert first.endswith(" python3[7]: two")
    assert second.endswith(" python3[7]: lines")
    assert entry(MESSAGE=[228, 189, 160, 255]) == log_entries.Entry("c", ("你�",))
    assert entry(MESSAGE=["first", "second"]) == log_entries.Entry("c", ("first",))
    assert entry(MESSAGE=None) == entry(MESSAGE="") == log_entries.Entry("c", ("",))
    assert entry(MESSAGE="crlf\r\n\r0%\r100%\n\nend\n") == log_entries.Entry("c", ("crlf", "100%", "", "end"))
    for line in (b"sh: 1: journalctl: not found", b"7", b"[]", b'{"MESSAGE": "cut'):
        assert log_entries.parse(line) is None


def test_a_reader_knows_where_it_stands_and_prints_whole_lines() -> None:
    printed: list[str] = []
    reader = Reader(printed.append)
    rows = [json.dumps({"__CURSOR": f"c{number}", "MESSAGE": f"第{number}"}, ensure_ascii=False) for number in range(3)]
    output = ("\n".join(rows) + "\n").encode()
    for at in range(0, len(output) - 10, 7):
        reader.take(output[at : min(at + 7, len(output) - 10)] + b"\0")
    assert (printed, reader.cursor) == (["第0", "第1"], "c1")
    reader.begin()
    reader.take(output[output.index(rows[2].encode()) :])
    assert (printed, reader.cursor) == (["第0", "第1", "第2"], "c2")


def test_who_said_it(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(["web1"]).print("web1", "", "[b]alone[/b]")
    Printer(["web1"]).print("web1", "demo", "one of two")
    Printer(["web1", "web2"]).print("web2", "demo", "x" * 300)
    assert capsys.readouterr().out.splitlines() == [
        "[b]alone[/b]",
        "demo | one of two",
        f"web2 demo | {'x' * 300}",
    ]


@pytest.mark.parametrize("colours", [True, False])
def test_what_is_logged_steers_no_terminal(
    colours: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prompts of users are logged, too. Colours stay where there are any."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if colours:
        monkeypatch.setenv("FORCE_COLOR", "1")
    else:
        monkeypatch.delenv("FORCE_COLOR", raising=False)
    printer = Printer(["web1"])
    for line in (
        "\x1b[32mINFO\x1b[0m well",
        "\x1b]0;title\x07\x1b]8;;http://a/\x1b\\link\x1b[2J\x1b[1A\x1bc\x1b(0\x1b[?1049h.",
        "\x1b[38;5;1",
        "a\x07b\x9b2Jc\u202ed\x08",
        "日志 👩‍🚀 end",
    ):
        printer.print("web1", "", line)
    info, *others = capsys.readouterr().out.splitlines()
    assert info == ("\x1b[32mINFO\x1b[0m well" if colours else "INFO well")
    assert others == ["link.", "", "a�b�2Jc�d�", "日志 👩‍🚀 end"]


def test_waits_grow() -> None:
    waits = growing_waits()
    assert [next(waits) for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]


def follow(file: Path, lines: int = 10, after: str = "", *, forever: bool = False) -> subprocess.Popen[str]:
    command = [sys.executable, "-I", "-c", text("follow_log.py"), str(file), str(lines), str(int(forever)), after]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(file: Path, lines: int = 10, after: str = "") -> list[tuple[str, str]]:
    output, _ = follow(file, lines, after).communicate(timeout=60)
    entries = map(log_entries.parse, output.encode().splitlines())
    return [(each.cursor, each.lines[0]) for each in entries if each]


def test_last_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    assert said(file) == []
    file.write_text("")
    assert said(file) == []
    file.write_text("one\ntwo\nthree\nno end yet")
    assert [line for _, line in said(file, 2)] == ["three", "no end yet"]
    assert [line for _, line in said(file, 100)] == ["one", "two", "three", "no end yet"]


def test_going_on_where_it_was_left_also_after_rotations(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text("one\ntwo\n")
    (first, _), (last, _) = said(file)
    assert [line for _, line in said(file, 1, first)] == ["two"]
    assert said(file, 1, last) == []
    with file.open("a") as more:
        more.write("three\n")
    for number, name in ((2, "four\n"), (1, "five\n")):
        if number == 1:
            os.rename(tmp_path / "a.log.1", tmp_path / "a.log.2")
        os.rename(file, tmp_path / "a.log.1")
        file.write_text(name)
    assert [line for _, line in said(file, 1, last)] == ["three", "four", "five"]
    (tmp_path / "a.log.2").unlink()
    assert [line for _, line in said(file, 1, last)] == ["five"], "what was rotated away for good cannot be had"


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    running = follow(tmp_path / "a.log", forever=True)
    yield running
    running.kill()
    running.wait()


def test_following_a_file_that_comes_later_is_rotated_and_cut(tmp_path: Path, followed: subprocess.Popen[str]) -> None:
    file, output = tmp_path / "a.log", followed.stdout
    assert output

    def comes(line: str) -> None:
        assert json.loads(output.readline())["MESSAGE"] == line

    file.write_text("first\n")
    comes("first")
    with file.open("a") as log:
        log.write("half")
        log.flush()
        time.sleep(0.7)
        log.write(" a line\nlast of this file\n")
    comes("half a line")
    os.rename(file, tmp_path / "a.log.1")
    file.write_text("of the next\n")
    comes("last of this file")
    comes("of the next")
    file.write_text("cut\n")
    comes("cut")
    output.close()
    assert followed.wait(60) == 0, "nobody reads it any more"

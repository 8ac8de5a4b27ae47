"""What the lines of a compilation and of a download mean to somebody who waits."""

from __future__ import annotations

import json
from typing import Any

from provisioning.job import JOINED
from provisioning.progress import Compiling, Downloading, Installing, Sending
from provisioning.transfer import Said, Transfer


def test_ninjas_lines_become_a_bar() -> None:
    told: list[Said] = []
    now = iter(range(0, 10000, 10))
    compiling = Compiling(told.append, clock=lambda: float(next(now)))
    for number in range(1, 12):
        compiling(f"  [{number}/490] Building CXX object a.o")
    compiling("-- Configuring done")
    assert told[0] == "compiling ░░░░░░░░░░░░░░░░░░░░ 1 of 490, 0:00 min gone"
    assert told[10] == "compiling ░░░░░░░░░░░░░░░░░░░░ 11 of 490, 1:40 min gone, about 1:19 h left"
    assert told[11] == "-- Configuring done"


def test_a_log_that_is_read_again_is_no_measure() -> None:
    """Also of its first line, whenever the clock began."""
    told: list[str] = []
    now = iter([1000.0] * 290 + [1000 + 4.0 * number for number in range(1, 12)])
    compiling = Compiling(told.append, clock=lambda: next(now))
    compiling(JOINED)
    for number in range(1, 302):
        compiling(f"[{number}/490] Building CXX object a.o")
    assert all(each.endswith("read again") for each in told[1:291])
    assert told[-1].endswith("301 of 490, 0:44 min gone, about 12:36 min left")


def progress(**values: Any) -> str:
    asked = {"done": 3_200_000_000, "size": 15_200_000_000, "rate": 12_100_000.0, "finished": 3, "of": 12}
    return "progress " + json.dumps({"files": [["a", 1, 2]], **asked, **values})


def of_download(*lines: str, times: list[float] | None = None) -> list[Any]:
    told: list[Said] = []
    now = iter(times or [1000.0 + number for number in range(len(lines))])
    downloading = Downloading(told.append, clock=lambda: next(now))
    for line in lines:
        downloading(line)
    return told


def test_a_download_in_words() -> None:
    [told] = of_download(progress())
    assert str(told) == "downloading 3.2 of 15.2 GB (21 %), 12.1 MB/s, 16:32 min left, 3 of 12 files"
    assert told.files == (("a", 1, 2),)
    [told] = of_download(progress(size=0, rate=0))
    assert str(told) == "downloading 3.2 GB, 3 of 12 files"
    [told] = of_download('progress {"done": 0, "size": 0, "rate": 0, "files": [], "finished": 0, "of": 0}')
    assert (str(told), told.complete) == ("downloading 0 B", False)
    [told] = of_download(progress(done=15_200_000_000, finished=12, files=[]))
    assert (str(told), told.complete) == ("downloading 15.2 of 15.2 GB (100 %), 12 of 12 files", True)
    [told] = of_download(progress(rate=0.001))
    assert str(told) == "downloading 3.2 of 15.2 GB (21 %), 3 of 12 files"


def test_lines_between_do_not_end_the_bars() -> None:
    told = of_download(
        "listing", progress(), "https://me:secret@hub/x\x1b[2J failed: again", progress(finished=12), "done"
    )
    assert told[0] == "listing"
    assert told[2].startswith("https://")
    assert (told[3].note, told[3].done) == ("https://***@hub/x�[2J failed: again", 3_200_000_000)
    assert told[4].note == ""
    assert told[5:] == ["done"]


def test_a_download_that_was_joined_tells_no_rate_of_long_ago() -> None:
    lines = [JOINED, *[progress(done=number) for number in range(4)]]
    told = of_download(*lines, times=[1000.0, 1000.1, 1000.1, 1004.0])
    assert [each.rate for each in told[1:]] == [0, 0, 0, 12_100_000]
    assert "left" not in str(told[3])


def test_what_is_no_progress_is_a_line() -> None:
    odd = [
        "progress",
        "progress [1]",
        "progress {",
        "progress " + "[" * 100_000,
        progress(done=-1),
        progress(rate=1e400),
    ]
    odd += [progress(size=10**400), progress(files=[["a", 1]]), progress(files=3), "progress is slow"]
    assert of_download(*odd) == odd


def test_names_reach_no_terminal_with_control_characters() -> None:
    [told] = of_download(progress(files=[["a\nb\x1b[2J\u202egpj.\t模型", 1, 2]]))
    assert told.files[0].name == "a�b�[2J�gpj.      模型"
    assert isinstance(told, Transfer)


def test_packages_have_a_bar_and_times() -> None:
    times = iter([0.0, 10.0, 20.0, 21.0, 61.0])
    told: list[Any] = []
    installing = Installing(told.append, lambda: next(times))
    for line in (
        "Reading package lists...",
        "dlstatus:1:0:Retrieving file 1 of 2",
        "dlstatus:1:25.5:Retrieving file 1 of 2 (30s remaining)",
        "dlstatus:2:100:Retrieving file 2 of 2",
        "pmstatus:libc6:i386:20.0:Unpacking libc6:i386",
        "pmstatus:git:60.0:Installed git",
        "pmerror:git:60.0:it failed",
    ):
        installing(line)
    assert told[0] == "Reading package lists..."
    assert "0%, 0:00 min gone" in told[1]
    assert "26%, 0:10 min gone, about 0:29 min left" in told[2]
    assert "100%, 0:20 min gone" in told[3]
    assert told[3].startswith("downloading packages ")
    assert told[4].startswith("unpacking and setting up packages ")
    assert "20%, 0:00 min gone" in told[4]
    assert "60%, 0:40 min gone, about 0:27 min left" in told[5]
    assert told[6] == "pmerror:git:60.0:it failed"


def test_what_is_sent_has_a_rate_and_a_time() -> None:
    times = iter([0.0, 10.0, 10.0, 20.0, 20.0])
    told: list[Any] = []
    sending = Sending(told.append, 100_000_000, lambda: next(times))
    with sending.file("a.whl", 50_000_000) as on_sent:
        on_sent(20_000_000)
    assert "20.0 of 100.0 MB, 2.0 MB/s, about 0:40 min left, a.whl" in told[0]
    assert "50.0 of 100.0 MB, 2.5 MB/s, about 0:20 min left, a.whl" in told[1]

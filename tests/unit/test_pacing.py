"""How often a long change speaks where there is no terminal."""

from __future__ import annotations

import pytest

from provisioning.pacing import Pace
from provisioning.report import Report
from provisioning.transfer import Said, Transfer


def said_at(events: list[tuple[float, Said]]) -> list[float]:
    now = 0.0
    pace = Pace(clock=lambda: now)
    found = []
    for now, said in events:
        if pace.due(said):
            found.append(now)
    return found


def transfer(done: int, size: int = 1000) -> Transfer:
    return Transfer(done=done, size=size, finished=int(size > 0 and done == size), of=1)


def test_lines_come_every_half_minute() -> None:
    assert said_at([(float(second), "line") for second in range(100)]) == [31, 62, 93]


def test_a_fast_download_speaks_every_half_minute() -> None:
    events: list[tuple[float, Said]] = [(float(second), transfer(second * 10)) for second in range(101)]
    assert said_at(events) == [31, 62, 93, 100]


def test_a_slow_download_speaks_every_tenth_or_five_minutes() -> None:
    events: list[tuple[float, Said]] = [(float(second), transfer(second)) for second in range(500)]
    assert said_at(events) == [100, 200, 301, 401]
    events = [(float(second), transfer(second, 10**9)) for second in range(700)]
    assert said_at(events) == [301, 602]
    events = [(float(second), transfer(second, 0)) for second in range(700)]
    assert said_at(events) == [301, 602]


def test_the_end_is_said_once_and_lines_do_not_stand_in_for_a_download() -> None:
    both = [(float(second), said) for second in range(50) for said in (transfer(second), "line")]
    assert said_at(both) == []
    assert said_at([(1.0, transfer(1)), (2.0, transfer(1000)), (3.0, transfer(1000)), (40.0, "verifying")]) == [2, 40]
    assert said_at([(1.0, transfer(1000))]) == []


@pytest.mark.parametrize(("verbosity", "lines"), [(-1, 0), (0, 1), (1, 2)])
def test_a_log_shows_lines_but_no_flood_of_progress(
    verbosity: int, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report(verbosity=verbosity)
    with report.change("web1", "model", "model", "download it"):
        capsys.readouterr()
        report.tell("web1", "listing")
        for done in range(0, 1001, 100):
            report.tell("web1", transfer(done))
        assert len(capsys.readouterr().out.splitlines()) == lines

"""What the lines of a compilation mean to somebody who waits."""

from __future__ import annotations

from provisioning.job import JOINED
from provisioning.progress import Compiling, bar, clock


def test_ninjas_lines_become_a_bar() -> None:
    told: list[str] = []
    now = iter(range(0, 10000, 10))
    compiling = Compiling(told.append, clock=lambda: float(next(now)))
    for number in range(1, 12):
        compiling(f"  [{number}/490] Building CXX object a.o")
    compiling("-- Configuring done")
    assert told[0] == "compiling ░░░░░░░░░░░░░░░░░░░░ 1 of 490, 0:00 min gone"
    assert told[10] == "compiling ░░░░░░░░░░░░░░░░░░░░ 11 of 490, 1:40 min gone, about 1:19 h left"
    assert told[11] == "-- Configuring done"


def test_a_log_that_is_read_again_is_no_measure() -> None:
    told: list[str] = []
    now = iter([0.0] * 290 + [4.0 * number for number in range(1, 12)])
    compiling = Compiling(told.append, clock=lambda: next(now))
    compiling(JOINED)
    for number in range(1, 302):
        compiling(f"[{number}/490] Building CXX object a.o")
    assert told[290].endswith("290 of 490, read again")
    assert told[-1].endswith("301 of 490, 0:40 min gone, about 12:36 min left")


def test_a_bar() -> None:
    assert bar(0.5) == "██████████░░░░░░░░░░"
    assert bar(1) == "█" * 20


def test_a_clock() -> None:
    assert (clock(61), clock(3600)) == ("1:01 min", "1:00 h")

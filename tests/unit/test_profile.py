"""Where the time went, by a clock that a test moves."""

from __future__ import annotations

import time

from provisioning.profile import Profile, process_began


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_phase_within_another_counts_for_itself() -> None:
    clock = Clock()
    profile = Profile(clock)
    with profile.phase("web1", "facts"):
        clock.now = 1
        with profile.phase("web1", "connect"):
            clock.now = 4
        clock.now = 6
    with profile.phase("web1", "look"):
        clock.now = 6.5
    *_, header, row = profile.lines()
    assert header.split() == ["connect", "facts", "look", "apply", "other"]
    assert row.split() == ["web1", "3.00", "3.00", "0.50", "0.00", "0.00"]


def test_a_phase_that_fails_counts_too() -> None:
    clock = Clock()
    profile = Profile(clock)
    try:
        with profile.phase("web1", "connect"):
            clock.now = 2
            raise OSError
    except OSError:
        pass
    assert profile.lines()[-1].split() == ["web1", "2.00", "0.00", "0.00", "0.00", "0.00"]


def test_what_came_before_the_hosts() -> None:
    clock = Clock()
    profile = Profile(clock)
    for name, now in (("task", 1.0), ("hosts", 3.0), ("hosts", 5.0)):
        clock.now = now
        profile.mark(name)
    assert profile.lines()[0].endswith("inventory and imports 2.00 s, hosts 2.00 s")


def test_a_process_began_before_now() -> None:
    assert process_began() <= time.monotonic()


def test_hosts_in_their_natural_order() -> None:
    profile = Profile()
    for host in ("web10", "web2", "10.0.0.9", "db"):
        with profile.phase(host, "look"):
            pass
    assert [row.split()[0] for row in profile.lines()[2:]] == ["10.0.0.9", "db", "web2", "web10"]

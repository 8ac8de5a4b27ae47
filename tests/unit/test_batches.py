"""How hosts fall into batches, and how many may fail."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from provisioning.batches import Rollout, Share, allowed, overrides, rollout, sizes
from provisioning.commands import load
from provisioning.errors import CommandError, ConfigurationError, SkippedError
from provisioning.inventory import HostEntry


@pytest.mark.parametrize(
    ("serial", "hosts", "expected"),
    [
        ((), 5, [5]),
        ((2,), 5, [2, 2, 1]),
        ((9,), 5, [5]),
        (("25%",), 8, [2, 2, 2, 2]),
        (("30%",), 5, [1, 1, 1, 1, 1]),
        (("1%",), 3, [1, 1, 1]),
        (("100%",), 3, [3]),
        ((1, 3), 8, [1, 3, 3, 1]),
        ((1, "50%"), 10, [1, 5, 4]),
        ((1, 2, 4), 2, [1, 1]),
        ((1,), 1, [1]),
    ],
)
def test_sizes(serial: tuple[Share, ...], hosts: int, expected: list[int]) -> None:
    assert sizes(serial, hosts) == expected


@pytest.mark.parametrize(
    ("max_fail", "size", "expected"),
    [(None, 5, 4), (None, 1, 0), (0, 5, 0), (2, 5, 2), ("0%", 5, 0), ("20%", 5, 1), ("20%", 4, 0), ("100%", 3, 3)],
)
def test_a_percentage_is_to_be_exceeded(max_fail: Share | None, size: int, expected: int) -> None:
    assert allowed(max_fail, size) == expected


def entries(tmp_path: Path, text: str, **typed: str) -> list[HostEntry]:
    file = tmp_path / "inventory.yaml"
    file.write_text(text)
    return load(str(file), "", overrides(typed.get("serial", ""), typed.get("max_fail", "")))


def begun(rolling: Rollout, chosen: list[HostEntry], failing: str) -> list[list[str]]:
    """Each batch's hosts, in capitals where they failed; without those that were not begun."""
    found: list[list[str]] = []
    for batch in rolling.batches(chosen):
        found.append([])
        for name in (entry.name for entry in batch.entries):
            with suppress(CommandError, SkippedError), batch.counting(name):
                found[-1].append(name.upper() if name in failing else name)
                if name in failing:
                    raise CommandError("it failed")
    return found


FOUR = "all: {hosts: {a: , b: , c: , d: }, vars: {serial: 2"


@pytest.mark.parametrize(
    ("max_fail", "failing", "expected"),
    [
        ("}}", "a", [["A", "b"], ["c", "d"]]),
        ("}}", "ab", [["A", "B"]]),
        (", max_fail: 50%}}", "ac", [["A", "b"], ["C", "d"]]),
        (", max_fail: 100%}}", "ab", [["A", "B"], ["c", "d"]]),
        (", max_fail: 49%}}", "b", [["a", "B"]]),
        (", max_fail: 0}}", "a", [["A"]]),
    ],
)
def test_too_many_failures_leave_the_rest_alone(
    tmp_path: Path, max_fail: str, failing: str, expected: list[list[str]]
) -> None:
    """In the same batch as well: whoever had not begun does not begin."""
    chosen = entries(tmp_path, FOUR + max_fail)
    assert begun(rollout(chosen), chosen, failing) == expected


def test_who_waits_for_a_host_that_is_not_begun_is_told(tmp_path: Path) -> None:
    left: list[str] = []
    chosen = entries(tmp_path, FOUR + ", max_fail: 0}}")
    begun(rollout(chosen, left.append), chosen, "a")
    assert left == ["b"]


def test_hosts_that_differ_are_refused_and_the_command_line_wins(tmp_path: Path) -> None:
    text = "all:\n  hosts:\n    a: {serial: 2}\n    b: {serial: [1, 50%]}\n    c: {max_fail: 1}\n"
    with pytest.raises(ConfigurationError) as refused:
        rollout(entries(tmp_path, text))
    assert "inventory.yaml:3: all/hosts/a/serial: should be the same" in refused.value.cause
    assert "inventory.yaml:4: all/hosts/b/serial: should be the same" in refused.value.cause
    assert "inventory.yaml:5: all/hosts/c/max_fail: should be the same" in refused.value.cause
    for odd in ("9" * 5000, "²", "1,,2", "0", "101%"):
        with pytest.raises(ConfigurationError, match="command line"):
            entries(tmp_path, text, serial=odd)
    typed = rollout(entries(tmp_path, text, serial="1,25%", max_fail="20%"))
    assert (typed.serial, typed.max_fail) == ((1, "25%"), "20%")


@pytest.mark.parametrize("typed", [{"serial": "0"}, {"serial": "1,x"}, {"serial": "101%"}, {"max_fail": "-1"}])
def test_what_is_typed_is_checked_as_settings_are(tmp_path: Path, typed: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=f"command line/{next(iter(typed))}: should be an integer of at least"):
        entries(tmp_path, "all: {hosts: {a: }}\n", **typed)

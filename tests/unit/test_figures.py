"""Figures as people read them, and what fits into how many columns."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from provisioning.figures import amount, bar, clock, fitted, size


def test_a_bar() -> None:
    assert bar(0.5) == "██████████░░░░░░░░░░"
    assert bar(1) == "█" * 20
    assert bar(7, 5) == "█████"


def test_a_clock() -> None:
    assert (clock(61), clock(3600)) == ("1:01 min", "1:00 h")


def test_bytes() -> None:
    assert [size(each) for each in (0, 999, 12_100_000, 3e12)] == ["0 B", "999 B", "12.1 MB", "3.0 TB"]
    assert amount(5_000_000, 15_200_000_000) == "0.0 of 15.2 GB"
    assert amount(5_000_000, 0) == amount(5_000_000, -1) == amount(5_000_000, 4_000_000) == "5.0 MB"
    assert amount(0, 0) == "0 B"


@pytest.mark.parametrize("width", range(12))
@pytest.mark.parametrize("name", ["a", "model-00001-of-00004.safetensors", "模型的权重一二三.bin"])
def test_a_name_takes_exactly_its_columns(name: str, width: int) -> None:
    assert cell_len(fitted(name, width)) == width


def test_a_long_name_lacks_its_middle() -> None:
    assert fitted("model-00001-of-00004.safetensors", 20) == "model-0000…fetensors"
    assert fitted("a/b", 5) == "a/b  "

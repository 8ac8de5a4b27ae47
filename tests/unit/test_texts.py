"""Texts that settings are made of."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from provisioning.texts import Rate, bytes_per_second

RATE: TypeAdapter[str] = TypeAdapter(Rate)


@pytest.mark.parametrize(
    ("rate", "number"),
    [("500K", 500_000), ("5M", 5_000_000), ("5m", 5_000_000), ("1.5G", 1_500_000_000), ("0.001K", 1)],
)
def test_a_rate_is_decimal(rate: str, number: int) -> None:
    assert bytes_per_second(RATE.validate_python(rate)) == number


@pytest.mark.parametrize("rate", ["", "5", "M", "0M", "0.0K", "-5M", "5MB", "5 M", "1e3K", "٥M", "0.0001K", "5M\n"])
def test_what_is_no_rate(rate: str) -> None:
    with pytest.raises(ValidationError, match="bytes a second such as"):
        RATE.validate_python(rate)

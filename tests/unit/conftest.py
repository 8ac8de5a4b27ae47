"""What every unit test begins with."""

from __future__ import annotations

import pytest

from provisioning import masking


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of another test, which may be any word, is masked in what this one reads."""
    monkeypatch.setattr(masking, "_secrets", set())

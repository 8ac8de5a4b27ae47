"""What every unit test begins with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning import masking

OF_TERMINALS = re.compile("CI$|NO_COLOR|FORCE_COLOR|CLICOLOR|COLUMNS|LINES|TTY_")


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of another test, which may be any word, is masked in what this one reads."""
    monkeypatch.setattr(masking, "_secrets", set())


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs note how they went."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, records: Path) -> Iterator[None]:
    """Whoever runs the tests may have any terminal, or none, and any umask; and nothing is noted in their home."""
    for name in filter(OF_TERMINALS.match, list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(records))
    before = os.umask(0o022)
    yield
    os.umask(before)

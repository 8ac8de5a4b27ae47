"""What `lint` says of packages with known vulnerabilities, and where nobody can be asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from provisioning import auditing

GOOD: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
BAD: dict[str, Any] = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1", "3"]}]}
UNKNOWN: dict[str, Any] = {"name": "c", "skip_reason": "not on the index"}


def test_findings() -> None:
    summary = "pip-audit: 2 of 3 packages looked up, 1 vulnerabilities"
    assert auditing.findings([GOOD, BAD, UNKNOWN]) == ["b 2: PYSEC-1 (mended in 2.1, 3)", summary]
    assert "skipped" in auditing.findings([UNKNOWN])[0]


@pytest.mark.parametrize(
    ("program", "good", "says"),
    [
        ("echo boom >&2; exit 1", True, "skipped: cannot reach"),
        ("""echo '{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}'""", True, "1 of 1 packages"),
        (
            """echo '{"dependencies": [{"name": "a", "version": "1",
            "vulns": [{"id": "X", "fix_versions": []}]}]}'; exit 1""",
            False,
            "a 1: X (mended in no release)",
        ),
    ],
)
def test_a_program_that_stands_in(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    program: str,
    good: bool,
    says: str,
) -> None:
    """The answers of pip-audit 2.10, from a program of its name."""
    (tmp_path / "pip-audit").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "pip-audit").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert auditing.audit() == good
    assert says in capsys.readouterr().out

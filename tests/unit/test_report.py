"""What people read."""

from __future__ import annotations

import pytest

from provisioning.errors import CommandError
from provisioning.outcome import Change, Outcome
from provisioning.report import Report
from provisioning.screen import console

ODD = "core.py:100: foo [/b] [bold]x[/] [red"
"""Text that rich would read as an emoji and as markup, some of it broken."""


def test_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    one = Change("system", "file /a", "+x")
    outcomes = [
        Outcome("web1"),
        Outcome("web22", "changed", [one]),
        Outcome("web3", "changed", [one, one]),
        Outcome("web4", "failed", [one], CommandError("web4: it failed", cause="why", remedy="mend it")),
        Outcome("web5", "unreachable", [], CommandError("away")),
    ]
    Report().summary(outcomes, planned=False)
    assert capsys.readouterr().out.splitlines() == [
        "web1   nothing to do",
        "web22  1 change made",
        "web3   2 changes made",
        "web4   failed after 1 change",
        "web5   unreachable",
        "✗ web4: it failed",
        "    why",
        "  → mend it",
        "✗ web5: away",
    ]
    Report().summary([Outcome("web22", "changed", [one])], planned=True)
    assert capsys.readouterr().out == "web22  1 change to make\n"


def test_a_plan_shows_diffs_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets are no markup, and long lines are not cut."""
    diff = "--- /a\n+++ /a\n@@ -1 +1 @@\n-[old]\n+[bold]new[/] " + "x" * 300
    Report().plan(Outcome("web1", "changed", [Change("system", "file /a", diff)]))
    assert capsys.readouterr().out == "web1 system: file /a\n" + "".join(f"    {row}\n" for row in diff.splitlines())


def test_what_is_said_while_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for verbosity, said in ((0, []), (1, ["web1 │ line"]), (-1, [])):
        report = Report(verbosity=verbosity)
        report.tell("web1", "line")
        assert capsys.readouterr().out.splitlines() == said


def test_a_warning_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    Report().tell("web1", "warning: the lock is held")
    assert capsys.readouterr().out == "web1 warning: the lock is held\n"


def test_a_change_is_framed(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with report.change("web1", "system", "packages git", "install git"):
        pass
    with report.change("web1", "mirrors", "file /a", "--- /a\n+++ /a"):
        pass
    assert capsys.readouterr().out == "web1 system: install git\nweb1 mirrors: file /a\n"


def test_text_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(ODD)
    report = Report(verbosity=1)
    report.line(ODD, ODD, "green")
    report.tell("web1", ODD)
    report.plan(Outcome("web1", "changed", [Change(ODD, ODD, ODD)]))
    report.error(CommandError(ODD, cause=ODD, remedy=ODD), "web1")
    assert capsys.readouterr().out.splitlines() == [
        ODD,
        f"{ODD} {ODD}",
        f"web1 │ {ODD}",
        f"web1 {ODD}: {ODD}",
        f"    {ODD}",
        f"✗ web1: {ODD}",
        f"    {ODD}",
        f"  → {ODD}",
    ]

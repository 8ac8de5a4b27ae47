"""What people read."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from provisioning.errors import CommandError
from provisioning.outcome import Change, Outcome
from provisioning.report import Report
from provisioning.screen import console

PROJECT = Path(__file__).resolve().parents[2]
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
    Report(verbosity=-1).summary(outcomes, planned=False)
    assert capsys.readouterr().out.splitlines() == [
        "web4  failed after 1 change",
        "web5  unreachable",
        "✗ web4: it failed",
        "    why",
        "  → mend it",
        "✗ web5: away",
    ]
    Report().summary([Outcome("web22", "changed", [one])], planned=True)
    assert capsys.readouterr().out == "web22  1 change to make\n"


def failed(host: str, text: str = "{0}: packages failed (exit 1)") -> Outcome:
    told = {"cause": f"at 10:5{host[-1]}", "remedy": "mend it", "log": f"/jobs/packages/log, on {host}"}
    return Outcome(host, "failed", [], CommandError(text.format(host), **told))


def test_hosts_that_failed_alike_are_told_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    """With what, where, why, what to do, and where the log is; names are not endlessly many."""
    Report().failures([Outcome("ok"), failed("web1"), failed("db1", "{0}: no disk"), failed("web2"), failed("lab3")])
    assert capsys.readouterr().out.splitlines() == [
        "✗ web1: packages failed (exit 1)",
        "    at 10:51",
        "  → mend it",
        "  log: /jobs/packages/log, on web1",
        "  so did 2 more hosts: web2, lab3",
        "✗ db1: no disk",
        "    at 10:51",
        "  → mend it",
        "  log: /jobs/packages/log, on db1",
    ]
    Report().failures([failed(f"web{number}") for number in range(50)])
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("  so did 49 more hosts: web1, web2, ")
    assert last.endswith(", web12 and 37 more")


def test_quiet_says_only_failures(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(verbosity=-1)
    with report.change("web1", "system", "packages git", "install git"):
        report.tell("web1", "warning: slow")
        report.command("web1", "apt-get install git")
    report.line("web1", "an event")
    report.ended(Outcome("web1", "failed", [], CommandError("away")))
    assert not capsys.readouterr().out
    report.plan(Outcome("web1", "changed", [Change("system", "file /a", "+x")]))
    report.error(CommandError("away"))
    assert capsys.readouterr().out.splitlines() == ["web1 system: file /a", "    +x", "✗ away"]


def test_verbose_shows_commands(capsys: pytest.CaptureFixture[str]) -> None:
    Report().command("web1", "id")
    assert not capsys.readouterr().out
    Report(verbosity=1).command("web1", "set -e\n\napt-get install git\n")
    assert capsys.readouterr().out.splitlines() == ["web1 $ set -e", "web1   apt-get install git"]


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


def test_a_long_line_is_cut_where_it_only_says_that_it_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.pacing.STILL", -1)
    report = Report()
    with report.change("web1", "service", "service demo", "start"):
        report.tell("web1", "config " + "x" * 4000)
    assert capsys.readouterr().out.splitlines()[1] == "web1 … config " + "x" * 193 + " …"


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


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}])
def test_words_of_a_host_steer_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    odd = "a\x1b]0;title\x07b\x1b[2Jc\x9b1md\u202ee\tf"
    Report(verbosity=1).error(CommandError(odd, cause=odd, remedy=odd), "web1")
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert said.count("a�]0;titleb�[2Jc�1md�e") == 3
    assert "\x1b" not in said


# On a terminal: a change that goes on for a moment.
SHOWN = """
from provisioning.report import Report
report = Report()
with report.running(["web1"]), report.change("web1", "system", "packages git", "install git"):
    report.tell("web1", "Unpacking git")
    report.line("web1", "is green", "green")
    if report._live:
        report._live.refresh()
print("live" if report.screen.console.is_terminal else "piped")
"""


def read_to_the_end(terminal: int) -> bytes:
    """What came out at the other side, which nobody has open any more: the kernel hands it over in pieces."""
    said = b""
    with suppress(OSError):
        while piece := os.read(terminal, 65536):
            said += piece
    return said


@pytest.mark.parametrize(
    ("variables", "moves", "coloured"),
    [
        ({}, True, True),
        ({"CI": "true"}, False, True),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, True, False),
    ],
    ids=str,
)
def test_what_a_terminal_is_sent(variables: dict[str, str], moves: bool, coloured: bool) -> None:
    """With CI set, and where the cursor cannot be moved, one line for each event; with NO_COLOR no colours anywhere."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SHOWN]
    subprocess.run(
        command, cwd=PROJECT, env={**os.environ, "TERM": "xterm", **variables}, stdout=theirs, check=True, timeout=60
    )
    os.close(theirs)
    said = read_to_the_end(ours).decode()
    os.close(ours)
    assert "live" in said
    assert ("\x1b[?25l" in said and "… Unpacking git" in said) == moves
    assert bool(re.search(r"\x1b\[(?:[0-9]+;)*3[0-9]m", said)) == coloured
    assert "system: install git" in said

"""What people see while hosts converge: one line for each event, and on a terminal what every host is doing now."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from provisioning.echo import shown
from provisioning.figures import printable
from provisioning.masking import masked
from provisioning.outcome import DONE, Outcome, alike, some
from provisioning.pacing import Pace
from provisioning.screen import Screen
from provisioning.standing import Standing
from provisioning.verbosity import VERBOSITY

if TYPE_CHECKING:
    from rich.live import Live

    from provisioning.transfer import Said

LONG = 200
"""Letters of a line of progress, at most: vLLM logs its whole configuration in one."""
WARNING = "warning: "
"""How a line begins in a job's log that people should see at once."""


class Report:
    """Takes events from many hosts at once. `verbosity`: see `VERBOSITY`, which counts where none is given."""

    def __init__(self, *, verbosity: int | None = None, stderr: bool = False) -> None:
        self.screen = Screen(stderr=stderr)
        self._verbosity = VERBOSITY.get() if verbosity is None else verbosity
        self._lock = threading.Lock()
        self._standing = Standing()
        self._paces: dict[str, Pace] = {}
        self._live: Live | None = None

    @contextmanager
    def running(self, hosts: Sequence[str]) -> Iterator[None]:
        """Show what every host is doing now, on a terminal. A `KeyboardInterrupt` leaves with where things stand."""
        self._standing.announce(hosts)
        try:
            with self._shown():
                yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(*self._standing.lines()) from None

    def working(self, host: str) -> AbstractContextManager[None]:
        """Frame the work on one host."""
        return self._standing.working(host)

    def count(self, host: str) -> None:
        """Take note of a change that was made outside of `change`."""
        self._standing.count(host)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        if self._verbosity or not self.screen.is_live:
            yield
            return
        from rich.live import Live

        with Live(
            console=self.screen.console, transient=True, refresh_per_second=8, get_renderable=self._render
        ) as self._live:
            yield
        self._live = None

    def _render(self) -> Any:
        from rich.console import Group

        from provisioning.bars import rows

        # The last column and the last row stay free, for terminals that scroll when they are written.
        return Group(*rows(self._standing.now(), self.screen.console.width - 1, self.screen.console.height - 1))

    def line(self, host: str, text: str, style: str = "") -> None:
        """Print one event of a host, without secrets; nothing where only failures are wanted."""
        if self._verbosity >= 0:
            self.answer(host, text, style)

    def answer(self, host: str, text: str, style: str = "") -> None:
        """Print a line of what was asked for."""
        with self._lock:
            self.screen.print((host, "bold"), f" {masked(text)}", style=style)

    def tell(self, host: str, said: Said) -> None:
        """Take one piece of progress: shown live, or now and then; lines also always (verbose, and a warning)."""
        if isinstance(said, str):
            said = printable(masked(said))
            if said.startswith(WARNING):
                self.line(host, said, "yellow")
                return
        self._standing.say(host, said)
        if self._verbosity > 0 and isinstance(said, str):
            self.line(host, f"│ {said}", "dim")
            return
        pace = self._paces.get(host)
        if self._live is None and pace and pace.due(said):
            text = str(said)
            self.line(host, f"… {text if len(text) <= LONG else text[:LONG] + ' …'}", "dim")

    def command(self, host: str, script: str) -> None:
        """Print the shell that is about to change a host, for who wants to see it (verbose)."""
        if self._verbosity > 0:
            for number, row in enumerate(shown(script)):
                self.line(host, f"{'  ' if number else '$ '}{row}", "dim")

    @contextmanager
    def change(self, host: str, step: str, resource: str, diff: str) -> Iterator[None]:
        """Frame one change: what it is before, how long it took after."""
        started = time.monotonic()
        self._paces[host] = Pace()
        self._standing.begin(host, f"{step}: {resource}")
        self.line(host, f"{step}: {_headline(resource, diff)}")
        try:
            yield
        finally:
            self._standing.end(host)
        self._standing.count(host)
        seconds = time.monotonic() - started
        if seconds > 5:
            self.line(host, f"{step}: done in {seconds:.0f} s", "dim")

    def plan(self, outcome: Outcome) -> None:
        """Print what would change on a host, as diffs."""
        if outcome.error:
            return
        for change in outcome.changes:
            self.answer(outcome.host, f"{change.step}: {change.resource}", "yellow")
            for row in change.diff.splitlines():
                self.screen.print("    " + row, style=_diff_style(row))

    def ended(self, outcome: Outcome) -> None:
        """Print how it went on a host, while others are at work still."""
        why = f": {outcome.error.message.removeprefix(f'{outcome.host}: ')}" if outcome.error else ""
        # Some tasks count no changes here, so that nothing is said of them.
        how = "done" if outcome.status == "ok" else _sentence(outcome, planned=False)
        self.line(outcome.host, f"{how}{why}", _style(outcome))

    def error(self, error: Exception, host: str = "") -> None:
        """Print what failed and where, why, what to do next, and where the log is."""
        message, cause, remedy, log = (getattr(error, name, "") for name in ("message", "cause", "remedy", "log"))
        with self._lock:
            prefix = "" if not host or message.startswith(host) else f"{host}: "
            self.screen.print(f"✗ {prefix}{message or error}", style="bold red")
            for row in cause.splitlines():
                self.screen.print(f"    {row}")
            for row in remedy.splitlines():
                self.hint(row)
            if log:
                self.screen.print(f"  log: {log}", style="cyan")

    def hint(self, text: str) -> None:
        """Print what to do next."""
        self.screen.print(f"  → {text}", style="cyan")

    def failures(self, outcomes: Sequence[Outcome]) -> None:
        """Print one block for each way in which hosts failed: the first one's words, and who else failed so."""
        for first, *others in alike(outcomes):
            assert first.error
            self.error(first.error, first.host)
            if others:
                names = some([other.host for other in others])
                self.screen.print(f"  so did {len(others)} more host{'s' * (len(others) > 1)}: {names}")

    def summary(self, outcomes: Sequence[Outcome], *, planned: bool) -> None:
        """Print one line for each host (where only failures are wanted, for those that failed), then the failures."""
        shown = [outcome for outcome in outcomes if planned or self._verbosity >= 0 or outcome.status not in DONE]
        width = max((len(outcome.host) for outcome in shown), default=0)
        for outcome in shown:
            self.screen.print(f"{outcome.host:<{width}}  {_sentence(outcome, planned)}", style=_style(outcome))
        self.failures(outcomes)


def _style(outcome: Outcome) -> str:
    return {"ok": "green", "changed": "yellow", "skipped": "dim"}.get(outcome.status, "bold red")


def _sentence(outcome: Outcome, planned: bool) -> str:
    count = len(outcome.changes)
    changes = f"{count} change{'s' if count != 1 else ''}"
    if outcome.status == "ok":
        return "nothing to do"
    if outcome.status == "changed":
        return f"{changes} to make" if planned else f"{changes} made"
    return f"{outcome.status}" + (f" after {changes}" if count else "")


def _headline(resource: str, diff: str) -> str:
    """The change in a line: itself, where it is one, else what it is made to."""
    return resource if diff.startswith(("---", "@@")) or "\n" in diff else diff


def _diff_style(row: str) -> str:
    return {"+": "green", "-": "red", "@": "cyan"}.get(row[:1], "")

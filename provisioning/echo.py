"""The shell that changes a host, for people who want to see it (`--verbose`): short, and without secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from provisioning.figures import printable
from provisioning.masking import masked

LINES = 30
"""Lines of one script that are shown."""
WIDTH = 200
"""Characters of one line that are shown."""

# What a file is to hold is much, of no use to a reader, and perhaps secret.
_DATA = re.compile(r"(<<'END'\n).*?^END$", re.DOTALL | re.MULTILINE)
ENCODED = re.compile(r"(?<![A-Za-z0-9+/_-])(?=[a-z0-9+/_-]*[A-Z])(?=[A-Za-z+/_-]*[0-9])[A-Za-z0-9+/_-]{60,}=*")
"""What is encoded, and no path: letters of both cases, and digits, without an end."""

Show = Callable[[str], object]


class Echo:
    """Takes every script that is run on a host, and shows it as long as somebody wants that."""

    def __init__(self) -> None:
        self._show: Show | None = None

    def __call__(self, script: str) -> None:
        """A script is about to run."""
        if self._show:
            self._show(script)

    @contextmanager
    def to(self, show: Show | None) -> Iterator[None]:
        """Show what is run meanwhile."""
        before, self._show = self._show, show
        try:
            yield
        finally:
            self._show = before

    @contextmanager
    def instead(self, script: str = "") -> Iterator[None]:
        """Show this script (or none) in place of what is run meanwhile, which only has it run, or holds a secret."""
        if script:
            self(script)
        with self.to(None):
            yield


def shown(script: str) -> list[str]:
    """The lines of a script as a person is shown them: no data, no secrets, and not endlessly many."""
    text = ENCODED.sub("…", _DATA.sub(r"\1…", masked(script)))
    rows = [row.rstrip() for row in text.splitlines() if row.strip()]
    more = len(rows) - LINES
    rows = rows if more <= 1 else [*rows[:LINES], f"… and {more} more lines"]
    return [printable(row if len(row) <= WIDTH else f"{row[:WIDTH]}…") for row in rows]

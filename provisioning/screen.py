"""What text is printed to: rich's console on a terminal; elsewhere plain lines, for rich was a tenth of a short run."""

from __future__ import annotations

import os
import sys
from functools import cached_property, partial
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLOURS = {"FORCE_COLOR", "TTY_COMPATIBLE"}
"""Variables that ask rich for colours where there is no terminal."""
STEERING = (*range(9), *range(14, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
UNSEEN = {**dict.fromkeys(STEERING, "�"), **dict.fromkeys((7, 8, 11, 12, 13))}
"""What would steer a terminal or turn a line around, for hosts' words are shown; rich leaves out the last, too."""


def harmless(text: str) -> str:
    """Give a model's words for a terminal, which they are not to command: a model may say anything."""
    return text.translate(UNSEEN)


def to_output(text: str) -> str:
    """Give a model's words for standard output: as they are, unless a person reads them there."""
    return harmless(text) if sys.stdout.isatty() else text


def console(*, stderr: bool = False) -> Console:
    """Give a console that shows text as it is, be it a host's, a model's or a person's: `[x]` and `:100:` mean nothing.

    Where it is no terminal nothing is cut to fit a width.
    """
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # as print does: every task ends alike where its reader has left (`… | head`)

    make = partial(Piped, highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=stderr)
    wide = make()
    return wide if wide.is_terminal else make(width=240)


def print_table(screen: Console, table: Table) -> None:
    """Print a table uncut; where it is no terminal a row ends with its text, and not with blanks."""
    if screen.is_terminal:
        screen.print(table, crop=False)
        return
    with screen.capture() as captured:
        screen.print(table, crop=False)
    for row in captured.get().removesuffix("\n").split("\n"):
        screen.print(row.rstrip(" "))


def is_live(console: Console) -> bool:
    """Whether what is shown can be shown anew in place: on a terminal that can move its cursor, and not under CI."""
    return console.is_interactive and not os.environ.get("CI")


class Screen:
    """Prints lines to standard output, or to standard error."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr

    @cached_property
    def console(self) -> Console:
        """For what plain lines cannot show."""
        return console(stderr=self._stderr)

    @property
    def is_live(self) -> bool:
        """Whether lines can be written over."""
        return self._is_styled and is_live(self.console)

    def print(self, *parts: str | tuple[str, str], style: str = "") -> None:
        """Print a line of parts, some of them with a style of their own."""
        pairs = [(part, "") if isinstance(part, str) else part for part in parts]
        shown = [(text.translate(UNSEEN), look) for text, look in pairs]
        if self._is_styled:
            from rich.text import Text

            self.console.print(Text.assemble(*shown), style=style or None)
        else:
            print("".join(text for text, _ in shown), file=self._file, flush=True)

    @property
    def _file(self) -> IO[str]:
        return sys.stderr if self._stderr else sys.stdout

    @property
    def _is_styled(self) -> bool:
        return "console" in self.__dict__ or self._file.isatty() or not COLOURS.isdisjoint(os.environ)

"""What every host is doing now, in rows that fit a terminal: never wider, and never more of them, than it has."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from provisioning.figures import WIDTH, amount, bar, fitted, printable
from provisioning.transfer import Part, Said, Transfer

GAP = 2
"""Columns between two figures, and before a row that belongs to the one above."""
NARROW = 5
"""Columns below which a bar says nothing."""


def rows(now: Sequence[tuple[str, Said]], width: int, height: int) -> list[Text]:
    """Each host's row; where there is room left, below it its files on their way and what was said last."""
    shown = now if len(now) <= height else now[: max(0, height - 1)]
    names = max((cell_len(host) for host, _ in shown), default=0)
    below = [_below(said, width) if isinstance(said, Transfer) else [] for _, said in shown]
    room = _shared([len(each) for each in below], height - len(shown) - (len(shown) < len(now)))
    found = []
    for (host, said), details, some in zip(shown, below, room, strict=True):
        found += [_row(host, said, names, width), *details[:some]]
    if len(shown) < len(now):
        found.append(Text(f"… and {len(now) - len(shown)} more hosts at work", style="dim"))
    for row in found:
        row.no_wrap = True
        row.truncate(width, overflow="ellipsis")
    return found[: max(0, height)]


def _row(host: str, said: Said, names: int, width: int) -> Text:
    if not isinstance(said, Transfer):
        return Text(printable(f"{host} … {said}"), style="dim")
    host = fitted(host, min(names, max(NARROW, width // 3)))
    figures = list(filter(None, said.figures))
    while len(figures) > 1 and _room(host, figures, width) < NARROW:
        figures.pop()
    drawn = _bar(said, _room(host, figures, width))
    return Text.assemble((host, "bold"), f"{drawn}  {'  '.join(figures)}")


def _bar(said: Transfer | Part, room: int) -> str:
    """The bar with the gap before it, where there is room and something to show."""
    return " " * GAP + bar(said.share, min(WIDTH, room)) if said.size > 0 and room >= NARROW else ""


def _room(host: str, figures: Sequence[str], width: int) -> int:
    """Columns that are left for a bar."""
    return width - cell_len(host) - GAP - sum(GAP + cell_len(figure) for figure in figures)


def _below(transfer: Transfer, width: int) -> list[Text]:
    note = [f"… {transfer.note}"] if transfer.note else []
    parts = [(part, amount(part.done, part.size)) for part in transfer.files]
    longest = max((cell_len(much) for _, much in parts), default=0)
    names = min(max((cell_len(part.name) for part, _ in parts), default=0), width * 2 // 5, width - 2 * GAP - longest)
    found = []
    for part, much in parts:
        name = fitted(part.name, max(1, names))
        found.append(f"{name}{_bar(part, _room(name, [much], width - GAP))}  {much}")
    return [Text(" " * GAP + row, style="dim") for row in note + found]


def _shared(wanted: Sequence[int], room: int) -> list[int]:
    """Share rows out: one to each in turn that still wants one."""
    given = [0] * len(wanted)
    while room > 0 and given != list(wanted):
        for number, want in enumerate(wanted):
            if room > 0 and given[number] < want:
                given[number] += 1
                room -= 1
    return given

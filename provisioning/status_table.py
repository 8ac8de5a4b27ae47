"""The table of `status`: a row for each service, as many columns as fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from provisioning.figures import fitted, printable, size
from provisioning.service_status import ServiceStatus
from provisioning.status import Fared

GAP = 2
COLOURS = {"ready": "green", "busy": "green", "stopped": "red", "hung": "red", "unreachable": "red", "failed": "red"}
"""What is neither well nor lost is yellow."""


@dataclass(frozen=True)
class Column:
    """A title, and how a service shows under it. Of columns that do not fit that of the highest rank goes first."""

    title: str
    rank: int
    of: Callable[[ServiceStatus], str]
    is_number: bool = False


def _known(value: float | None, show: Callable[[float], str]) -> str:
    return "-" if value is None else show(value)


def _queue(service: ServiceStatus) -> str:
    if service.requests_running is None or service.requests_waiting is None:
        return "-"
    return f"{service.requests_running}+{service.requests_waiting}"


COLUMNS = (
    Column("SERVICE", 0, lambda each: each.name),
    Column("STATE", 0, lambda each: each.phase),
    Column("UP", 1, lambda each: _known(each.uptime_seconds, uptime), is_number=True),
    Column("RESTARTS", 6, lambda each: str(each.restarts), is_number=True),
    Column("MODEL", 7, lambda each: each.model or "-"),
    Column("VLLM", 8, lambda each: each.vllm_version or "-"),
    Column("MEMORY", 5, lambda each: _known(each.memory_bytes, size), is_number=True),
    Column("RUN+WAIT", 4, _queue, is_number=True),
    Column("REQ/S", 3, lambda each: _known(each.requests_per_second, rate), is_number=True),
    Column("TOK/S", 2, lambda each: _known(each.generation_tokens_per_second, rate), is_number=True),
    Column("URL (on the host)", 9, lambda each: each.url),
)


def uptime(seconds: float) -> str:
    """A time in its two largest units: `3d 4h`, `5h 12m`, `12m 5s`, `40s`."""
    rest = int(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, length)
        if number or parts or unit == "s":
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])


def rate(number: float) -> str:
    """So many in a second, in about three figures."""
    digits = 0 if number >= 100 or not number else 1 if number >= 1 else 2
    return f"{number:.{digits}f}"


def differences(fared: Fared) -> str:
    """How far a host is from the inventory, or why that is not known; in a few words."""
    outcome = fared.outcome
    if outcome.error:
        return printable(outcome.error.message.removeprefix(f"{fared.host}: "))
    if outcome.status == "connecting":
        return ""
    count = len(outcome.changes)
    if not count:
        return "converged"
    steps = ", ".join(dict.fromkeys(change.step for change in outcome.changes))
    return f"{count} change{'s' if count != 1 else ''}: {steps}"


def table(fared: Sequence[Fared], width: int | None = None) -> Table:
    """Give the table of these hosts, on `width` columns of a terminal at most; uncut where that is None."""
    rows = [row for each in fared for row in _rows(each)]
    titles = ("HOST", *(column.title for column in COLUMNS), "INVENTORY")
    widths = [max(map(cell_len, cells)) for cells in zip(titles, *rows, strict=True)]
    chosen = _chosen(widths, width) if width else list(range(len(titles)))
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for index in chosen:
        number = 0 < index <= len(COLUMNS) and COLUMNS[index - 1].is_number
        made.add_column(titles[index], no_wrap=True, justify="right" if number else "left", min_width=widths[index])
    if width:
        last = width - 1 - sum(widths[index] + GAP for index in chosen[:-1])
        made.columns[-1].min_width = made.columns[-1].max_width = min(widths[-1], max(last, cell_len(titles[-1])))
    for row in rows:
        cells = [Text(row[index], style=_style(index, row[index])) for index in chosen]
        if width:
            cells[-1] = Text(fitted_end(row[-1], made.columns[-1].max_width or 1))
        made.add_row(*cells)
    return made


def fitted_end(text: str, width: int) -> str:
    """Text on at most `width` columns, its middle left out."""
    return text if cell_len(text) <= width else fitted(text, width)


def _rows(fared: Fared) -> list[list[str]]:
    last = differences(fared)
    if not fared.services:
        state = {"ok": "-", "changed": "-"}.get(fared.outcome.status, fared.outcome.status)
        cells = [state if column.title == "STATE" else "-" for column in COLUMNS]
        return [[fared.host, *cells, last]]
    is_silent = fared.outcome.status == "silent"  # what its services do now is not known any more
    return [[fared.host, *_cells(service, is_silent), last] for service in fared.services]


def _cells(service: ServiceStatus, is_silent: bool) -> list[str]:
    return ["silent" if is_silent and column.title == "STATE" else column.of(service) for column in COLUMNS]


def _chosen(widths: Sequence[int], width: int) -> list[int]:
    """Which columns fit beside the host and at least a few words on the inventory."""
    chosen = list(range(len(widths)))
    least = min(widths[-1], 24)

    def taken() -> int:
        return sum(widths[index] + GAP for index in chosen[:-1]) + least

    while taken() > width - 1:
        candidates = [index for index in chosen[1:-1] if COLUMNS[index - 1].rank]
        if not candidates:
            break
        chosen.remove(max(candidates, key=lambda index: COLUMNS[index - 1].rank))
    return chosen


def _style(index: int, text: str) -> str:
    if 0 < index <= len(COLUMNS) and COLUMNS[index - 1].title == "STATE":
        return "" if text == "-" else COLOURS.get(text, "yellow")
    return ""

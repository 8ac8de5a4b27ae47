"""Figures and names as people read them: sizes, times, bars, and what fits into how many columns of a terminal."""

from __future__ import annotations

WIDTH = 20
"""Columns of a bar, where there is room."""
UNITS = ["B", "kB", "MB", "GB", "TB", "PB"]
"""Decimal, as hubs, disks and networks count."""
LONG = 100 * 3600
"""Seconds from which nobody wants to know what a guess says."""


def bar(share: float, width: int = WIDTH) -> str:
    """A bar of text."""
    full = round(min(max(share, 0), 1) * width)
    return "█" * full + "░" * (width - full)


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02} h" if minutes >= 60 else f"{minutes}:{rest:02} min"


def size(number: float) -> str:
    """A number of bytes: `12.1 MB`."""
    return amount(number, 0)


def amount(done: float, whole: float) -> str:
    """How much of a number of bytes, both in one unit: `3.2 of 15.2 GB`, or the first alone if that is unknown."""
    from rich.filesize import pick_unit_and_suffix

    known = whole > 0 and whole >= done
    unit, suffix = pick_unit_and_suffix(int(whole if known else done), UNITS, 1000)
    digits = 0 if unit == 1 else 1
    of = f" of {whole / unit:.{digits}f}" if known else ""
    return f"{done / unit:.{digits}f}{of} {suffix}"


def printable(text: str) -> str:
    """Text that moves no cursor and turns no line around: what is not to be printed becomes `�`."""
    return "".join(letter if letter.isprintable() else "�" for letter in text.expandtabs())


def fitted(text: str, width: int) -> str:
    """Text on exactly `width` columns: what is too long lacks its middle, for names of files differ at their ends."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return set_cell_size(text, width)
    tail = max(0, width - 1) // 2
    return set_cell_size(f"{set_cell_size(text, width - 1 - tail)}…{set_cell_size(text[::-1], tail)[::-1]}", width)

"""A folder is replaced only if it is of the kind that is made: what else is kept under its name is left alone."""

from __future__ import annotations

from provisioning.host import quote


def require_replaceable(path: str, marks: tuple[str, ...], kind: str, remedy: str) -> str:
    """Give shell that exits with 1, saying why, where there is something without any of these files, or folders, in it.

    `kind` is what would have them, in words.
    """
    place = quote(path)
    known = " || ".join(f"[ -e {place}/{quote(mark)} ]" for mark in marks)
    words = quote(f"{path} is there already, and is not {kind}: {remedy}")
    return f'[ ! -e {place} ] || [ -z "$(ls -A {place})" ] || {known} || {{ echo {words}; exit 1; }}'

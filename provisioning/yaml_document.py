"""A YAML document as plain data that still knows its lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class Opaque:
    """A value that cannot be read here."""

    tag: str
    """Of Ansible Vault, where it is encrypted; "" for one that was refused."""


def shortened(text: str) -> str:
    """Text as it fits into one line of a message."""
    return text if len(text) <= 80 else f"{text[:77]}…"


class Unsafe(str):
    """Text tagged `!unsafe`: braces in it are no template."""

    __slots__ = ()


@dataclass
class Document:
    """A YAML document as plain data. `label` names it in messages; `texts` holds scalars as they are written."""

    label: str
    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    texts: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def line(self, path: KeyPath) -> int | None:
        """The line of `path`, or of the nearest key above it; None for a document that is no file."""
        return next((self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), None)

    def describe(self, path: KeyPath, words: str, line: int | None = None) -> str:
        """One problem as one line: `inventory.yaml:23: all/vars/serve/port: …`."""
        line = line or self.line(path)
        keys = "/".join(shortened(key if key.isprintable() else repr(key)[1:-1]) for key in path)
        if line is None:
            return f"{self.label}/{keys}: {words}"
        return f"{self.label}:{line}: {keys}: {words}" if keys else f"{self.label}:{line}: {words}"

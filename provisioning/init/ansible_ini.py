"""Ansible's INI inventory as the same plain data that its YAML inventory is read to.

The rules are those of Ansible's plugin `ini` (lib/ansible/plugins/inventory/ini.py): sections [GROUP], [GROUP:children]
and [GROUP:vars]; words of a host's line are parted as a shell parts them, and values are Python's literals, else text.
"""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from collections.abc import Callable
from typing import Any

from provisioning.errors import ConfigurationError
from provisioning.yaml_document import Document, KeyPath

SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
CHILD = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")


def parse(text: str, label: str) -> Document:
    """Read an INI inventory. Raises ConfigurationError with the line that is none of it."""
    reader = _Reader(label)
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line and line[0] not in "#;":
            reader.take(number, line)
    reader.require_groups()
    return reader.document


class _Reader:
    """Takes lines one after another; what they say gathers in `document`."""

    def __init__(self, label: str) -> None:
        self.document = Document(label, {})
        self.number = 0
        self.group = "ungrouped"
        self.below: Callable[[str], None] = self._host
        self.named: dict[str, int] = {}
        """Groups that another section is to declare, and the line that names them."""
        self.declared = {"all", "ungrouped"}

    def take(self, number: int, line: str) -> None:
        self.number = number
        if section := SECTION.fullmatch(line):
            self._section(section[1], section[2] or "hosts")
        elif line.startswith("[") and line.endswith("]"):
            raise self._wrong("is no section: [GROUP], [GROUP:children] or [GROUP:vars]")
        else:
            self.below(line)

    def require_groups(self) -> None:
        for name, number in self.named.items():
            if name not in self.declared:
                self.number = number
                raise self._wrong(f"no section [{name}] or [{name}:children] declares this group")

    def _section(self, group: str, kind: str) -> None:
        takers = {"hosts": self._host, "children": self._child, "vars": self._variable}
        if kind not in takers:
            raise self._wrong(f"sections are hosts, children and vars, not {kind}")
        self.group, self.below = group, takers[kind]
        if kind == "vars":
            self.named.setdefault(group, self.number)
        else:
            self.declared.add(group)
        self._set((), group, self.document.data.get(group, {}))

    def _host(self, line: str) -> None:
        try:
            pattern, *pairs = shlex.split(line, comments=True)
        except ValueError as error:
            raise self._wrong("has a quote that does not end") from error
        if wrong := next((pair for pair in pairs if "=" not in pair), ""):
            raise self._wrong(f"should be NAME key=value …, and {wrong!r} is no key=value")
        own = self._under("hosts").get(pattern) or {}
        self._set((self.group, "hosts"), pattern, own)
        for key, _, value in (pair.partition("=") for pair in pairs):
            self._set((self.group, "hosts", pattern), key, _value(value))

    def _child(self, line: str) -> None:
        if not (child := CHILD.fullmatch(line)):
            raise self._wrong("should be the name of a group")
        self.named.setdefault(child[1], self.number)
        self._under("children")
        self._set((self.group, "children"), child[1], {})

    def _variable(self, line: str) -> None:
        key, equals, value = line.partition("=")
        if not equals:
            raise self._wrong("should be key=value")
        self._under("vars")
        self._set((self.group, "vars"), key.strip(), _value(value.strip()))

    def _under(self, kind: str) -> dict[str, Any]:
        """What the present group has of this kind."""
        found: dict[str, Any] = self.document.data.setdefault(self.group, {}).setdefault(kind, {})
        return found

    def _set(self, path: KeyPath, key: str, value: Any) -> None:
        """Set a value, and remember its line."""
        data = self.document.data
        for part in path:
            data = data[part]
        data[key] = value
        self.document.lines[(*path, key)] = self.number

    def _wrong(self, words: str) -> ConfigurationError:
        label = self.document.label
        return ConfigurationError(f"{label} is no INI inventory", cause=f"{label}:{self.number}: {words}")


def _value(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, (str, int, float, list, dict, type(None))) else text

"""The groups, hosts and variables of an inventory as they are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from provisioning.yaml_document import Document, KeyPath


@dataclass(frozen=True)
class Variable:
    """A variable's value, and where it is written."""

    value: Any
    document: Document
    path: KeyPath

    def describe(self, words: str, below: KeyPath = ()) -> str:
        """A problem of this variable, or of a value `below` it, as one line."""
        return self.document.describe((*self.path, *below), words)


Variables = dict[str, Variable]
VariableFiles = Callable[[str, str], Variables]


@dataclass
class Group:
    """A group: the hosts and groups directly in it, its variables in the inventory and in files beside it."""

    name: str
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    variables: Variables = field(default_factory=dict)
    in_files: Variables = field(default_factory=dict)
    path: KeyPath = ()
    priority: int = 1
    depth: int = 0


@dataclass
class Host:
    """A host: its variables in the inventory and in files beside it."""

    variables: Variables = field(default_factory=dict)
    in_files: Variables = field(default_factory=dict)

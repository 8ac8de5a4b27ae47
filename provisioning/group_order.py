"""How the groups of an inventory lie below each other. Without recursion: a chain of them may be long."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from provisioning.variables import Group


def groups_above(groups: Mapping[str, Group]) -> dict[str, frozenset[str]]:
    """Each group's name with its own and those of all groups above it; depths are set on the way.

    Raises graphlib's CycleError, whose second argument is the cycle, where a group is below itself.
    """
    parents: dict[str, list[str]] = {name: [] for name in groups}
    for name, group in groups.items():
        for child in group.children:
            if child in groups:
                parents[child].append(name)
    above: dict[str, frozenset[str]] = {}
    for name in TopologicalSorter(parents).static_order():
        above[name] = frozenset((name,)).union(*(above[parent] for parent in parents[name]))
        groups[name].depth = max((groups[parent].depth + 1 for parent in parents[name]), default=0)
    return above


def cycle_of(error: CycleError) -> list[str]:
    """The names of a cycle from parent to child; the first is the last, too."""
    found: list[str] = error.args[1]
    return found

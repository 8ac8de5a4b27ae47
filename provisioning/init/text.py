"""The text of an inventory, from its hosts and what was chosen for them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.figures import printable
from provisioning.init.found import Found
from provisioning.init.settings_text import flow, settings

HEAD = """\
# yaml-language-server: $schema=./inventory.schema.json
# For completion in editors: invoke schema --output inventory.schema.json
#
# Written by `invoke init`. The layout is that of Ansible's YAML inventory: a host's variable replaces its group's, and
# a group's that of the group above, always as a whole. What is commented out shows its default: uncomment to change it.
# In paths on the hosts, ~ is the home of the account that serves.
"""


@dataclass(frozen=True)
class Kind:
    """Hosts that are told the same: a group's name, its hosts, and their settings."""

    name: str
    hosts: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Draft:
    """All that goes into an inventory."""

    found: Found
    common: Mapping[str, Any] = field(default_factory=dict)
    """Settings of all hosts."""
    kinds: tuple[Kind, ...] = ()
    """None, one (its settings are those of all hosts), or several (each a group)."""
    remarks: Mapping[str, str] = field(default_factory=dict)
    """What is said of a host, beside its name."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with a host, above its name."""


def inventory(draft: Draft) -> str:
    """The text."""
    single = draft.kinds[0].settings if len(draft.kinds) == 1 else {}
    kinds = draft.kinds if len(draft.kinds) > 1 else ()
    chosen = {**draft.common, **single}
    of_kinds = {name: None for kind in kinds for name in kind.settings}
    lines = [
        *(f"# {_line(note)}" for note in draft.found.notes),
        "all:",
        "  hosts:",
        *_hosts(draft),
        *_children(draft.found.groups, kinds),
        "",
        "  vars:",
        *(f"    {flow(name)}: {flow(value)}" for name, value in draft.found.variables.items()),
        *([""] if draft.found.variables else []),
        *settings(chosen, 4, without=of_kinds, rest=True),
    ]
    return HEAD + "\n" + "\n".join(lines) + "\n"


def _hosts(draft: Draft) -> Iterator[str]:
    for name, variables in draft.found.hosts.items():
        if warning := draft.warnings.get(name):
            yield f"    # {_line(warning)}"
        remark = f"  # {_line(draft.remarks[name])}" if name in draft.remarks else ""
        yield f"    {flow(name)}:{remark}"
        yield from (f"      {flow(key)}: {flow(value)}" for key, value in variables.items())


def _children(groups: Mapping[str, Mapping[str, Any]], kinds: tuple[Kind, ...]) -> Iterator[str]:
    if not groups and not kinds:
        return
    yield "\n  children:"
    for name, group in groups.items():
        yield f"    {flow(name)}:"
        for part, entries in group.items():
            yield f"      {part}:"
            for key, value in entries.items():
                yield f"        {flow(key)}:" if value is None else f"        {flow(key)}: {flow(value)}"
    for kind in kinds:
        yield f"    {flow(kind.name)}:"
        yield "      hosts:"
        yield from (f"        {flow(host)}:" for host in kind.hosts)
        yield "      vars:"
        yield from settings(kind.settings, 8, without={}, rest=False)


def _line(text: str) -> str:
    """Somebody's words as the rest of a comment."""
    return printable(" ".join(text.split()))

"""The groups of an Ansible inventory: who belongs where, and whose variables win."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError
from typing import Any

from provisioning.group_order import cycle_of, groups_above
from provisioning.host_ranges import MAX_HOSTS, expand
from provisioning.spelling import nearest
from provisioning.variables import Group, Host, Variable, VariableFiles, Variables
from provisioning.yaml_document import Document, KeyPath

MAX_GROUPS = 2_000
MAX_ENTRIES = 1_000_000  # one line can give ten thousand hosts a thousand variables
GROUP_KEYS = ("hosts", "children", "vars")


class Tree:
    """All groups and hosts of one inventory. What is wrong with its shape is in `problems`."""

    def __init__(self, document: Document, files: VariableFiles) -> None:
        """Take the groups from `document`, and further variables from `files`, asked for each group and host."""
        self.groups: dict[str, Group] = {"all": Group("all"), "ungrouped": Group("ungrouped")}
        self.hosts: dict[str, Host] = {}
        self.problems: list[str] = []
        self._document = document
        self._entries = 0
        self._groups_of: dict[str, frozenset[str]] = {}
        for name, content in document.data.items():
            self._add_group(name, content, (str(name),))
        self._place_under_all()
        for group in self.groups.values():
            group.in_files = files("group_vars", group.name)
        for host_name, host in self.hosts.items():
            host.in_files = files("host_vars", host_name)

    def members(self, group: str) -> tuple[str, ...]:
        """The hosts of a group and of all groups below it, in the order of the file."""
        return tuple(host for host, groups in self._groups_of.items() if group in groups)

    def variables(self, host: str | None) -> Variables:
        """A host's variables; without a host, those of `all`. A later layer replaces a variable as a whole.

        As in Ansible, group_vars/ wins over all groups of the inventory itself, even group_vars/all over a child's.
        """
        names = self._groups_of.get(host or "", frozenset()) - {"all"}
        above = sorted((self.groups[name] for name in names), key=_precedence)
        every = self.groups["all"]
        found = Host() if host is None else self.hosts[host]
        in_file = [every.variables, *(group.variables for group in above)]
        beside = [every.in_files, *(group.in_files for group in above)]
        layers = [*in_file, *beside, found.variables, found.in_files]
        return {name: variable for layer in layers for name, variable in layer.items()}

    def every_variable(self) -> Iterator[tuple[str, Variable]]:
        """Each variable once for each place where it is written, also where another one wins over it."""
        seen: set[tuple[str, KeyPath]] = set()
        owners: list[Group | Host] = [*self.groups.values(), *self.hosts.values()]
        for owner in owners:
            for name, variable in (*owner.variables.items(), *owner.in_files.items()):
                place = (variable.document.label, variable.path)
                if place not in seen:
                    seen.add(place)
                    yield name, variable

    def _add_group(self, name: Any, content: Any, path: KeyPath) -> None:
        if not isinstance(name, str) or not name:
            return self._report(path, "the name of a group should be text; write it in quotes")
        if name not in self.groups and len(self.groups) >= MAX_GROUPS:
            return self._report((), f"there are more than {MAX_GROUPS} groups")
        group = self.groups.setdefault(name, Group(name, path=path))
        if content is None:
            return None
        if not isinstance(content, dict):
            return self._report(path, f"should be a group: a mapping with {', '.join(GROUP_KEYS)}")
        for key, section in content.items():
            if key not in GROUP_KEYS:
                close = nearest(str(key), GROUP_KEYS)
                hint = f'did you mean "{close}"?' if close else "a group has hosts, children and vars"
                self._report((*path, str(key)), f"unknown key of a group; {hint}")
                continue
            entries = {section: None} if isinstance(section, str) else section
            if entries is None:
                continue
            if not isinstance(entries, dict):
                self._report((*path, key), f"should be a mapping, such as {key}: {{NAME: …}}, without dashes")
                continue
            self._add_section(group, key, entries, (*path, key))
        return None

    def _add_section(self, group: Group, key: str, entries: dict[Any, Any], path: KeyPath) -> None:
        for name, value in entries.items():
            below = (*path, str(name))
            if key == "vars":
                self._set(group.variables, name, value, below, group)
            elif key == "hosts":
                self._add_hosts(group, name, value, below)
            else:
                group.children[str(name)] = None
                self._add_group(name, value, below)

    def _add_hosts(self, group: Group, pattern: Any, variables: Any, path: KeyPath) -> None:
        if not isinstance(pattern, str) or not pattern or not pattern.isprintable():
            return self._report(path, "the name of a host should be text; write it in quotes")
        if not isinstance(variables, (dict, type(None))):
            return self._report(path, "should be a mapping of the host's variables, or nothing")
        try:
            names, port = expand(pattern) if self._entries <= MAX_ENTRIES else ([], None)
        except ValueError as error:
            return self._report(path, str(error))
        self._entries += len(names) * (1 + len(variables or {}))
        new = sum(name not in self.hosts for name in names)
        if len(self.hosts) + new > MAX_HOSTS or self._entries > MAX_ENTRIES:
            bounds = f"{MAX_HOSTS} hosts, or {MAX_ENTRIES} entries of hosts, each counted with its variables"
            return self._report((), f"there are more than {bounds}")
        own = {"ansible_port": Variable(port, self._document, path)} if port is not None else {}
        for name in names:
            self.hosts.setdefault(name, Host(dict(own)))
            group.hosts[name] = None
            # Ansible's own rule where a host and a group share a name: the group takes the variables.
            target = self.groups[name].variables if name in self.groups else self.hosts[name].variables
            for key, value in (variables or {}).items():
                self._set(target, key, value, (*path, str(key)), self.groups.get(name))
        return None

    def _set(self, target: Variables, name: Any, value: Any, path: KeyPath, group: Group | None = None) -> None:
        if group and name == "ansible_group_priority":
            if isinstance(value, int) or (isinstance(value, str) and re.fullmatch("-?[0-9]{1,9}", value)):
                group.priority = int(value)
            else:
                self._report(path, "should be an integer")
        else:
            target[str(name)] = Variable(value, self._document, path)

    def _place_under_all(self) -> None:
        """Every group hangs below `all`, every host in some group, and no group below itself."""
        below = {child for group in self.groups.values() for child in group.children}
        for name in self.groups:
            if name != "all" and name not in below:
                self.groups["all"].children[name] = None
        others = [group for name, group in self.groups.items() if name not in ("all", "ungrouped")]
        grouped = {host for group in others for host in group.hosts}
        self.groups["ungrouped"].hosts = {host: None for host in self.hosts if host not in grouped}
        try:
            above = groups_above(self.groups)
        except CycleError as error:
            cycle = cycle_of(error)
            self._report(self.groups[cycle[0]].path, f"the group is below itself: {' → '.join(cycle)}")
        else:
            self._groups_of = _groups_of_hosts(self.hosts, self.groups, above)

    def _report(self, path: KeyPath, words: str) -> None:
        self.problems.append(self._document.describe(path, words))


def _precedence(group: Group) -> tuple[int, int, str]:
    return group.depth, group.priority, group.name


def _groups_of_hosts(
    hosts: Iterable[str], groups: Mapping[str, Group], above: Mapping[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    """Each host's groups, and those above them; hosts of the same groups share one set."""
    direct: dict[str, list[str]] = {host: [] for host in hosts}
    for name, group in groups.items():
        for host in group.hosts:
            direct[host].append(name)
    union = functools.cache(lambda names: frozenset().union(*(above[name] for name in names)))
    return {host: union(tuple(names)) for host, names in direct.items()}

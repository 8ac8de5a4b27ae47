"""From an inventory file, laid out as Ansible's YAML inventory, to hosts with their settings."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from provisioning.errors import ConfigurationError
from provisioning.host_patterns import matching, split
from provisioning.inventory_file import label_of, read_inventory
from provisioning.inventory_tree import Tree
from provisioning.offline import Offline
from provisioning.overriding import merge, reach
from provisioning.settings import HostSettings
from provisioning.spelling import is_foreign, misspelt, renaming
from provisioning.ssh_settings import SshSettings, SshVariables
from provisioning.validation import check, conflicts
from provisioning.variable_files import VariableFilesBeside
from provisioning.variables import Variable, Variables
from provisioning.yaml_document import Document, KeyPath

LOCALHOST = ("localhost", "127.0.0.1", "::1")
MAX_LINES = 200
COMMAND_LINE = "command line"
REMEDY = "Correct this and run it again; nothing was changed on any host."


@dataclass(frozen=True)
class HostEntry:
    """A host of the inventory: its settings, how it is reached, and all its variables."""

    name: str
    settings: HostSettings
    ssh: SshSettings
    variables: dict[str, Any] = field(repr=False)
    problems: tuple[str, ...] = ()
    describe: Callable[[KeyPath, str], str] = field(default=Document("settings").describe, repr=False, compare=False)
    """Gives a problem of the setting at a path as one line, with where that is written."""
    verification: str = ""
    """Identifies a run in which models are hashed again; "" for none."""
    offline: Offline | None = field(default=None, compare=False)
    """The bundle that it is provisioned from in this run, if from one."""


@dataclass(frozen=True)
class Inventory:
    """Hosts by name, and the hosts of each group, in the order of the file."""

    hosts: dict[str, HostEntry]
    groups: dict[str, tuple[str, ...]]
    implicit_localhost: HostEntry

    def select(self, pattern: str | None = None) -> list[HostEntry]:
        """The hosts that a pattern such as `web,gpu*,!web3` means; all of them without one.

        A `localhost` that the inventory does not list is this machine, with the variables of `all`. Raises
        ConfigurationError for an unknown name, where no host is left, and for a host that cannot be reached as it is
        written (such as a template in `ansible_host`): foreign hosts that are not selected do no harm.
        """
        hosts = dict(self.hosts)
        if pattern is not None:
            unlisted = [name for name in LOCALHOST if name in split(pattern) and name not in hosts]
            hosts |= {name: replace(self.implicit_localhost, name=name) for name in unlisted}
            chosen = [hosts[name] for name in matching(pattern, hosts, self.groups)]
        else:
            chosen = list(hosts.values())
        refuse([line for entry in chosen for line in entry.problems], "the inventory")
        return chosen


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Inventory:
    """Read an inventory, with group_vars/ and host_vars/ beside it. `overrides` are settings put above every host's.

    Groups, ranges and precedence are those of Ansible's YAML inventory; templates are not evaluated. A listed
    `localhost` is reached over SSH unless `ansible_connection` is local, as in Ansible; one that is not listed is
    local. Raises one ConfigurationError with every problem of the file, each with its line and key.
    """
    label = label_of(path)
    document = read_inventory(path, label)
    files = VariableFilesBeside(path.parent, label.removesuffix(path.name))
    tree = Tree(document, files)
    problems = [*document.problems, *tree.problems, *files.problems]
    wrong = [(name, each.value, lines) for name, each in tree.every_variable() if (lines := _problems_of(name, each))]
    problems += [line for _, _, lines in wrong for line in lines]
    reader = _Reader(tree, Document(COMMAND_LINE, dict(overrides or {})))
    entries = {name: reader.entry(name, tree.variables(name)) for name in tree.hosts}
    implicit = reader.entry("localhost", {**tree.variables(None), "ansible_connection": _LOCAL})
    if not tree.hosts and not problems:
        problems.append(document.describe((), "lists no host; write one under all/hosts"))
    problems += reader.problems()
    if problems:
        problems += [line for entry in entries.values() for line in entry.problems]
    others = [name for name, value, _ in wrong if name in HostSettings.model_fields and is_foreign(name, value)]
    refuse(problems, label, f"{REMEDY}\n{renaming(others)}")
    return Inventory(entries, {name: tree.members(name) for name in tree.groups}, implicit)


_LOCAL = Variable("local", Document("implicit localhost"), ("ansible_connection",))


_Judged = tuple[HostSettings, list[str], list[str]]
"""Settings, what is wrong with them one by one, and where they contradict each other."""


class _Reader:
    """Makes hosts out of variables, and gathers what is wrong with them."""

    def __init__(self, tree: Tree, overrides: Document) -> None:
        self.hosts = len(tree.hosts)
        self.overrides = overrides
        self.lines: list[str] = []
        self.conflicts: dict[str, list[str]] = {}
        self._judged: dict[tuple[int, ...], _Judged] = {}

    def entry(self, name: str, variables: Variables) -> HostEntry:
        ssh = SshVariables(name, variables)
        reached, values = ssh.read(), {key: variable.value for key, variable in variables.items()}
        ours = {key: variables[key].value for key in HostSettings.model_fields if key in variables}
        settings, found, clashes = self._shared_settings(ours, variables)
        self.lines += found
        for line in clashes:
            self.conflicts.setdefault(line, []).append(name)
        later: list[str] = []
        if self.overrides.data:
            settings, more, others = self._settings(merge(ours, self.overrides.data), variables)
            later = [line for line in (*more, *others) if line not in (*found, *clashes)]
        return HostEntry(
            name,
            settings,
            reached,
            values,
            (*ssh.problems, *later),
            lambda path, words: Document.describe(*self._place(variables, path), words),
        )

    def _shared_settings(self, ours: dict[str, Any], variables: Variables) -> _Judged:
        """Hosts of a group have one and the same settings: they are judged once."""
        same = tuple(id(variables[key]) for key in ours)
        if same not in self._judged:
            self._judged[same] = self._settings(ours, variables)
        return self._judged[same]

    def problems(self) -> list[str]:
        """One line for each problem; a contradiction names its hosts, unless it is every host's."""
        lines = list(self.lines)
        for line, hosts in self.conflicts.items():
            more = f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""
            lines.append(line if len(hosts) >= self.hosts else f"{line} (on {hosts[0]}{more})")
        return lines

    def _settings(self, values: dict[str, Any], variables: Variables) -> _Judged:
        """The settings, what is wrong with them one by one, and where they contradict each other."""
        try:
            return HostSettings.model_validate(values), [], []
        except ValidationError:
            place = functools.partial(self._place, variables)
            wrong = check(values, lambda path: place(path)[0].texts.get(place(path)[1]))
            lines = [
                [Document.describe(*place(path), words) for path, words in found]
                for found in (wrong, conflicts(values))
            ]
            return HostSettings(), lines[0], lines[1]

    def _place(self, variables: Variables, path: KeyPath) -> tuple[Document, KeyPath]:
        """The document that a value came from (for one that is missing: its neighbours), and its path there."""
        variable = variables.get("".join(path[:1]))
        known = reach(self.overrides.data, path)
        if variable is None or known == len(path) or known > 1 + reach(variable.value, path[1:]):
            return self.overrides, path
        return variable.document, (*variable.path, *path[1:])


def _problems_of(name: str, variable: Variable) -> list[str]:
    """What is wrong with one variable by itself, wherever it is written."""
    if name not in HostSettings.model_fields:
        meant = misspelt(name, variable.value)
        return [variable.describe(f'unknown setting; did you mean "{meant}"?')] if meant else []
    texts, above = variable.document.texts, variable.path
    found = check({name: variable.value}, lambda path: texts.get((*above, *path[1:])))
    return [variable.describe(words, path[1:]) for path, words in found]


def refuse(problems: list[str], label: str, remedy: str = REMEDY) -> None:
    """Raise one error with all the problems, in the order of the file."""
    if lines := sorted(set(problems), key=_place_in_file):
        count = "an error" if len(lines) == 1 else f"{len(lines)} errors"
        if all(line.startswith(f"{COMMAND_LINE}/") for line in lines):
            label = f"the {COMMAND_LINE}"
        more = [f"… and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
        raise ConfigurationError(f"{label} has {count}", cause="\n".join(lines[:MAX_LINES] + more), remedy=remedy)


def _place_in_file(line: str) -> tuple[str, int, str]:
    match = re.match(r"(.+?):(\d+): ", line)
    return (match[1], int(match[2]), line) if match else ("", 0, line)

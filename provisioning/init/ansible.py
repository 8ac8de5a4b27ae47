"""Hosts of somebody's Ansible inventory, YAML or INI: names, groups, and the way to each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from provisioning.errors import ConfigurationError
from provisioning.init import ansible_ini
from provisioning.init.found import Found
from provisioning.inventory import refuse
from provisioning.inventory_file import label_of, read_inventory
from provisioning.inventory_tree import Tree
from provisioning.ssh_settings import CONNECTION, PASSWORDS, SshVariables
from provisioning.validation import unreadable_values
from provisioning.variable_files import VariableFilesBeside
from provisioning.variables import Variable, Variables
from provisioning.yaml_document import Document
from provisioning.yaml_source import parse

LISTED = "ansible-inventory -i {} --list --yaml --output hosts.yaml"
SUFFIXES = (".yml", ".yaml", ".json")
PRIORITY = "ansible_group_priority"


def from_ansible(path: Path) -> Found:
    """Take hosts, groups and connection variables, those of group_vars/ and host_vars/ included.

    Passwords and all other variables are left out, as are hosts that cannot be reached as they are written; the notes
    say so. Raises ConfigurationError for what is no inventory, with the command that makes one of it.
    """
    label = label_of(path)
    document = _read(path, label)
    files = VariableFilesBeside(path.parent, label.removesuffix(path.name))
    tree = Tree(document, files)
    refuse([*document.problems, *tree.problems, *files.problems], label, remedy="")
    return _Taken(tree, label).found()


def _read(path: Path, label: str) -> Document:
    """Read it as what it is; INI is what is no mapping in YAML."""
    if path.is_dir():
        raise ConfigurationError(f"{label} is a folder", remedy=f"Make one file of it: {LISTED.format(label)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{label} cannot be read", cause=error.strerror or str(error)) from error
    if content.startswith(b"#!"):
        raise ConfigurationError(
            f"{label} is a program, and none is run here", remedy=f"Write down what it says: {LISTED.format(label)}"
        )
    if path.suffix in SUFFIXES or _is_mapping(content):
        document = read_inventory(path, label)
        if "_meta" in document.data:
            raise ConfigurationError(f"{label} was listed without --yaml", remedy=LISTED.format("INVENTORY"))
        return document
    try:
        return ansible_ini.parse(content.decode("utf-8-sig"), label)
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{label} is not UTF-8 text") from error


def _is_mapping(content: bytes) -> bool:
    try:
        return isinstance(parse(content.decode("utf-8-sig"), "").data, dict)
    except (ConfigurationError, UnicodeDecodeError):
        return False


class _Taken:
    """What is taken of an inventory's groups and hosts."""

    def __init__(self, tree: Tree, label: str) -> None:
        self.tree, self.label = tree, label
        self.left: dict[str, None] = {}
        """Variables that are left out."""
        self.notes: list[str] = []

    def found(self) -> Found:
        """All of it. What a group's variables do not give a host as Ansible would, the host gets itself."""
        ways = {name: self._way(name) for name in self.tree.hosts}
        hosts = [name for name, way in ways.items() if way is not None]
        groups = dict(self._groups(hosts))
        variables = self._ours({**self.tree.groups["all"].variables, **self.tree.groups["all"].in_files})
        everything = {"hosts": dict.fromkeys(hosts), "children": groups, "vars": variables}
        inherited = Tree(Document(self.label, {"all": everything}), lambda kind, name: {})
        own = {name: _beyond(ways[name] or {}, inherited.variables(name)) for name in hosts}
        if not hosts:
            raise ConfigurationError(f"{self.label} has no host to take", cause="\n".join(self.notes))
        return Found(own, groups, variables, (*self.notes, *self._left()))

    def _way(self, host: str) -> dict[str, Any] | None:
        """A host's connection variables; None, and a note, where it cannot be reached as it is written."""
        variables = self.tree.variables(host)
        public = {name: each for name, each in variables.items() if name not in PASSWORDS}
        ssh = SshVariables(host, public)
        ssh.read()
        if ssh.problems:
            self.notes += [f"{host} is left out: {problem}" for problem in ssh.problems]
            return None
        return self._ours(variables)

    def _ours(self, variables: Variables) -> dict[str, Any]:
        self.left |= dict.fromkeys(name for name in variables if name not in CONNECTION)
        return {
            name: _value(each)
            for name, each in variables.items()
            if name in CONNECTION and each.value is not None and not any(unreadable_values(each.value))
        }

    def _groups(self, hosts: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, group in self.tree.groups.items():
            if name in ("all", "ungrouped"):
                continue
            variables = self._ours({**group.variables, **group.in_files})
            if group.priority != 1:
                variables[PRIORITY] = group.priority
            parts = {
                "hosts": {host: None for host in group.hosts if host in hosts},
                "children": dict.fromkeys(group.children),
                "vars": variables,
            }
            yield name, {kind: part for kind, part in parts.items() if part}

    def _left(self) -> Iterator[str]:
        """What to say of variables that were left out."""
        if passwords := [name for name in self.left if name in PASSWORDS]:
            yield (
                f"passwords are not copied ({', '.join(passwords)}): sudo's is asked for, or read from "
                "become_password_file; SSH takes keys"
            )
        if others := [name for name in self.left if name not in PASSWORDS]:
            more = f" and {len(others) - 12} more" if len(others) > 12 else ""
            yield f"variables that are not about the connection are left out: {', '.join(others[:12])}{more}"


def _value(variable: Variable) -> Any:
    """The value, but a number as it is written: YAML takes 0123 for 83."""
    text = variable.document.texts.get(variable.path)
    plain = text is None or isinstance(variable.value, (str, bool)) or text == str(variable.value)
    return variable.value if plain else text


def _beyond(wanted: Mapping[str, Any], inherited: Variables) -> dict[str, Any]:
    """What a host has to say itself."""
    return {name: value for name, value in wanted.items() if name not in inherited or inherited[name].value != value}

"""The inventory file: found, read, and of the right kind."""

from __future__ import annotations

import os
from pathlib import Path

from provisioning.errors import ConfigurationError
from provisioning.local_path import local_path
from provisioning.yaml_document import Document
from provisioning.yaml_source import read

PROJECT = Path(__file__).resolve().parent.parent
INVENTORY, LOCAL = "inventory.yaml", "inventory.local.yaml"
PLACES = tuple(folder / name for folder in (Path(), PROJECT) for name in (LOCAL, INVENTORY))
"""Where the inventory is looked for, the first first. The local one leaves the one that the project ships as it is."""
NONE = "Write one with `invoke init`, or name one with --inventory FILE."
_IF_INI = "If this is an INI inventory: invoke init --from-ansible {}"


def inventory_file(path: str) -> Path:
    """The inventory that is meant: that of this folder, or else of the project, where none is named."""
    return local_path(path) if path else next(filter(Path.exists, PLACES), Path(INVENTORY))


def read_inventory(path: Path, label: str) -> Document:
    """Read an inventory as YAML. Raises ConfigurationError where there is none, or something else."""
    try:
        path.stat()
    except FileNotFoundError as error:
        raise ConfigurationError(f"there is no inventory {label}", remedy=NONE) from error
    except OSError as error:
        raise ConfigurationError(f"{label} cannot be read", cause=error.strerror or str(error)) from error
    if path.is_dir():
        raise ConfigurationError(f"{label} is a folder", remedy="Name one YAML file with --inventory FILE.")
    try:
        document = read(path, label)
    except ConfigurationError as error:
        error.remedy = error.remedy or _IF_INI.format(label)
        raise
    if not document.data and isinstance(document.data, (dict, type(None))):
        raise ConfigurationError(f"{label} is empty", remedy="Write the hosts under all/hosts.")
    if not isinstance(document.data, dict):
        cause = document.describe((), "should be a mapping of groups that begins with all:")
        raise ConfigurationError(f"{label} is no inventory", cause=cause, remedy=_IF_INI.format(label))
    if "plugin" in document.data:
        cause = document.describe(("plugin",), "configures a plugin of Ansible, which is not run here")
        raise ConfigurationError(f"{label} is no inventory", cause=cause, remedy="ansible-inventory --list --yaml")
    return document


def label_of(path: Path) -> str:
    """How messages name a file: from the working directory where it lies below it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative

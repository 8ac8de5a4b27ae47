"""The files under group_vars/ and host_vars/ beside an inventory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from provisioning.variables import Variable, Variables
from provisioning.yaml_source import read

SUFFIXES = ("", ".yml", ".yaml", ".json")


class VariableFilesBeside:
    """Reads the variables of a group or a host; what is wrong with the files gathers in `problems`.

    A file that is encrypted as a whole with Ansible Vault is left unread.
    """

    def __init__(self, folder: Path, label: str) -> None:
        """`folder` holds the inventory; `label` precedes the names of the files in messages."""
        self.folder = folder
        self.label = label
        self.problems: list[str] = []

    def __call__(self, kind: str, name: str) -> Variables:
        """The variables that `kind` (group_vars or host_vars) has for a name; later files win."""
        found: Variables = {}
        try:
            if self._may_be_a_file(name) and (self.folder / kind).is_dir():
                for path in self._files(self.folder / kind, name):
                    found.update(self._read(path))
        except OSError as error:
            self.problems.append(f"{self.label}{kind}/{name}: cannot be read: {error.strerror}")
        return found

    @staticmethod
    def _may_be_a_file(name: str) -> bool:
        """Whether files can have this name (and a suffix), and lie in the folder."""
        return name not in (".", "..") and not {"/", "\0"} & set(name) and len(os.fsencode(name)) <= 250

    def _files(self, folder: Path, name: str) -> Iterator[Path]:
        for suffix in SUFFIXES:
            path = folder / f"{name}{suffix}"
            if path.is_dir():
                yield from self._files_below(path)
            if path.exists():
                if path.is_file():
                    yield path
                return

    def _files_below(self, folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
        if (real := folder.resolve()) in above:  # by a link, which may lead in a circle
            return
        for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if path.name.startswith(".") or path.name.endswith("~"):
                continue
            if path.is_dir() and not path.suffix:
                yield from self._files_below(path, (*above, real))
            elif path.is_file() and path.suffix in SUFFIXES:
                yield path

    def _read(self, path: Path) -> Variables:
        label = f"{self.label}{path.relative_to(self.folder)}"
        with path.open("rb") as stream:
            if stream.read(14) == b"$ANSIBLE_VAULT":
                return {}
        document = read(path, label)
        self.problems += document.problems
        if document.data is None:
            return {}
        if not isinstance(document.data, dict):
            self.problems.append(document.describe((), "should be a mapping of variables"))
            return {}
        return {str(name): Variable(value, document, (str(name),)) for name, value in document.data.items()}

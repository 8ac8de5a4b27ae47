"""Where an inventory is written: beside its name first, and then put there, unless something has that name."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from provisioning.errors import ConfigurationError, Interrupted
from provisioning.inventory_file import INVENTORY, LOCAL, PROJECT, label_of
from provisioning.local_path import local_path


def choose(output: str) -> Path:
    """The file that is to be written: as told, else inventory.yaml here, or beside the project's own the local one.

    Raises ConfigurationError where it is there already, and where it cannot be written.
    """
    if output:
        path = local_path(output)
    else:
        path = Path(LOCAL if Path.cwd() == PROJECT and (PROJECT / INVENTORY).exists() else INVENTORY)
    if os.path.lexists(path):
        raise taken(path)
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        why = "is not yours to write to" if path.parent.is_dir() else "is no folder"
        raise ConfigurationError(f"{label_of(path)} cannot be written", cause=f"{path.parent} {why}")
    return path


def taken(path: Path) -> ConfigurationError:
    """What to do where there is one."""
    return ConfigurationError(
        f"{label_of(path)} is there already, and is never overwritten",
        remedy="Write another one (invoke init --output other.yaml) and name it in other tasks (--inventory "
        f"other.yaml); or move {label_of(path)} away.",
    )


class Draft:
    """A text beside the file that it becomes."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f".{target.name}.{secrets.token_hex(4)}")

    def write(self, text: str) -> None:
        """Replace the draft's text. Raises ConfigurationError where there is no room for it."""
        try:
            self.path.write_text(text, "utf-8")
        except OSError as error:
            raise self.unwritten(error) from error

    def unwritten(self, error: OSError) -> ConfigurationError:
        """Say that it cannot be written, and why."""
        return ConfigurationError(f"{label_of(self.target)} cannot be written", cause=error.strerror or str(error))

    def put(self) -> None:
        """Give it its name. Raises ConfigurationError where something has come to have that name meanwhile."""
        try:
            os.link(self.path, self.target)
        except FileExistsError as error:
            raise taken(self.target) from error
        except OSError:
            self._copy()  # a file system without hard links

    def _copy(self) -> None:
        try:
            with self.target.open("x", encoding="utf-8") as file:
                file.write(self.path.read_text("utf-8"))
        except FileExistsError as error:
            raise taken(self.target) from error


@contextmanager
def draft(target: Path) -> Iterator[Draft]:
    """Give a draft; whatever happens, nothing of it is left but the file that it became.

    Raises ConfigurationError where its folder cannot be written to.
    """
    made = Draft(target)
    try:
        yield made
    except OSError as error:
        if error.filename not in (str(made.path), str(target)):
            raise
        raise made.unwritten(error) from error
    except KeyboardInterrupt:
        raise Interrupted("Nothing was written.") from None
    finally:
        with suppress(OSError):
            made.path.unlink()

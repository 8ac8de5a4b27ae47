"""A model's folder, where it is, and who may read and write there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from provisioning.accounts import as_account
from provisioning.errors import CommandError, UnreachableError
from provisioning.host import Host, Result, quote
from provisioning.resources.base import Tell
from provisioning.resources.packages import Packages
from provisioning.templates.download_records import OURS


class SourceLostError(CommandError):
    """The host that has the model is gone, or has it no more: another may do."""


@contextmanager
def asking_the_source() -> Iterator[None]:
    """Let a source that is away raise `SourceLostError`: it is not the host that is being worked on."""
    try:
        yield
    except UnreachableError as error:
        raise SourceLostError(error.message, cause=error.cause) from error


@dataclass(frozen=True)
class Place:
    """A model's folder on a host. Without an account it belongs to the user who runs this program, who is not root."""

    host: Host
    path: str
    account: str
    home: str

    @property
    def as_root(self) -> bool:
        """Whether root can be become there."""
        return bool(self.account)

    def run(self, command: str, *, check: bool = True) -> Result:
        """Run a command as the account that serves; see `Host.run`. It shows in no process list."""
        script = as_account(self.account, self.home, command) if self.account else command
        return self.host.run(script, as_root=self.as_root, check=check)

    def manifest(self) -> str:
        """The record of the model, as it is. Raises `SourceLostError` where there is none."""
        try:
            return self.run(f"cat -- {quote(self.path)}/{OURS}/manifest.json").stdout
        except CommandError as error:
            raise SourceLostError(f"{self.host.name} has not the model in {self.path}", cause=str(error)) from error

    def has_rsync(self, tell: Tell) -> bool:
        """Whether rsync is there; it is installed where it can be."""
        look = "command -v rsync >/dev/null 2>&1 && echo present; :"
        if self.host.run(look, as_root=False).stdout:
            return True
        if not self.as_root:
            return False
        try:
            packages = Packages(("rsync", "openssh-client"))
            packages.apply(self.host, self.host.run(packages.probe()).stdout, tell)
        except CommandError as error:
            tell(f"rsync cannot be installed on {self.host.name}: {(error.cause or error.message).splitlines()[-1]}")
            return False
        return True

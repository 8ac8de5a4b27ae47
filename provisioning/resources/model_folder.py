"""Weights that somebody else put on the host."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.accounts import looking_as
from provisioning.errors import ProvisioningError
from provisioning.host import Host, quote
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.templates import text


@dataclass(frozen=True)
class ModelFolder(Resource):
    """A folder with a model's config.json and whole weights, readable by the account that serves. Never changed."""

    model: str
    path: str
    account: str
    group: str

    @property
    def name(self) -> str:
        """`model NAME`."""
        return f"model {self.model}"

    def probe(self) -> str:
        """Print what is missing, as the account that will read it."""
        look = f"set -- {quote(self.path)} {quote(self.account)}\n{text('model_folder.sh')}"
        return looking_as(self.account, self.group, look)

    def diff(self, actual: str) -> Difference | None:
        """Say what is missing."""
        return None if actual.strip() == "complete" else Difference(f"{self.path}: {actual.strip()}")

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Say what a person has to do: raises `ProvisioningError`."""
        raise ProvisioningError(
            f"{host.name}: the model {self.model} cannot be served from {self.path}",
            cause=actual.strip(),
            remedy=f"Put config.json, the tokenizer and the weights there, readable by the account {self.account}.",
        )

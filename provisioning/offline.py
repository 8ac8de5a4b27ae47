"""Where a host has the bundle that it is provisioned from, and how everything there is told to take from it alone.

All of it holds for one run: no setting of the inventory, and no configuration of the host, names the bundle, so that
later runs with network find what they would have made themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.bundle import Bundle
from provisioning.host import quote
from provisioning.places import STATE

OFFLINE = f"{STATE}/offline"
"""What is there for runs from a bundle: root's."""
APT_CONF = f"{OFFLINE}/apt.conf"
NOWHERE = {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_PYTHON_DOWNLOADS": "never", "APT_CONFIG": APT_CONF}
"""pip, uv and apt-get ask nobody: https://docs.astral.sh/uv/reference/environment/, apt.conf(5)."""


@dataclass(frozen=True)
class Offline:
    """A bundle, and where a host has it."""

    bundle: Bundle
    folder: str
    in_place: bool
    """Whether it lies there already, on the machine that this program runs on."""

    def exports(self) -> str:
        """Shell that sets the environment of everything that runs on the host."""
        variables = {**NOWHERE, "PIP_FIND_LINKS": f"{self.folder}/wheels"}
        return "".join(f"export {name}={quote(value)}\n" for name, value in variables.items())

    def tools(self) -> list[tuple[str, str]]:
        """Environment variables of pip, where it installs our tools: they lie apart, for they are pinned apart."""
        return [("PIP_FIND_LINKS", f"{self.folder}/tools")]

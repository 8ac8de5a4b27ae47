"""API keys of services: readable by the account that serves, and by nobody else."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning import given_secrets
from provisioning.errors import ConfigurationError
from provisioning.host import Host, quote
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.serve_settings import ResolvedService

ABSENT = "absent"


def given_api_key(service: ResolvedService) -> str:
    """Read the key that the inventory names. Raises `ConfigurationError` where there is none."""
    try:
        return given_secrets.read(service.api_key)
    except ValueError as error:
        raise ConfigurationError(f"services/{service.name}/api_key: {error}") from error


@dataclass(frozen=True)
class GeneratedApiKey(Resource):
    """A random key, made once on the host, and kept."""

    path: str
    owner: str
    group: str

    @property
    def name(self) -> str:
        """`api key PATH`."""
        return f"api key {self.path}"

    def probe(self) -> str:
        """Print owner and mode, never the key."""
        path = quote(self.path)
        return f"if [ -s {path} ]; then stat -c '%a %U' {path}; else echo {ABSENT}; fi"

    def diff(self, actual: str) -> Difference | None:
        """See whether there is one that only its owner can read."""
        state = actual.strip()
        if state == f"600 {self.owner}":
            return None
        return Difference(f"generate {self.path}" if state == ABSENT else f"{self.path}: {state} → 600 {self.owner}")

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Make 32 random bytes into a key, if there is none."""
        path, new = quote(self.path), quote(self.path + ".vllm-provisioning-new")
        host.run(
            f"set -eu; umask 077; [ -s {path} ] || {{ "
            f"head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=' >{new}; mv -f {new} {path}; }}; "
            f"chown {quote(self.owner)}:{quote(self.group)} {path}; chmod 600 {path}"
        )

    def undo(self, actual: str) -> str:
        """Remove the key."""
        return f"rm -f {quote(self.path)}"

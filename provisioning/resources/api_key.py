"""API keys of services: readable by the account that serves, and by nobody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from provisioning.errors import ConfigurationError
from provisioning.host import Host, quote
from provisioning.prompts import read_secret_file
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.serve_settings import KeyFromFile, KeyFromVariable, ResolvedService
from provisioning.settings import HostSettings
from provisioning.yaml_document import KeyPath

ABSENT = "absent"


def given_api_key(service: ResolvedService) -> str:
    """Read the key that the inventory names. Raises `ConfigurationError` where there is none."""
    try:
        return _read(service.api_key)
    except ValueError as error:
        raise ConfigurationError(f"services/{service.name}/api_key: {error}") from error


def missing_keys(settings: HostSettings) -> Iterator[tuple[str, KeyPath, str]]:
    """Give each service whose given key cannot be had, where that is written, and why it cannot."""
    for name, service in settings.resolved_services().items():
        if service.api_key in ("none", "generate"):
            continue
        try:
            _read(service.api_key)
        except ValueError as error:
            its_own = "api_key" in settings.services[name].model_fields_set
            yield name, ("services", name, "api_key") if its_own else ("serve", "api_key"), str(error)


def _read(source: object) -> str:
    if isinstance(source, KeyFromVariable):
        if not (key := os.environ.get(source.env, "")):
            raise ValueError(f"the environment variable {source.env} is not set")
        return key
    assert isinstance(source, KeyFromFile)
    if not (key := read_secret_file(source.file).strip()):
        raise ValueError(f"{source.file} is empty")
    return key


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

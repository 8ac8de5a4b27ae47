"""Text made fit for strangers: no secret, and a placeholder for each name that tells whose hosts these are."""

from __future__ import annotations

import getpass
import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import unquote

from provisioning import given_secrets
from provisioning.echo import ENCODED
from provisioning.errors import ProvisioningError
from provisioning.fleet import known_sudo_password
from provisioning.inventory import LOCALHOST, HostEntry
from provisioning.masking import hide, masked
from provisioning.places import SYSTEM_ACCOUNT

SHORTEST = 3
"""Letters of a name from which on it is looked for in texts: a shorter one may be any word."""
COMMON = {"", "root", SYSTEM_ACCOUNT, "auto", "none", *LOCALHOST}
"""Names that tell nothing of anybody."""
PUBLIC = (
    *("tsinghua.edu.cn", "pypi.org", "pythonhosted.org", "github.com", "huggingface.co", "hf-mirror.com"),
    *(
        "modelscope.cn",
        "anaconda.com",
        "anaconda.org",
        "pytorch.org",
        "debian.org",
        "ubuntu.com",
        "vllm.ai",
        "localhost",
    ),
)
"""Servers that everybody knows, with all below them."""

# What looks like a secret, whoever wrote it into a log.
_TOKEN = re.compile(r"\b(hf_|sk-|ghp_|gho_|glpat-|github_pat_|AKIA|ms-)[A-Za-z0-9_-]{8,}")
_NAMED = re.compile(
    r"(?i)((?:bearer|basic)\s+|[\w-]*(?:token|secret|passw(?:or)?d|passphrase|api[_-]?key)[\w-]*[\"']?\s*[=:]\s*[\"']?)"
    r"(?!\*\*\*)[^\s\"',;]{4,}"
)
_SENSITIVE = re.compile(r"(?i)token|secret|passw|passphrase|api_?key|credential")
_LOGIN = re.compile(r"//([^/?#\s@:]*):?([^/?#\s]*)@")
_SERVER = re.compile(r"(?<=://)(?!\*\*\*)([A-Za-z0-9.-]+)|(?<=\*\*\*@)([A-Za-z0-9.-]+)")
_ADDRESS = re.compile(
    r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3})(?![\w.])|(?<![\w:])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])"
)
# Neither a placeholder of ours nor a unit, `vllm@NAME.service`.
_MAIL = re.compile(r"(?<![\w.+*-])(?!user\d+@|vllm@)[\w.+-]+@(?:server\d+|[\w-]+(?:\.[\w-]+)+)")


class Placeholders:
    """Gives each name the same placeholder wherever it stands."""

    def __init__(self, entries: Iterable[HostEntry]) -> None:
        """Hides all secrets of these hosts, in so far as this machine knows them."""
        self._known: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        for entry in entries:
            _hide_secrets(entry)
            self.name("host", entry.name)
            self.name("address", entry.ssh.address)
            for user in (entry.ssh.user, entry.settings.account):
                self.name("user", user or "")
        self.name("user", getpass.getuser())
        self.name("controller", socket.gethostname())
        for variable, value in os.environ.items():
            _hide_logins(value)
            if _SENSITIVE.search(variable):
                hide(value)

    def name(self, kind: str, name: str) -> str:
        """The placeholder of a name; itself where everybody has such a name."""
        if name in COMMON:
            return name
        if name not in self._known:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._known[name] = f"{kind}{self._counts[kind]}"
        return self._known[name]

    def clean(self, text: str) -> str:
        """The text without secrets, and with placeholders."""
        _hide_logins(text)
        text = ENCODED.sub("…", masked(text))
        text = _NAMED.sub(r"\1***", _TOKEN.sub("***", text))
        text = _SERVER.sub(lambda found: self._server(found[0]), text)
        names = sorted((name for name in self._known if len(name) >= SHORTEST), key=len, reverse=True)
        words = "|".join(map(re.escape, names)) or "(?!)"
        text = re.sub(rf"(?<![\w.-])(?:{words})(?![\w-])", lambda found: self._known[found[0]], text)
        text = _MAIL.sub("user@server", text)
        return _ADDRESS.sub(lambda found: self._address(found[0]), text)

    def _server(self, server: str) -> str:
        known = any(server == public or server.endswith(f".{public}") for public in PUBLIC)
        return server if known or _ADDRESS.fullmatch(server) else self.name("server", server)

    def _address(self, text: str) -> str:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return text  # a version, or a time
        return text if address.is_loopback or address.is_unspecified else self.name("address", text)


def _hide_secrets(entry: HostEntry) -> None:
    """Have everything masked that may be a secret of this host; what cannot be had here cannot be said either."""
    for password in (entry.ssh.password, entry.ssh.become_password):
        hide(password.get_secret_value() if password else "")
    with suppress(ProvisioningError):
        hide(known_sudo_password(entry) or "")
    settings = entry.settings
    services = settings.resolved_services().values()
    for source in (*(service.api_key for service in services), *(model.token for model in settings.models.values())):
        if not isinstance(source, str):
            with suppress(ValueError):
                given_secrets.read(source)
    for service in services:
        for value in service.environment.values():
            hide(value)
    _hide_logins(settings.model_dump_json())


def _hide_logins(text: str) -> None:
    """Have the logins of URLs masked also where they stand by themselves."""
    for user, password in _LOGIN.findall(text):
        for each in (user, password, f"{user}:{password}"):
            hide(each)
            hide(unquote(each))

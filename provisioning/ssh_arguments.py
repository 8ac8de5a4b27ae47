"""Arguments for ssh in an inventory (`ansible_ssh_common_args` and its like): what they say about the way to a host."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

WITH_VALUE = "BbcDEeFIiJLlmOoPpQRSWw"
"""Letters of ssh's options that take a value."""

INSTEAD = {
    "hostname": "use ansible_host",
    "port": "use ansible_port",
    "user": "use ansible_user",
    "identityfile": "use ansible_ssh_private_key_file",
    "-F": "put its lines into ~/.ssh/config",
    **dict.fromkeys(
        ("identityagent", "certificatefile", "pkcs11provider", "hostkeyalias", "bindaddress", "bindinterface"),
        "put it into ~/.ssh/config",
    ),
}
"""What else decides where a connection goes and as whom: none of it is passed over in silence."""

KEYWORDS = {"-J": "proxyjump", "-p": "port", "-l": "user", "-i": "identityfile", "-b": "bindaddress"}


@dataclass(frozen=True)
class Proxy:
    """What stands between here and a host: jump hosts, the first to go through first, or a command."""

    jumps: tuple[str, ...] = ()
    command: str = ""


DIRECT = Proxy()
"""Nothing, or what ~/.ssh/config says."""


def proxy(text: str) -> Proxy:
    """Read the way to a host out of arguments for ssh; what decides nothing about it is left alone.

    Raises ValueError, in words, for arguments that decide about it and are not honoured.
    """
    found: dict[str, str] = {}
    for keyword, value in _options(text):
        if instead := INSTEAD.get(keyword):
            raise ValueError(f"{keyword} is not honoured here; {instead}")
        found.setdefault(keyword, value)  # as in ssh, the first counts
    if jumps := found.get("proxyjump", ""):
        return Proxy(jumps=tuple(hop.strip().removeprefix("ssh://") for hop in jumps.split(",")))
    return Proxy(command=found.get("proxycommand", ""))


def _options(text: str) -> Iterator[tuple[str, str]]:
    """Each option with a value: the keyword that ssh_config has for it in small letters, else as it is."""
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        raise ValueError("has a quote that does not end") from error
    for word in words:
        if not (match := re.fullmatch(rf"-[^{WITH_VALUE}-]*([{WITH_VALUE}])(.*)", word, re.DOTALL)):
            continue
        option, value = f"-{match[1]}", match[2] or next(words, "")
        if option == "-o":
            keyword, _, value = re.sub(r"\s*=\s*|\s+", "=", value.strip(), count=1).partition("=")
            yield keyword.lower(), value
        else:
            yield KEYWORDS.get(option, option), value

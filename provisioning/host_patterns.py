"""Which hosts a pattern such as `web,gpu*,!web3` means, as Ansible reads it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Mapping

from provisioning.errors import ConfigurationError
from provisioning.host_ranges import is_address
from provisioning.spelling import did_you_mean

_BETWEEN_COLONS = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")


def matching(pattern: str, hosts: Collection[str], groups: Mapping[str, Collection[str]]) -> list[str]:
    """The names of the hosts that are meant, in the order of `hosts`.

    Names, groups and globs, parted by commas (or colons); `!` leaves out, `&` keeps only, `~` begins a regular
    expression. Raises ConfigurationError for a part that means nothing, and where no host is left.
    """
    parts = split(pattern)
    kept = [part for part in parts if part[0] not in "!&"]
    chosen = {host for part in kept or ["all"] for host in _hosts(part, hosts, groups)}
    for part in parts:
        if part[0] == "&":
            chosen &= _hosts(part[1:], hosts, groups)
    for part in parts:
        if part[0] == "!":
            chosen -= _hosts(part[1:], hosts, groups)
    if not parts or not chosen:
        raise ConfigurationError(f'no host is left of "{pattern}"', cause=f"The inventory has {len(hosts)} hosts.")
    return [host for host in hosts if host in chosen]


def split(pattern: str) -> list[str]:
    """The parts of a pattern. Without a comma, colons part, but not those of an IPv6 address or a range."""
    if "," in pattern or is_address(pattern) or pattern.startswith("~"):
        parts = pattern.split(",")
    else:
        parts = _BETWEEN_COLONS.findall(pattern)
    return [part.strip() for part in parts if part.strip()]


def _hosts(part: str, hosts: Collection[str], groups: Mapping[str, Collection[str]]) -> set[str]:
    if part in hosts:
        return {part}
    try:
        expression = re.compile(part[1:] if part.startswith("~") else fnmatch.translate(part))
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigurationError(f'"{part}" is no regular expression', cause=str(error)) from error
    found = [name for name in groups if expression.match(name)]
    chosen = {host for name in found for host in groups[name]}
    if not found or part.startswith("~") or any(special in part for special in ".?*["):
        chosen |= {host for host in hosts if expression.match(host)}
    if not found and not chosen:
        raise ConfigurationError(
            f'no host or group is called "{part}"',
            remedy=did_you_mean(part, [*hosts, *(name for name in groups if name != "ungrouped")]),
        )
    return chosen

"""Hosts of ~/.ssh/config, by name: what stands there of them goes on to count, and is not copied."""

from __future__ import annotations

import fnmatch
import re
import shlex
from pathlib import Path
from typing import Any

from provisioning.errors import ConfigurationError
from provisioning.host_ranges import is_address
from provisioning.init.found import Found
from provisioning.local_path import local_path
from provisioning.transport import ssh_config

FILE = Path("~/.ssh/config")
REMEDY = "Name hosts with --hosts instead."


def from_ssh_config(pattern: str = "*", file: Path = FILE) -> Found:
    """The names of `Host` lines that match a pattern such as `gpu*`; those of git servers (`User git`) are left out.

    Names with wildcards are rules, no hosts. Raises ConfigurationError where no host is left.
    """
    text = _read(local_path(file))
    config = _parsed(text, file)
    matching = [name for name in _names(text) if fnmatch.fnmatch(name, pattern)]
    known = [name for name in matching if is_address(name)]
    servers = [name for name in known if _user(config, name) == "git"]
    names = [name for name in known if name not in servers]
    notes = _notes(servers, [name for name in matching if name not in known])
    if not names:
        fits = f" that matches {pattern!r}" if pattern != "*" else ""
        raise ConfigurationError(f"{file} names no host{fits}", cause="\n".join(notes), remedy=REMEDY)
    return Found({name: {} for name in names}, notes=tuple(notes))


def _names(text: str) -> list[str]:
    """All hosts that `Host` lines name, in their order. (paramiko's get_hostnames fails where there is a Match.)"""
    lines = re.findall(r"(?im)^[ \t]*host(?:[ \t]*=[ \t]*|[ \t]+)(.+)$", text)
    names = dict.fromkeys(name for line in lines for name in shlex.split(line, comments=True))
    return [name for name in names if not set(name) & set("*?!")]


def _notes(servers: list[str], odd: list[str]) -> list[str]:
    """What is left out, and why."""
    why = ((servers, "for git is their user"), (odd, "for no host can have such a name"))
    return [f"{', '.join(names)}: left out, {words}" for names, words in why if names]


def _read(file: Path) -> str:
    try:
        file.stat()
        return "\n".join(ssh_config.lines(file, file.parent))
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", "") or str(error)
        raise ConfigurationError(f"{file} cannot be read", cause=cause, remedy=REMEDY) from error


def _parsed(text: str, file: Path) -> Any:
    import paramiko

    try:
        return paramiko.SSHConfig.from_text(text)
    except (paramiko.SSHException, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be used", cause=str(error), remedy=REMEDY) from error


def _user(config: Any, name: str) -> str:
    import paramiko

    try:
        return str(config.lookup(name).get("user", ""))
    except paramiko.SSHException:
        return ""  # connecting says what is wrong with it

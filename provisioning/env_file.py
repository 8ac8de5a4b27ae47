"""Environment files that systemd (`EnvironmentFile=`) and a POSIX shell (`. FILE`) read alike, byte for byte.

Both know double quotes in which a backslash escapes just `"`, `\\`, `$` and the backquote, and in which everything
else, newlines included, stands for itself. So every value is written that way, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = re.compile(r'["\\$`]')
# Assigning these ends the shell, does nothing, or changes how it reads the rest of the file.
_SHELLS_OWN = frozenset(
    ["_", "PPID", "UID", "EUID", "GROUPS", "IFS", "LINENO", "OPTIND", "RANDOM", "SECONDS", "SHELLOPTS", "BASHOPTS"]
)


def render(values: Mapping[str, str]) -> str:
    """The file's content, one assignment per variable. Raises ValueError for what no environment file can hold."""
    return "".join(f"{_checked(name)}={_quoted(name, value)}\n" for name, value in values.items())


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for an environment variable: letters, digits and _, no digit first")
    if name in _SHELLS_OWN:
        raise ValueError(f"{name} belongs to the shell and cannot be set in an environment file")
    return name


def _quoted(name: str, value: str) -> str:
    if "\0" in value:
        raise ValueError(f"{name} holds a NUL character, which no environment variable can")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} is not valid Unicode: {error.reason}") from error
    return '"' + _SPECIAL.sub(r"\\\g<0>", value) + '"'

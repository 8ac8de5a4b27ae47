"""Environment files that systemd (`EnvironmentFile=`) and a POSIX shell (`. FILE`) read alike, byte for byte.

Both know double quotes in which a backslash escapes just `"`, `\\`, `$` and the backquote, and in which everything
else, newlines included, stands for itself. So every value is written that way, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = re.compile(r'["\\$`]')
# An assignment, whoever wrote it, or any other line.
_ENTRY = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)=("(?:[^"\\]|\\.)*"|[^\n]*)|[^\n]+', re.DOTALL)
# Assigning these ends the shell, does nothing, or changes how it reads the rest of the file.
SHELLS_OWN = frozenset(
    ["_", "PPID", "UID", "EUID", "GROUPS", "IFS", "LINENO", "OPTIND", "RANDOM", "SECONDS", "SHELLOPTS", "BASHOPTS"]
)


def render(values: Mapping[str, str]) -> str:
    """The file's content, one assignment per variable. Raises ValueError for what no environment file can hold."""
    return "".join(f"{_checked(name)}={_quoted(name, value)}\n" for name, value in values.items())


def concealed(before: str, after: str, shown: Collection[str]) -> tuple[str, str]:
    """Two contents as people may see them: whole values of the `shown` names, of others only which have changed."""
    old = {entry[1]: entry[2] for entry in _ENTRY.finditer(before)}

    def hide(entry: re.Match[str]) -> str:
        return entry[0] if entry[1] in shown else f"{entry[1]}=***" if entry[1] else "***"

    def hide_new(entry: re.Match[str]) -> str:
        hidden = hide(entry)
        another = hidden != entry[0] and old.get(entry[1], entry[2]) != entry[2]
        return f"{hidden} (another value)" if another else hidden

    return _ENTRY.sub(hide, before), _ENTRY.sub(hide_new, after)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for an environment variable: letters, digits and _, no digit first")
    if name in SHELLS_OWN:
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

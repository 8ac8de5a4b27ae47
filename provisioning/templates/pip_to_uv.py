"""Reads `pip config list` from standard input and prints shell that makes uv do the same: its variables, mostly.

uv names its settings otherwise: https://docs.astral.sh/uv/reference/environment/
"""

import ast
import shlex
import sys

VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "no-index": "NO_INDEX",  # ours: uv has a flag, and no variable
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
# pip gives a section for `install` precedence over `global`, and variables over both.
RANKS = {"global": 0, "install": 1, ":env:": 2}


# What installs nothing does not know the flag.
WITHOUT_INDEX = """export UV_NO_INDEX=1
uv() {
    case "$1 ${2-}" in "pip uninstall"|"pip freeze") command uv "$@" ;; *) command uv "$@" --no-index ;; esac
}"""
"""The variable means nothing to uv: compile_fetch.py reads it."""


def settings(listing: str) -> dict[str, str]:
    """Give uv's variables for what `pip config list` printed."""
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        name, separator, quoted = line.partition("=")
        section, _, key = name.rpartition(".")
        rank = RANKS.get(section)
        if separator and rank is not None and key in VARIABLES and rank >= found.get(key, (0, ""))[0]:
            found[key] = rank, ast.literal_eval(quoted)
    values = {VARIABLES[key]: value for key, (_, value) in found.items()}
    # pip takes several values separated by white space or new lines; uv takes commas for find-links, spaces elsewhere.
    for key, separator in (
        ("UV_FIND_LINKS", ","),
        ("UV_INDEX", " "),
        ("UV_CONSTRAINT", " "),
        ("UV_INSECURE_HOST", " "),
    ):
        if key in values:
            values[key] = separator.join(values[key].split())
    # pip looks for the best version in all indexes; uv by default stops at the first that knows the name.
    return {**values, "UV_INDEX_STRATEGY": "unsafe-best-match"}


def shell(listing: str) -> str:
    """Give shell that exports them, and passes the flag with every call of uv that installs."""
    values = settings(listing)
    no_index = values.pop("NO_INDEX", "").lower() in ("1", "true", "t", "yes", "y", "on")
    lines = [f"export {variable}={shlex.quote(value)}" for variable, value in values.items()]
    return "\n".join([*lines, *([WITHOUT_INDEX] if no_index else [])])


if __name__ == "__main__":
    print(shell(sys.stdin.read()))

"""Shell that learns from files without starting a program: that takes about a millisecond, and looks are many."""

from __future__ import annotations

from shlex import quote

PYTHON_VERSION = r"""
python_version() {
    for file in /usr/bin/python3.[0-9]* /usr/local/bin/python3.[0-9]*; do
        case ${file##*/} in python3.[0-9] | python3.[0-9][0-9]) ;; *) continue ;; esac
        if ! [ -L "$file" ] && [ "$1" -ef "$file" ]; then version=${file##*/python}; return; fi
    done
    version=$(start_python "$1" 2>/dev/null)
}
"""
"""Defines `python_version FILE`, which sets `version` to such as `3.11`.

What links to a system's file called python3.N is Python 3.N. Any other says so itself, by `start_python FILE`.
"""

HOME_OF = r"""
home_of() {
    case $1 in '' | [!a-zA-Z_]* | *[!a-zA-Z0-9._-]*) home='~' ;; *) eval "home=~$1" ;; esac
    case $home in "~"*) home=$(getent passwd -- "$1") || return; home=${home%:*}; home=${home##*:} ;; esac
}
"""
"""Defines `home_of ACCOUNT`, which sets `home`; it fails as getent does, with 2 for an unknown name.

The shell itself asks where accounts are kept for what `~account` is.
"""


def show(path: str) -> str:
    """Shell that prints a small text file, and nothing where there is none to read."""
    return (
        f'! [ -f {quote(path)} ] || while IFS= read -r line || [ -n "$line" ]; do printf \'%s\\n\' "$line"; done '
        f"<{quote(path)}"
    )

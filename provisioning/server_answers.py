"""Whether a host reaches a server, asked with what a bare host has, and what the answer means."""

from __future__ import annotations

import re

# Prints the HTTP status, `connects` where only that can be tried, or why not. A bare host has no curl, but it has bash,
# which reads ~/.bashrc even here if it takes itself for what sshd has started.
ANSWERS = r"""
answers() {
    if command -v curl >/dev/null; then
        # The address is no argument: it may hold a password.
        printf '%s\n' "$(printf 'url = "%s"\n' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')" |
            curl -K - -sSLI -o /dev/null --connect-timeout 5 -m 15 -w '%{http_code}' 2>&1 | tr '\n' ' ')"
        return
    fi
    rest=${1#*://}; name=${rest%%/*}; name=${name##*@}; port=443
    case $1 in http:*) port=80 ;; esac
    case $name in *:*) port=${name##*:}; name=${name%:*} ;; esac
    try='exec 3<>"/dev/tcp/$0/$1"'
    if why=$(LC_ALL=C timeout 8 bash --norc -c "$try" "$name" "$port" 2>&1); then echo connects; return; fi
    why=$(printf '%s\n' "${why:-no answer within 8 s}" | sed 's/^.*line 1: //; q')
    printf '%s\n' "${why#"$name: "}"
}
"""
"""Defines `answers URL`."""


def is_reached(answer: str) -> bool:
    """Whether a server gave what was asked for, or at least answers."""
    return answer == "connects" or re.fullmatch(r"2\d\d", answer) is not None


def reason(answer: str) -> str:
    """Why a server does not serve, in short."""
    if re.fullmatch(r"[1-9]\d\d", answer):
        return f"it answers {answer}"
    return re.sub(r"\s*curl: \(\d+\) |\b000\b", "", answer).strip() or "no answer"

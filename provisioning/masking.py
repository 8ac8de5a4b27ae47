"""URLs without their passwords, for everything that people, logs or records see."""

from __future__ import annotations

import re

# All that stands before the host: a token may stand where the user's name does, and a password may hold a raw @.
_LOGIN = re.compile(r"(?<=//)[^/?#\s]+@")


def masked(text: str) -> str:
    """Give the text with `//USER:PASSWORD@` of every URL in it as `//***@`."""
    return _LOGIN.sub("***@", text)


def without_login(url: str) -> str:
    """Give a URL as it is asked where the login stands elsewhere."""
    return _LOGIN.sub("", url)


def holds_login(text: str) -> bool:
    """Whether a URL in the text names a user, and so perhaps a password."""
    return _LOGIN.search(text) is not None


def server_of(url: str) -> str:
    """Give the host of a URL, with its port if it has one."""
    return url.partition("//")[2].partition("/")[0].rpartition("@")[2]

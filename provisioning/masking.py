"""Secrets taken out of all that people, logs or records see: logins of URLs, and whatever was read as a secret."""

from __future__ import annotations

import base64
import json
import re
import shlex
from urllib.parse import quote

# All that stands before the host: a token may stand where the user's name does, and a password may hold a raw @.
_LOGIN = re.compile(r"(?<=//)[^/?#\s]+@")

SHORTEST = 6
"""Characters from which on a secret is looked for in texts: a shorter one may be part of any word."""
_secrets: set[str] = set()


def hide(secret: str) -> str:
    """Have a secret masked from now on, also where it is quoted or encoded; give it back."""
    if len(secret) >= SHORTEST:
        _secrets.update(forms(secret))
    return secret


def forms(secret: str) -> set[str]:
    """A secret as it may stand in texts: as it is, quoted for shells, in JSON, in URLs, in base64 of its own."""
    raw = secret.encode(errors="surrogateescape")
    encoded = {each(raw).decode().rstrip("=") for each in (base64.b64encode, base64.urlsafe_b64encode)}
    as_text = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    quoted = {shlex.quote(each)[1:-1] for each in as_text if "'" in each}
    return as_text | quoted | encoded | {quote(raw, safe="")}


def masked(text: str) -> str:
    """Give the text with `//USER:PASSWORD@` of every URL in it as `//***@`, and every hidden secret as `***`."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
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

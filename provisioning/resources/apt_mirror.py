"""Debian's and Ubuntu's archives taken from a mirror."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from provisioning.host import Host, quote
from provisioning.masking import masked, without_login
from provisioning.resources.base import Difference, Resource, Tell

TUNA = "http://mirrors.tuna.tsinghua.edu.cn"
"""Plain HTTP: a bare host has no certificates yet, and apt verifies signatures whatever the transport."""

_SOURCES = "/etc/apt/sources.list /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/ubuntu.sources"
_ARCHIVES = r"https?://((deb|security|ftp)\.debian\.org|([a-z]+\.)?archive\.ubuntu\.com|security\.ubuntu\.com|ports\.ubuntu\.com)"
_KEPT = ".before-vllm-provisioning"


@dataclass(frozen=True)
class AptMirror(Resource):
    """apt's sources point to a mirror instead of the distribution's own archives; other sources stay as they are."""

    mirror: str
    """`tuna`, or the URL below which debian/, debian-security/ and ubuntu/ lie."""

    @property
    def name(self) -> str:
        """`apt mirror URL`."""
        return f"apt mirror {masked(self.url)}"

    @property
    def url(self) -> str:
        """Where debian/ and its like lie."""
        return TUNA if self.mirror == "tuna" else self.mirror.rstrip("/")

    @property
    def login(self) -> str:
        """What apt's file of logins is to say, which root alone reads; "" for none. See apt_auth.conf(5)."""
        parts, there = urlsplit(self.url), without_login(self.url)
        if there == self.url:
            return ""
        return f"machine {there} login {unquote(parts.username or '')} password {unquote(parts.password or '')}\n"

    def probe(self) -> str:
        """Print every URL that apt reads, with its file."""
        urls = "grep -vE '^ *#' $f | grep -oE 'https?://[^ ]+'"
        return f'for f in {_SOURCES}; do [ ! -f $f ] || {urls} | sed "s|^|$f |"; done; :'

    def diff(self, actual: str) -> Difference | None:
        """Name the sources that would change."""
        rows = [row.split(" ", 1) for row in actual.splitlines() if " " in row]
        changes = [
            f"{file}: {url} → {re.sub(_ARCHIVES, lambda _: without_login(self.url), url)}"
            for file, url in rows
            if re.match(_ARCHIVES, url)
        ]
        return Difference("\n".join(changes)) if changes else None

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Rewrite the sources, keeping each file as it was beside its neighbours' folder."""
        host.run(self.rewrite())

    def rewrite(self) -> str:
        """Give the shell for that. Everybody may read the sources: the login stands in a file of its own."""
        url = re.sub(r"[\\&#]", r"\\\g<0>", without_login(self.url))
        program = f"printf '%s\\n' {quote(f's#{_ARCHIVES}#{url}#g')}"
        return (
            f"set -eu; for f in {_SOURCES}; do [ -f $f ] || continue; "
            f"[ -e $f{_KEPT} ] || cp -a $f $f{_KEPT}; {program} | sed -E -f - $f >$f.new; "
            "chmod --reference=$f $f.new; mv $f.new $f; done"
        )

    def undo(self, actual: str) -> str:
        """Put the files back as they were."""
        return f"for f in {_SOURCES}; do [ ! -e $f{_KEPT} ] || mv $f{_KEPT} $f; done"

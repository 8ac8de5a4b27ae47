"""Files and directories. Written beside, then renamed: a cut connection leaves the old file or the new one."""

from __future__ import annotations

import base64
import difflib
import hashlib
import posixpath
from collections.abc import Callable
from dataclasses import dataclass

from provisioning.host import Host, quote
from provisioning.masking import masked
from provisioning.places import STATE
from provisioning.probe import OnDisk
from provisioning.resources.base import Difference, Resource, Tell

ABSENT = "absent"
BACKUPS = f"{STATE}/backups"
ROOTS_FOLDERS = ("/etc/", "/usr/", "/var/cache/", "/var/log/", STATE)
"""Where root writes also what another account will own; elsewhere a file is written by its owner."""


@dataclass(frozen=True)
class File(Resource):
    """A regular file with this content, owner and mode."""

    path: str
    content: str | Callable[[str], str]
    """The content, or a function that gives it from the file's present content ("" if there is none)."""
    owner: str = "root"
    group: str = "root"
    mode: str = "644"
    secret: bool = False
    """Its content is shown nowhere."""
    conceal: Callable[[str, str], tuple[str, str]] | None = None
    """Makes, of the content before and after, what a difference may show."""

    @property
    def name(self) -> str:
        """`file PATH`."""
        return f"file {self.path}"

    def desired(self, actual: str) -> str:
        """The content it should have, given what the probe printed."""
        return self.content if isinstance(self.content, str) else self.content(_content(actual))

    def probe(self) -> str:
        """Print mode, owner and group on a line, then the content in base64 (its hash, where it is secret)."""
        path = quote(self.path)
        read = f"sha256sum < {path} | cut -d' ' -f1" if self.secret else f"base64 -w0 < {path}"
        return (
            f"if [ -L {path} ] || {{ [ -e {path} ] && [ ! -f {path} ]; }}; then echo other; "
            f"elif [ -e {path} ]; then stat -c '%a %U %G' {path} && {read}; else echo {ABSENT}; fi"
        )

    def on_disk(self) -> tuple[OnDisk, ...]:
        """Name it with the content of a new one, if that would be left alone; the hash of a secret is kept nowhere."""
        content = self.desired(ABSENT)
        if self.secret or masked(content) != content or (callable(self.content) and self.content(content) != content):
            return ()
        return (OnDisk(self.path, f"{self.mode} {self.owner} {self.group}", _sha256(content)),)

    def diff(self, actual: str) -> Difference | None:
        """Compare content, owner, group and mode."""
        state, _, encoded = actual.strip().partition("\n")
        wanted_state = f"{self.mode} {self.owner} {self.group}"
        desired = self.desired(actual)
        lines = []
        if state not in (ABSENT, wanted_state):
            lines.append(f"{self.path}: {state} → {wanted_state} (mode, owner, group)")
        if self.secret:
            if encoded.strip() != _sha256(desired):
                lines.append(f"{self.path}: its content (a secret)")
        else:
            lines += self._unified("" if state == ABSENT else _content(actual), desired, state == ABSENT)
        return Difference("\n".join(lines)) if lines else None

    def _unified(self, before: str, after: str, absent: bool) -> list[str]:
        if before == after and not absent:
            return []
        old, new = (each.splitlines() for each in (self.conceal or _as_they_are)(before, after))
        name = "/dev/null" if absent else self.path
        lines = difflib.unified_diff(old, new, name, self.path, lineterm="", n=1)
        shown = [line.encode(errors="backslashreplace").decode() for line in lines]
        return shown or [f"{self.path}: {'its content' if self.conceal else 'ends of lines'}"]

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Write it as its owner: root writes nothing into other accounts' folders, where a link could mislead it."""
        writer = _writer(self.path, self.owner)
        host.run(_as_owner(writer, self._write(actual, writer)))

    def _write(self, actual: str, writer: str) -> str:
        path, new = quote(self.path), quote(self.path + ".vllm-provisioning-new")
        encoded = base64.encodebytes(self.desired(actual).encode(errors="surrogateescape")).decode()
        chown = f"chown {quote(self.owner)}:{quote(self.group)} {new}\n" if writer == "root" else ""
        return (
            f"set -eu\numask 077\nmkdir -p -m 755 {quote(posixpath.dirname(self.path))}\nrm -f {new}\n"
            f"base64 -d >{new} <<'END'\n{encoded}END\n{chown}chmod {self.mode} {new}\n"
            # Whoever compares times (see `Service`) is to know a change of mode or owner from one of content.
            f"! cmp -s {new} {path} || touch -r {path} {new}\nmv -fT {new} {path}\n"
        )

    def undo(self, actual: str) -> str:
        """Remove it, or put back the file that was there (kept before the first change)."""
        path = quote(self.path)
        if actual.strip() == ABSENT:
            return f"rm -f {path}"
        return f"[ ! -e {self._kept} ] || {{ cp -a {self._kept} {path}.restored && mv -fT {path}.restored {path}; }}"

    def keep(self, actual: str) -> str:
        """Give shell that keeps the file that was there before our first change; nothing where there was none."""
        if actual.strip() == ABSENT:
            return ""
        return f"mkdir -p -m 700 {BACKUPS}; [ -e {self._kept} ] || cp -a {quote(self.path)} {self._kept}"

    @property
    def _kept(self) -> str:
        return f"{BACKUPS}/{hashlib.sha256(self.path.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Directory(Resource):
    """A directory with this owner and mode; with `lenient`, one that is there already may have others."""

    path: str
    owner: str = "root"
    group: str = "root"
    mode: str = "755"
    lenient: bool = False

    @property
    def name(self) -> str:
        """`directory PATH`."""
        return f"directory {self.path}"

    def probe(self) -> str:
        """Print mode, owner and group."""
        path = quote(self.path)
        state = f"stat -L -c '%a %U %G' {path}"
        return f"if [ -d {path} ]; then {state}; elif [ -e {path} ]; then echo other; else echo {ABSENT}; fi"

    def on_disk(self) -> tuple[OnDisk, ...]:
        """Name it."""
        return (OnDisk(self.path, "" if self.lenient else f"{self.mode} {self.owner} {self.group}"),)

    def diff(self, actual: str) -> Difference | None:
        """Compare mode, owner and group."""
        state, wanted = actual.strip(), f"{self.mode} {self.owner} {self.group}"
        if self.lenient and state not in (ABSENT, "other"):
            return None
        return None if state == wanted else Difference(f"{self.path}: {state} → {wanted} (mode, owner, group)")

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Make it, with its parents."""
        path = quote(self.path)
        writer = _writer(self.path, self.owner)
        chown = f"chown {quote(self.owner)}:{quote(self.group)} {path}; " if writer == "root" else ""
        host.run(_as_owner(writer, f"set -eu; umask 022; mkdir -p {path}; {chown}chmod {self.mode} {path}\n"))

    def undo(self, actual: str) -> str:
        """Remove it if it was made here and nothing lies in it any more."""
        return (
            f"rmdir --ignore-fail-on-non-empty {quote(self.path)} 2>/dev/null || :" if actual.strip() == ABSENT else ""
        )


def _content(actual: str) -> str:
    _, _, encoded = actual.strip().partition("\n")
    return base64.b64decode(encoded).decode(errors="surrogateescape") if encoded else ""


def _sha256(content: str) -> str:
    return hashlib.sha256(content.encode(errors="surrogateescape")).hexdigest()


def _as_they_are(before: str, after: str) -> tuple[str, str]:
    return before, after


def _writer(path: str, owner: str) -> str:
    return "root" if path.startswith(ROOTS_FOLDERS) else owner


def _as_owner(owner: str, script: str) -> str:
    if owner == "root":
        return script
    # The script goes through a here-document: it may be longer than an argument can be.
    return f"runuser -u {quote(owner)} -- /bin/sh -c 'eval \"$(cat)\"' <<'END_OF_SCRIPT'\n{script}END_OF_SCRIPT\n"

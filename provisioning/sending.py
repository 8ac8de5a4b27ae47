"""Files of this machine, sent to a host: whole or not at all, and from where a cut connection left off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from provisioning.beating import BEATING
from provisioning.errors import CommandError
from provisioning.host import Host, quote
from provisioning.transport.base import PIECE
from provisioning.wheel_store import sha256_of

RESUMED = 8 * PIECE
"""Bytes from which on a file is worth asking how much of it has arrived already."""
OTHER = 3
"""Exit code of what has all its bytes, and not the right ones."""

# Only a whole file is judged: what a cut connection left is gone on with.
_TAKE = (
    f"umask 022; {BEATING}; "
    "[ {offset} -gt 0 ] || rm -f {new}; cat >>{new} || exit 1; "
    '[ "$(stat -c %s {new})" = {size} ] || {{ echo "only a part arrived" >&2; exit 1; }}; '
    '[ "$(sha256sum <{new} | cut -c 1-64)" = {sha256} ] || {{ rm -f {new}; exit {other}; }}; '
    "{touch}mv -fT {new} {path}{then}"
)


def send(
    host: Host,
    file: Path,
    path: str,
    *,
    sha256: str = "",
    account: str = "",
    mtime_ns: int = 0,
    then: str = "",
    on_sent: Callable[[int], object] = lambda _: None,
) -> None:
    """Copy a file of this machine to a path of root's, or of an account's, in a folder that is there.

    `sha256` is what it should have, if that is known; `then` is shell to run once it is there. `on_sent` is told the
    bytes that have arrived. Raises `CommandError` where it cannot be written, or is not what it should be, and
    `ConnectionLostError` when the connection breaks: called again, it goes on where it stopped.
    """
    size, digest, new = file.stat().st_size, sha256 or sha256_of(file), f"{path}.new"
    arrived = _arrived(host, new, size) if size >= RESUMED else 0
    words = {"new": quote(new), "path": quote(path), "size": size, "sha256": digest, "other": OTHER}
    words["touch"] = f"touch -d @{mtime_ns // 10**9}.{mtime_ns % 10**9:09} {quote(new)}; " if mtime_ns else ""
    words["then"] = f" && {{ {then}; }}" if then else ""
    # What had arrived may be the beginning of another file.
    for offset in dict.fromkeys((arrived, 0)):
        script = _as(account, _TAKE.format(offset=offset, **words))
        taken = host.feed(script, _pieces(file, offset, on_sent))
        if taken.exit_code == 0:
            return
        if taken.exit_code != OTHER:
            raise CommandError(f"{host.name}: {path} cannot be written", cause=taken.words)
    raise CommandError(
        f"{host.name}: {path} did not arrive as it should",
        cause=f"{file} should have the SHA-256 {digest}",
        remedy="Copy that file again to this machine, then run the same command again.",
    )


def _as(account: str, script: str) -> str:
    return f"runuser -u {quote(account)} -- /bin/sh -c {quote(script)}" if account else script


def _arrived(host: Host, new: str, size: int) -> int:
    found = host.run(f"stat -c %s {quote(new)} 2>/dev/null || echo 0").stdout.strip()
    return int(found) if int(found) <= size else 0


def _pieces(file: Path, start: int, on_sent: Callable[[int], object]) -> Iterator[bytes]:
    with file.open("rb") as opened:
        opened.seek(start)
        while piece := opened.read(PIECE):
            yield piece
            on_sent(opened.tell())

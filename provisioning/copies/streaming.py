"""The way where there is no rsync: the controller reads from one host and writes to the other, over its connections.

Not by SFTP, which does what the user who connects may do: the folder belongs to another account where that is root.
"""

from __future__ import annotations

import posixpath
import time

from provisioning.accounts import as_account
from provisioning.copies.place import Place, SourceLostError, asking_the_source
from provisioning.copies.taker import Taker
from provisioning.errors import CommandError, ConnectionLostError
from provisioning.host import quote
from provisioning.resources.base import Tell
from provisioning.templates.download_records import OURS
from provisioning.transfer import Part, Transfer
from provisioning.transport.base import Held

ROUNDS = 4
"""How often what is missing, or arrived wrong, is brought."""
STAGING = f"{OURS}/parts/copied"
PAUSE = 2
"""Seconds between two lines of progress."""


def stream(source: Place, taker: Taker, tell: Tell) -> None:
    """Bring every file that is missing, going on where an earlier run stopped. Raises `CommandError`."""
    for _ in range(ROUNDS):
        missing = taker.missing(tell)
        if not missing:
            return
        for number, name in enumerate(missing):
            _File(source, taker.place, name, tell, (number, len(missing))).bring()
    raise CommandError(
        f"{taker.place.host.name}: {missing[0]} cannot be copied from {source.host.name}",
        cause="It arrived wrong each time: the source has not what its manifest says.",
        remedy="Delete it on the source, and run the same command again.",
    )


class _TargetLostError(Exception):
    """The target takes nothing more."""


class _File:
    def __init__(self, source: Place, target: Place, name: str, tell: Tell, place: tuple[int, int]) -> None:
        self._source, self._target, self._name = source, target, name
        self._tell, self._place = tell, place
        self._from = quote(posixpath.join(source.path, name))
        self._to = quote(posixpath.join(target.path, STAGING, name))
        self._done = self._size = 0
        self._told = time.monotonic(), 0

    def bring(self) -> None:
        """Bring what is missing of it."""
        folder = posixpath.dirname(posixpath.join(self._target.path, STAGING, self._name))
        look = f"mkdir -p -- {quote(folder)} && touch -- {self._to} && stat -c %s -- {self._to}"
        self._done = int(self._target.run(look).stdout)
        write = f"exec runuser -u {quote(self._target.account)} -- sh -c 'exec cat >>\"$0\"' {self._to}"
        try:
            with self._target.host.keep(write, silence=300) as held:
                self._read(held)
                held.finish()
                while held.read():
                    pass
        except OSError as error:
            raise ConnectionLostError(
                f"{self._target.host.name}: {self._name} was cut off", cause=str(error)
            ) from error

    def _read(self, held: Held) -> None:
        """Send what the source has from there on."""
        source = self._source

        def on_output(chunk: bytes) -> None:
            try:
                held.write(chunk)
            except OSError as error:
                # Not an OSError: that would be taken for one of the source's connection.
                raise _TargetLostError(str(error)) from error
            self._done += len(chunk)
            self._progress()

        read = f"exec tail -c +{self._done + 1} -- {self._from}"
        script = as_account(source.account, source.home, read) if source.account else read
        try:
            with asking_the_source():
                self._size = int(source.run(f"stat -c %s -- {self._from}").stdout)
                source.host.run(script, as_root=source.as_root, on_output=on_output)
        except _TargetLostError as error:
            raise OSError(str(error)) from error
        except CommandError as error:
            raise SourceLostError(f"{self._name} cannot be read on {source.host.name}", cause=str(error)) from error

    def _progress(self) -> None:
        now, (then, before) = time.monotonic(), self._told
        if now - then < PAUSE:
            return
        self._told = now, self._done
        number, of = self._place
        part = Part(self._name, self._done, self._size)
        rate = (self._done - before) / (now - then)
        self._tell(Transfer(done=self._done, size=self._size, rate=rate, files=(part,), finished=number, of=of))

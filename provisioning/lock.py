"""One run at a time on a host: a lock held by the connection itself, so that a killed run leaves none behind."""

from __future__ import annotations

import getpass
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from provisioning.errors import CommandError, ConnectionLostError, LockedError
from provisioning.host import Host, quote
from provisioning.places import STATE

BEAT = 15
"""Seconds between the controller's signs of life."""

SILENCE = 60
"""Seconds without a sign of life after which a host lets its lock go."""

PATIENCE = SILENCE + BEAT
"""Seconds to wait for the lock of this very run, whose connection broke in a way that the host has yet to notice."""

# dd reads what there is and ends; nothing read (end of file) or silence means that the controller is gone.
_HOLD = (
    "exec 2>&1; mkdir -p {state}; exec 9>>{state}/lock; "
    "if flock -n 9; then printf '%s\\n' {holder} 2>/dev/null >{state}/lock.holder || :; echo acquired; "
    'else echo "held $(cat {state}/lock.holder 2>/dev/null)"; exit 0; fi; '
    'while beat=$(timeout {silence} dd bs=64 count=1 2>/dev/null) && [ -n "$beat" ]; do :; done\n'
)


class Lock:
    """A host's lock, held by the connection it was taken on."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._connection = host.transport.connections

    def require(self) -> None:
        """Raise `ConnectionLostError` where the connection was made anew since: the lock went with the old one."""
        if self._host.transport.connections != self._connection:
            raise ConnectionLostError(f"{self._host.name}: the connection was lost, and the lock with it")


@contextmanager
def locked(host: Host, run_id: str) -> Iterator[Lock]:
    """Hold the host's lock. Raises `LockedError`, naming who holds it and since when."""
    since = datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
    holder = f"{getpass.getuser()}@{socket.gethostname()} since {since} (run {run_id})"
    command, preamble = host.hold_command()
    script = preamble + _HOLD.format(state=STATE, holder=quote(holder), silence=SILENCE).encode()
    deadline = time.monotonic() + PATIENCE
    while True:
        host.round_trips += 1
        with host.transport.hold(command, script) as held:
            answer = next(iter(held.lines()), "")
            if answer == "acquired":
                with beating(held.write):
                    yield Lock(host)
                return
        if not answer:
            raise ConnectionLostError(f"{host.name}: the connection closed while the lock was asked for")
        if not answer.startswith("held "):
            raise CommandError(f"{host.name}: the lock cannot be taken", cause=answer)
        if run_id not in answer or time.monotonic() > deadline:
            raise LockedError(
                f"{host.name}: another run is at work here",
                cause=answer.replace("held ", "The lock is held by ", 1),
                remedy="Wait for it to end, then run this again. The lock of a killed run goes away by itself.",
            )
        time.sleep(0.5)


@contextmanager
def beating(write: object) -> Iterator[None]:
    """Write a sign of life now and then, as long as the context lasts."""
    assert callable(write)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            try:
                write(b".\n")
            except (OSError, ValueError):
                return  # the connection is gone; whoever uses it next says so

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()

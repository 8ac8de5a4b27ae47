"""The ways on which rsync gets from the taker to the source: straight to its sshd, or through the controller."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from provisioning.copies.share import Share
from provisioning.copies.taker import Taker
from provisioning.errors import ProvisioningError
from provisioning.transport.base import Held, Reached, Stream

LOOK = 5
"""Seconds between two looks whether connections were lost, and shares and tunnels with them."""

_SSH = """\
Host source
    HostName {reached.address}
    Port {reached.port}
    User {reached.user}
    IdentityFile {folder}/key
    IdentitiesOnly yes
    IdentityAgent none
    BatchMode yes
    StrictHostKeyChecking yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
    HostKeyAlias source
    UpdateHostKeys no
    ConnectTimeout 15
    ServerAliveInterval 15
    LogLevel ERROR
"""


@contextmanager
def direct(share: Share, taker: Taker) -> Iterator[None]:
    """Straight from host to host; each checks the other: by a key made for this, and by the source's host key."""
    reached = share.place.host.transport.reached()
    assert reached is not None
    taker.write(
        {
            "key": share.private_key,
            "known_hosts": f"source {reached.host_key}\n",
            "ssh_config": ssh_config(reached, taker.folder),
            "secret": f"{share.secret}\n",
            "way.json": json.dumps({"ssh": True, "url": "source::model"}),
        }
    )
    with _renewing(share.renew):
        yield


def ssh_config(reached: Reached, folder: str) -> str:
    """How ssh reaches the source, and nothing else."""
    return _SSH.format(reached=reached, folder=folder)


@contextmanager
def through_the_controller(share: Share, taker: Taker) -> Iterator[None]:
    """By a port of the taker's loopback, which the controller listens on, and its connection to the source.

    Both are encrypted by SSH, and the port lets only in who knows the secret. Raises `ConnectionRefusedError` where
    the taker's sshd forwards no ports.
    """
    transport = taker.place.host.transport
    with ExitStack() as stack:
        open_on = -1

        def renew() -> None:
            nonlocal open_on
            share.renew()
            if open_on != transport.connections:
                stack.close()
                port = stack.enter_context(transport.listen(lambda stream: _begin(share, stream)))
                url = f"rsync://copy@127.0.0.1:{port}/model"
                taker.write({"secret": f"{share.secret}\n", "way.json": json.dumps({"ssh": False, "url": url})})
                open_on = transport.connections

        renew()
        with _renewing(renew):
            yield


@contextmanager
def _renewing(renew: Callable[[], None]) -> Iterator[None]:
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(LOOK):
            # Whoever needs it says what is wrong; here it is tried again.
            with suppress(ProvisioningError, OSError):
                renew()

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # It may be looking for a host that is gone, which takes long.
        thread.join(LOOK)


def _begin(share: Share, stream: Stream) -> None:
    threading.Thread(target=_carry, args=(share, stream), daemon=True).start()


def _carry(share: Share, stream: Stream) -> None:
    """Pass on what two ends say to one another, until one hangs up."""
    with suppress(ProvisioningError, OSError, ValueError, EOFError), share.conversation() as held:
        upward = threading.Thread(target=_upward, args=(stream, held), daemon=True)
        upward.start()
        try:
            while data := held.read():
                stream.sendall(data)
        finally:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
    stream.close()


def _upward(stream: Stream, held: Held) -> None:
    with suppress(OSError, ValueError):
        while data := stream.recv(65536):
            held.write(data)
        held.finish()

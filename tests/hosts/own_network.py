"""A network for a program that minds when that of its machine changes: a loopback, some ports of which lead here.

Chromium fails with net::ERR_NETWORK_CHANGED whatever waits for a connection when an interface comes or goes, even
for loopback (https://github.com/microsoft/playwright/issues/13062). Other tests lay networks meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .proxy import Proxy

CLONE_NEWNET = 0x40000000
HOLD = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"]


@contextmanager
def in_own_network(program: str, *ports: int) -> Iterator[Path]:
    """Give a command that runs the program there; these ports of its loopback are those of this machine's."""
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        # It ends with its standard input, and the network with it, however this process ends.
        holder = stack.enter_context(subprocess.Popen(HOLD, stdin=pipe, stdout=pipe))
        assert holder.stdin
        assert holder.stdout
        stack.callback(holder.stdin.close)
        assert holder.stdout.readline(), "there is no network namespace to be had"
        namespace = Path(f"/proc/{holder.pid}/ns/net")
        for port in ports:
            stack.enter_context(Proxy(("127.0.0.1", port), listener=_listener(namespace, port)))
        command = Path(stack.enter_context(TemporaryDirectory()), Path(program).name)
        command.write_text(f'#!/bin/sh\nexec nsenter --net={namespace} {shlex.quote(program)} "$@"\n')
        command.chmod(0o755)
        yield command


def _listener(namespace: Path, port: int) -> socket.socket:
    """Listen in there: a socket belongs to the network of the thread that made it, and this thread ends."""

    def listen() -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        with namespace.open() as file:
            if libc.setns(file.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(namespace))
        return socket.create_server(("127.0.0.1", port), backlog=64)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(listen).result()

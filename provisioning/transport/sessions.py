"""Sessions of an SSH connection: one for each command that runs. sshd may allow few at once (MaxSessions)."""

from __future__ import annotations

import time
from typing import Any

from provisioning.errors import UnreachableError

PATIENCE = 5
"""Seconds until a session that has ended here should have ended there: sshd counts it as long."""
PAUSE = 0.1
"""Seconds between two attempts."""


def opened(transport: Any, name: str, seconds: float) -> Any:
    """Give a new session of the host `name`, which has so many seconds to answer.

    Raises `UnreachableError` where there may be no other beside those that are open, and paramiko's errors.
    """
    from paramiko.ssh_exception import ChannelException

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return transport.open_session(timeout=seconds)
        except ChannelException as error:
            if time.monotonic() > deadline:
                raise UnreachableError(
                    f"{name}: sshd runs no other command beside those that run",
                    cause=f"It says: {error.text}.",
                    remedy="Is MaxSessions in the host's sshd_config less than 2? Its default is 10.",
                ) from error
        time.sleep(PAUSE)

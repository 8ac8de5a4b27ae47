"""Limits for what would be waited for without one: names, proxies and jump hosts, and the answer to a request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def within(seconds: float, work: Callable[[], object]) -> None:
    """Do `work`, in a thread that is left behind after so many seconds. Raises `TimeoutError`, and what `work` raises.

    Nothing else bounds a resolver, the command of a proxy, or a jump host that says nothing.
    """
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"nothing came of it within {seconds:.0f} s: name, proxy, jump host or sshd hangs")
    if failed:
        raise failed[0]


def begin(channel: Any, command: str, seconds: float | None) -> None:
    """Start a command on an open channel. Raises `TimeoutError` where the host does not answer within so many seconds.

    paramiko waits for that answer without limit, but no longer than the channel is open.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        channel.close()

    timer = threading.Timer(seconds if seconds is not None else threading.TIMEOUT_MAX, expire)
    timer.daemon = True
    timer.start()
    try:
        channel.exec_command(command)
    except Exception as error:
        if expired.is_set():
            raise TimeoutError(f"the command was not begun within {seconds or 0:.0f} s") from error
        raise
    finally:
        timer.cancel()

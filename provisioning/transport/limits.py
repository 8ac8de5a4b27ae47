"""Limits for what would be waited for without one: names, proxies and jump hosts, and the answer to a request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from paramiko.ssh_exception import AuthenticationException, NoValidConnectionsError, ProxyCommandFailure

from provisioning.transport.target import LOGIN

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T]) -> T:
    """Do `work`, in a thread that is left behind after so many seconds. Raises `TimeoutError`, and what `work` raises.

    Nothing else bounds a resolver, the command of a proxy, a jump host that says nothing, or a request to listen.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"Nothing came of it within {seconds:.0f} s: its name, a host on the way, or sshd hangs.")
    if failed:
        raise failed[0]
    return done[0]


def reason(error: Exception, seconds: float) -> str:
    """Why connecting failed, with the limit where it has passed (`connect_timeout`)."""
    # What paramiko says where start_client gave up.
    if str(error) == "No existing session":
        return f"It, or a host on the way, took the connection and said nothing for {seconds:.0f} s (connect_timeout)."
    if str(error) == "Authentication timeout.":
        return f"The login took over {seconds + LOGIN:.0f} s: sshd, or what it asks about who comes, hangs."
    if isinstance(error, AuthenticationException):
        return "It ended the connection during the login."
    if isinstance(error, TimeoutError) and str(error) in ("", "timed out"):
        return f"No answer within {seconds:.0f} s (connect_timeout)."
    if isinstance(error, ProxyCommandFailure):  # paramiko shows the command, which may hold a password
        return f"The ProxyCommand on the way there ended: {error.error}"
    # One for each address of the name: paramiko's own words for them do not say why.
    tried = error.errors.values() if isinstance(error, NoValidConnectionsError) else [error]
    words = [getattr(each, "strerror", "") or str(each) or type(each).__name__ for each in tried]
    return "; ".join(dict.fromkeys(words))


def begin(channel: Any, command: str, seconds: float | None) -> None:
    """Start a command on an open channel. Raises `TimeoutError` where the host does not answer within so many seconds.

    paramiko waits for that answer without limit, but no longer than the channel is open.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        with suppress(Exception):  # the connection ended meanwhile
            channel.close()

    timer = threading.Timer(seconds if seconds is not None else threading.TIMEOUT_MAX, expire)
    timer.daemon = True
    timer.start()
    try:
        channel.exec_command(command)
    except Exception as error:
        if expired.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()

"""Named retry policies. Only what waiting can mend is tried again: see each policy's condition.

Policies lie within each other: a job is followed again when its connection breaks, and a connection is tried several
times. One that gives up says so in its error, and none around it tries again: attempts add up, and do not multiply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)
from tenacity.stop import stop_base

from provisioning.errors import UnreachableError

AWAY = 120
"""Seconds for which a host that was there is looked for again: long enough for most reboots and breaks of a line."""


def _can_pass(error: BaseException) -> bool:
    return isinstance(error, UnreachableError) and error.retryable


def connecting(attempts: int, *, on_retry: Callable[[RetryCallState], None] | None = None) -> Retrying:
    """Connecting to a host: up to `attempts` times, waiting 1 to 15 s with jitter; never after a refused key."""
    return _policy(stop_after_attempt(attempts), on_retry)


def connecting_again() -> Retrying:
    """Connecting to a host that was there before: for `AWAY` seconds."""
    return _policy(stop_after_delay(AWAY), None)


def following(
    attempts: int, progress: Callable[[], int], *, on_retry: Callable[[RetryCallState], None] | None = None
) -> Retrying:
    """Work over a line that breaks: `attempts` in a row without `progress`. What moves is never given up."""
    return _policy(_WithoutProgress(attempts, progress), on_retry)


def _policy(stop: stop_base, on_retry: Callable[[RetryCallState], None] | None) -> Retrying:
    return Retrying(
        retry=retry_if_exception(_can_pass),
        stop=stop,
        wait=wait_random_exponential(multiplier=1, min=1, max=15),
        before_sleep=on_retry,
        retry_error_callback=_give_up,
    )


def _give_up(state: RetryCallState) -> Any:
    """Raise the last error, as one that no other policy tries to mend."""
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, UnreachableError)
    error.retryable = False
    raise error


class _WithoutProgress(stop_base):
    def __init__(self, attempts: int, progress: Callable[[], int]) -> None:
        self._attempts = attempts
        self._progress = progress
        self._seen = progress()
        self._first = 1
        """The first attempt since the last progress."""

    def __call__(self, retry_state: RetryCallState) -> bool:
        if (now := self._progress()) != self._seen:
            self._seen, self._first = now, retry_state.attempt_number
        return retry_state.attempt_number - self._first + 1 >= self._attempts

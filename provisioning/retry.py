"""Named retry policies. Only what waiting can mend is tried again: see each policy's condition."""

from __future__ import annotations

from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from provisioning.errors import UnreachableError


def _can_pass(error: BaseException) -> bool:
    return isinstance(error, UnreachableError) and error.retryable


def connecting(attempts: int, *, on_retry: Callable[[RetryCallState], None] | None = None) -> Retrying:
    """Connecting to a host: up to `attempts` times, waiting 1 to 15 s with jitter; never after a refused key."""
    return Retrying(
        retry=retry_if_exception(_can_pass),
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=1, min=1, max=15),
        before_sleep=on_retry,
        reraise=True,
    )

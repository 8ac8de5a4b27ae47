"""The policy of downloading: what can pass is tried again with growing waits, and what moves is never given up."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any

from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.stop import stop_base
from tenacity.wait import wait_base, wait_random_exponential

if TYPE_CHECKING:
    from provisioning.templates.download_sources import Transient, Unavailable, say
else:
    from download_sources import Transient, Unavailable, say

ATTEMPTS = 8
"""Attempts without progress before a source is given up: about a minute of waiting, or two."""
LONGEST = 60
"""Seconds between two attempts at most, unless the server asks for more."""
PATIENCE = 600
"""Seconds that a server may ask for."""


def retry_after(asked: str) -> float:
    """Seconds that a server asks to wait, as a number or as a date; 0 for anything else.

    https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    if asked.isdecimal():
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time())
    except ValueError:
        return 0


class _WithoutProgress(stop_base):
    def __init__(self, progress: Callable[[], int], attempts: int) -> None:
        self._progress, self._seen, self._failures, self._attempts = progress, progress(), 0, attempts

    def __call__(self, retry_state: RetryCallState) -> bool:
        moved = (now := self._progress()) > self._seen
        self._seen, self._failures = max(now, self._seen), 0 if moved else self._failures + 1
        # The wait grows with the failures in a row, not with all that there were.
        retry_state.attempt_number = self._failures
        return self._failures >= self._attempts


class _AsTheServerAsks(wait_base):
    def __init__(self) -> None:
        self._growing = wait_random_exponential(multiplier=1, min=0.2, max=LONGEST)

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.wait if isinstance(error, Transient) else 0
        return max(self._growing(retry_state), min(asked, PATIENCE))


def persevering(what: str, progress: Callable[[], int] = lambda: 0, attempts: int = ATTEMPTS) -> Retrying:
    """Retry `Transient` failures; gives up, as `Unavailable`, after `attempts` in a row without `progress` (bytes)."""

    def announce(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0
        say(f"{what}: {error}; going on in {wait:.0f} s")

    def give_up(state: RetryCallState) -> Any:
        error = state.outcome.exception() if state.outcome else None
        count = f", {attempts} times without progress" if attempts > 1 else ""
        raise Unavailable(f"{error}{count}") from error

    return Retrying(
        retry=retry_if_exception_type(Transient),
        stop=_WithoutProgress(progress, attempts),
        wait=_AsTheServerAsks(),
        before_sleep=announce,
        retry_error_callback=give_up,
    )

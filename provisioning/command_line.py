"""What all tasks share: their options, and how they end."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

Body = TypeVar("Body", bound=Callable[..., Any])

COMMON = {
    "hosts": "Hosts and groups, with commas between; !name leaves out. All if left out.",
    "inventory": "The inventory; inventory.yaml of this folder, or of the project, if left out.",
}


def command(body: Body) -> Body:
    """End the program with the exit code that `body` gives, and every error in a person's words."""

    @functools.wraps(body)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from provisioning.errors import ExitCode, ProvisioningError

        try:
            code = body(*args, **kwargs)
        except ProvisioningError as error:
            _show(error)
            code = error.exit_code
        except KeyboardInterrupt:
            print(
                "\nInterrupted. Every file is the old one or the new one; what runs as a job on a host (downloads, "
                "installations) goes on there.\nRun the same command again: it goes on where this one stopped.",
                file=sys.stderr,
            )
            sys.stderr.flush()
            # Threads may still wait for hosts; nothing of theirs needs an end.
            os._exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            os._exit(ExitCode.OK)  # the reader of our output has left (`… | head`)
        if code:
            sys.exit(int(code))

    return wrapped  # type: ignore[return-value]


def whole_number(option: str, text: str) -> int:
    """Read the value of an option that counts something. Raises `ConfigurationError` for anything else.

    Invoke would convert it by itself, and die of what it cannot convert.
    """
    from provisioning.errors import ConfigurationError

    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise ConfigurationError(
            f"{option}: should be an integer of at least 1, not {text!r}", remedy=f"For instance: {option} 200"
        )
    return int(text)


def _show(error: Exception) -> None:
    from provisioning.report import Report

    Report(stderr=True).error(error)

"""What all tasks share: their options, and how they end."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
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
        except KeyboardInterrupt as interrupted:
            print(_where_things_stand(interrupted.args), file=sys.stderr, flush=True)
            # Threads may still wait for hosts; nothing of theirs needs an end.
            os._exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            os._exit(ExitCode.OK)  # the reader of our output has left (`… | head`)
        if code:
            sys.exit(int(code))

    return wrapped  # type: ignore[return-value]


def _where_things_stand(hosts: Sequence[str]) -> str:
    """What to say on Ctrl-C; `hosts` has a line for each, where something was being changed."""
    lines = ["\nInterrupted. Where things stand:" if hosts else "\nInterrupted.", *(f"    {line}" for line in hosts)]
    lines += [
        "Every file is the old one or the new one; what runs as a job on a host (downloads, installations) goes on.",
        "Run the same command again: it goes on where this one stopped.",
    ]
    return "\n".join(lines)


def _show(error: Exception) -> None:
    from provisioning.report import Report

    Report(stderr=True).error(error)

"""What was being done on a host when it was lost, for the error that says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provisioning.errors import UnreachableError
from provisioning.host import Host
from provisioning.masking import masked


@contextmanager
def phase(host: Host, doing: str) -> Iterator[None]:
    """Frame a part of the work. Where a host is lost that had been reached, the error says in which part."""
    try:
        yield
    except UnreachableError as error:
        if host.transport.connections and not error.phase:
            error.phase = doing
            error.message += f" ({masked(doing)})"
        raise

"""One model from one host to another, on the first way that works."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from provisioning.copies import ways
from provisioning.copies.place import Place, SourceLostError, asking_the_source
from provisioning.copies.share import Share
from provisioning.copies.streaming import stream
from provisioning.copies.taker import Taker, lost_source
from provisioning.errors import CommandError
from provisioning.resources.base import Tell
from provisioning.templates.download_records import parsed

Way = Callable[[Share, Taker], AbstractContextManager[None]]


def copy(source: Place, target: Place, *, key: str, model: str, script: str, tell: Tell) -> None:
    """Copy the model with this key, prove it and record it on the target.

    `script` is root shell for the target that runs download_model.py with the method `copy`. Raises `SourceLostError`
    where the source cannot give it, and `CommandError` or `UnreachableError` for what is wrong with the target.
    """
    with asking_the_source():
        manifest = source.manifest()
        source_has_rsync = source.has_rsync(tell)
    try:
        found = parsed(manifest).get("key")
    except ValueError:
        found = None
    if found != key:
        raise SourceLostError(
            f"{source.host.name} has another model, or another revision, or spoilt records in {source.path}"
        )
    with Taker(target, model, manifest, script) as taker:
        if source_has_rsync and target.has_rsync(tell) and _by_rsync(source, taker, tell):
            return
        tell(f"copying from {source.host.name} through the controller, without rsync")
        stream(source, taker, tell)


def _by_rsync(source: Place, taker: Taker, tell: Tell) -> bool:
    """Whether rsync has copied it, on one way or the other."""
    with Share(source, f"{taker.place.host.name} {taker.model}") as share:
        if share.key_is_let_in:
            tell(f"copying from {source.host.name}")
            if _go(ways.direct, share, taker, tell):
                return True
            tell(f"{source.host.name} is not reached from {taker.place.host.name}")
        tell(f"copying from {source.host.name}, through the controller")
        return _go(ways.through_the_controller, share, taker, tell)


def _go(way: Way, share: Share, taker: Taker, tell: Tell) -> bool:
    try:
        with way(share, taker):
            if not taker.sees_the_source():
                return False
            taker.copy(tell)
            return True
    except ConnectionRefusedError:
        return False
    except CommandError as error:
        if lost_source(error):
            return False
        raise

"""What the hosts of one run know of one another's models: who has one, who downloads it, and who copies from whom.

There is no plan. Whoever wants a model takes it from a host that has it and is not serving another just now; if no
host has it, the first one downloads it. So N hosts make a tree, and the hub sends the model once.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from provisioning.accounts import network_environment
from provisioning.copies.place import SourceLostError
from provisioning.copies.wanted import CONTROLLER, Copy, Wanted
from provisioning.errors import CommandError, UnreachableError
from provisioning.host import Host
from provisioning.resources.base import Tell
from provisioning.transport.local import LocalTransport


@dataclass
class _Model:
    sources: dict[str, Copy] = field(default_factory=dict)
    serving: set[str] = field(default_factory=set)
    """Those of the sources that serve somebody. One at a time: two would halve the speed of both."""
    downloading: str = ""
    failed: str = ""
    """The host on which downloading has failed."""


class Distribution:
    """Which host of this run has which model."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._models: defaultdict[str, _Model] = defaultdict(_Model)
        self._openers: dict[str, Callable[[], Host]] = {}
        self._unseen: set[str] = set()
        self._at_work: set[str] = set()

    def expect(self, hosts: Mapping[str, Callable[[], Host]]) -> None:
        """Begin a run with these hosts; each is opened for those that copy from it, for its own run may be over."""
        with self._changed:
            self._models.clear()
            self._openers = {**hosts, CONTROLLER: _controller}
            self._unseen, self._at_work = set(), set(hosts)

    @contextmanager
    def opened(self, name: str) -> Iterator[Host]:
        """Open a connection to a host of this run, or to the controller."""
        host = self._openers[name]()
        try:
            yield host
        finally:
            host.close()

    def begin(self, host: str) -> None:
        """Note that work on a host begins. Who waits for a place among those at work is not waited for in turn."""
        with self._changed:
            self._unseen.add(host)

    def seen(self, host: str) -> None:
        """Note that a host was looked at, and what it has was offered."""
        with self._changed:
            self._unseen.discard(host)
            self._changed.notify_all()

    def finish(self, host: str) -> None:
        """Note that a host has come to its end, whichever: it will download nothing more."""
        with self._changed:
            self._unseen.discard(host)
            self._at_work.discard(host)
            self._changed.notify_all()

    def offer(self, key: str, copy: Copy) -> None:
        """Note that a host has a model, whole."""
        with self._changed:
            self._models[key].sources[copy.host] = copy
            self._changed.notify_all()

    def has(self, key: str) -> list[str]:
        """Name those that have a model, whole."""
        with self._changed:
            return list(self._models[key].sources)

    def obtain(self, wanted: Wanted, *, download: Callable[[], Copy], take: Callable[[Copy], None], tell: Tell) -> None:
        """Get a model onto a host: `download` it, here or on the controller, or `take` it from where it is.

        Raises `CommandError` where another host was to download it and could not, and what `download` and `take` raise.
        """
        while True:
            source = self._source_or_turn(wanted, tell)
            if source is None:
                if self._download(wanted, download):
                    return
            elif self._take(wanted, source, take, tell):
                return

    def _download(self, wanted: Wanted, download: Callable[[], Copy]) -> bool:
        """Download it; whether it is on the host that wants it now, and not on the controller."""
        copy, failed = None, False
        try:
            copy = download()
        except UnreachableError:
            raise  # the next one downloads
        except BaseException:
            failed = True
            raise
        finally:
            # At once: who looked between the end of the one and the beginning of the other would download as well.
            with self._changed:
                model = self._models[wanted.key]
                model.failed, model.downloading = model.downloading if failed else "", ""
                if copy:
                    model.sources[copy.host] = copy
                self._changed.notify_all()
        return copy.host == wanted.copy.host

    def _take(self, wanted: Wanted, source: Copy, take: Callable[[Copy], None], tell: Tell) -> bool:
        """Take it from a source; whether that went well, and the source was not lost."""
        lost = False
        try:
            take(source)
        except SourceLostError as error:
            lost = True
            tell(f"{error.message} ({error.cause.splitlines()[0]})" if error.cause else error.message)
        finally:
            with self._changed:
                model = self._models[wanted.key]
                model.serving.discard(source.host)
                if lost:
                    model.sources.pop(source.host, None)
                self._changed.notify_all()
        if not lost:
            self.offer(wanted.key, wanted.copy)
        return not lost

    def _source_or_turn(self, wanted: Wanted, tell: Tell) -> Copy | None:
        """Wait for a source that is free, and seize it; None for the turn to download."""
        told = ""
        with self._changed:
            while True:
                waiting_for = self._look(wanted)
                if not isinstance(waiting_for, str):
                    return waiting_for
                if waiting_for != told:
                    tell(told := waiting_for)
                # Not for ever: Python notes Ctrl-C at once, yet acts on it only between two waits.
                self._changed.wait(timeout=1)

    def _look(self, wanted: Wanted) -> Copy | str | None:
        """A free source, None for the turn to download, or what is waited for. Raises `CommandError`."""
        model, host = self._models[wanted.key], wanted.copy.host
        if self._unseen:
            return f"waiting to hear who has {wanted.title}: {', '.join(sorted(self._unseen))}"
        for name, copy in model.sources.items():
            if name not in model.serving:
                model.serving.add(name)
                return copy
        if model.serving:
            return f"waiting for a host that has {wanted.title}: {', '.join(sorted(model.serving))} is copied from"
        if model.downloading:
            return f"waiting for {model.downloading}, which downloads {wanted.title}"
        if model.failed not in ("", host):
            raise _failed_elsewhere(wanted, model.failed)
        return self._turn(wanted, model)

    def _turn(self, wanted: Wanted, model: _Model) -> str | None:
        """Give this host the turn to download, or say whom it waits for."""
        host, on = wanted.copy.host, wanted.download_on
        if on in ("auto", CONTROLLER, host):
            model.downloading = CONTROLLER if on == CONTROLLER else host
            return None
        if on in self._at_work:
            return f"waiting for {on}, which downloads {wanted.title}"
        raise _failed_elsewhere(wanted, on)


def _controller() -> Host:
    return Host(CONTROLLER, LocalTransport(), environment=network_environment(), may_become=False)


def _failed_elsewhere(wanted: Wanted, host: str) -> CommandError:
    return CommandError(
        f"{wanted.copy.host}: {wanted.title} was to be downloaded on {host}, and that has not happened",
        remedy=f"Mend what is said for {host}, or choose it with --hosts as well; then run the same command again.",
    )


DISTRIBUTION = Distribution()

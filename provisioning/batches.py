"""Hosts in batches, one after another: how many work side by side, and how many may fail before the rest is left.

`serial` and `max_fail` mean what Ansible's `serial` and `max_fail_percentage` mean:
https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_strategies.html
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from provisioning import inventory
from provisioning.errors import ProvisioningError, SkippedError
from provisioning.inventory import HostEntry

Share = int | str
"""A number of hosts, or a percentage of them such as "25%"."""


def sizes(serial: Sequence[Share], hosts: int) -> list[int]:
    """How many hosts each batch has; one batch, where there is no share.

    The last share is repeated. A percentage is of all hosts, rounded down, and means at least one.
    """
    found: list[int] = []
    while (rest := hosts - sum(found)) > 0:
        share = serial[min(len(found), len(serial) - 1)] if serial else hosts
        found.append(min(rest, max(1, _part(share, hosts))))
    return found


def allowed(max_fail: Share | None, size: int) -> int:
    """How many hosts of a batch may fail for the next batch to begin. Without `max_fail`: all but one."""
    return size - 1 if max_fail is None else _part(max_fail, size)


def _part(share: Share, of: int) -> int:
    return share if isinstance(share, int) else of * int(share.removesuffix("%")) // 100


class Batch:
    """Hosts that are worked on side by side. Once too many have failed, no other is begun."""

    def __init__(self, entries: Sequence[HostEntry], title: str, may_fail: int, leave: Callable[[str], None]) -> None:
        """`may_fail`: how many may fail; `leave` is told of each host that is not begun after all."""
        self.entries = entries
        self.title = title
        self._leave = leave
        self._may_fail = may_fail
        self._failed: list[str] = []
        self._lock = threading.Lock()

    @property
    def names(self) -> str:
        """Its hosts, in a line."""
        return ", ".join(entry.name for entry in self.entries)

    @property
    def is_broken(self) -> bool:
        """Whether more hosts have failed than may."""
        return len(self._failed) > self._may_fail

    @contextmanager
    def counting(self, host: str) -> Iterator[None]:
        """Frame the work on a host. Raises `SkippedError` where it is not to begin any more."""
        if self.is_broken:
            self._leave(host)
            raise SkippedError(f"{host}: not begun, for too many other hosts have failed")
        try:
            yield
        except Exception:
            with self._lock:
                self._failed.append(host)
            raise

    def verdict(self) -> ProvisioningError:
        """Why the hosts that are left were not begun."""
        names = ", ".join(self._failed)
        return ProvisioningError(
            "Stopped here: the hosts that had not begun are left as they are",
            cause=f"{len(self._failed)} of {len(self.entries)} in this batch failed ({names}); "
            + (f"max_fail allows {self._may_fail}." if len(self._failed) < len(self.entries) else "none went well."),
        )


@dataclass(frozen=True)
class Rollout:
    """In which batches hosts are taken. As it stands: all at once."""

    serial: tuple[Share, ...] = ()
    max_fail: Share | None = None
    leave: Callable[[str], None] = lambda host: None
    """Told of each host of a batch that is not begun after all: those at work may wait for it."""

    def batches(self, entries: Sequence[HostEntry]) -> Iterator[Batch]:
        """Batch after batch, until too many have failed in one."""
        counts = sizes(self.serial, len(entries))
        for number, size in enumerate(counts, 1):
            chosen = entries[sum(counts[: number - 1]) :][:size]
            batch = Batch(chosen, f"batch {number} of {len(counts)}", allowed(self.max_fail, size), self.leave)
            yield batch
            if batch.is_broken:
                return


ALL_AT_ONCE = Rollout()


def overrides(serial: str, max_fail: str) -> dict[str, Any]:
    """The settings that --serial (with commas between several) and --max-fail give, to be checked as all are."""
    shares = [_share(text) for text in serial.split(",")]
    given: dict[str, Any] = {"serial": shares if len(shares) > 1 else shares[0]} if serial else {}
    return {**given, "max_fail": _share(max_fail)} if max_fail else given


def _share(text: str) -> Share:
    return int(text) if re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else text.strip()


def rollout(entries: Sequence[HostEntry], leave: Callable[[str], None] = lambda host: None) -> Rollout:
    """What the settings of these hosts say. Raises `ConfigurationError` where they do not say the same."""
    settings = entries[0].settings
    inventory.refuse([line for key in ("serial", "max_fail") for line in _differing(entries, key)], "the inventory")
    serial = settings.serial if isinstance(settings.serial, tuple) else (settings.serial,)
    return Rollout(tuple(share for share in serial if share is not None), settings.max_fail, leave)


def _differing(entries: Sequence[HostEntry], key: str) -> list[str]:
    """A line for each of several values that the hosts have, with where it is written."""
    firsts = {getattr(entry.settings, key): entry for entry in reversed(entries)}
    if len(firsts) < 2:
        return []
    words = "; ".join(f"{_shown(value)} for {entry.name}" for value, entry in firsts.items())
    return [
        entry.describe(
            (key,), f"should be the same for all chosen hosts, or given as --{key.replace('_', '-')}: {words}"
        )
        for value, entry in firsts.items()
        if value is not None
    ]


def _shown(value: Share | tuple[Share, ...] | None) -> str:
    return "not set" if value is None else str(list(value)) if isinstance(value, tuple) else str(value)

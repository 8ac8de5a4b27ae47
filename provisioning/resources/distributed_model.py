"""A model that is downloaded once for all hosts of a run: the others copy it from one that has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provisioning.copies.copying import copy
from provisioning.copies.place import Place
from provisioning.copies.wanted import CONTROLLER, Copy, Wanted
from provisioning.distribution import DISTRIBUTION
from provisioning.host import Host
from provisioning.resources.base import Difference, Tell
from provisioning.resources.downloaded_model import DownloadedModel, rows


@dataclass(frozen=True, kw_only=True)
class DistributedModel(DownloadedModel):
    """As `DownloadedModel`, and whoever has it gives it to the others."""

    host: str
    account: str
    home: str
    copy_script: str
    """Root shell that brings it along the way which the controller has prepared."""
    download_on: str
    """`auto`, a host, or `controller`."""
    download_here: Callable[[Tell], str]
    """Downloads it on the controller, and gives the folder."""

    def diff(self, actual: str) -> Difference | None:
        """Compare as ever; and let the other hosts know where it is."""
        if self._is_whole(actual):
            DISTRIBUTION.offer(self.key, self._copy)
            return super().diff(actual)
        difference = super().diff(actual)
        return Difference(f"{difference.text}; or copy it from a host that has it") if difference else None

    def _is_whole(self, actual: str) -> bool:
        key, intact, *_ = rows(actual)
        return key == self.key and intact

    @property
    def _copy(self) -> Copy:
        return Copy(self.host, self.path, self.account, self.home)

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Copy it from a host that has it, or download it where it is to be downloaded."""
        if self._is_whole(actual):
            super().apply(host, actual, tell)  # it is only to be hashed again
            return

        def download() -> Copy:
            if self.download_on == CONTROLLER:
                return Copy(CONTROLLER, self.download_here(tell))
            super(DistributedModel, self).apply(host, actual, tell)
            return self._copy

        def take(source: Copy) -> None:
            with DISTRIBUTION.opened(source.host) as opened:
                place = Place(opened, source.path, source.account, source.home)
                target = Place(host, self.path, self.account, self.home)
                copy(place, target, key=self.key, model=self.model, script=self.copy_script, tell=tell)

        wanted = Wanted(self.name, self.key, self._copy, self.download_on)
        DISTRIBUTION.obtain(wanted, download=download, take=take, tell=tell)

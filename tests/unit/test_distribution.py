"""Who downloads a model, who waits, and who copies it from whom."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from provisioning.copies.place import SourceLostError
from provisioning.copies.wanted import CONTROLLER, Copy, Wanted
from provisioning.distribution import Distribution
from provisioning.errors import CommandError, ProvisioningError, UnreachableError
from provisioning.host import Host
from provisioning.transfer import Said

pytestmark = pytest.mark.timeout(120)


def unopened() -> Host:
    raise AssertionError("nobody connects here")


@dataclass
class Run:
    """Hosts that are to have the model, side by side; what they do is noted."""

    hosts: tuple[str, ...]
    download_on: str = "auto"
    download: Callable[[str], Copy] = Copy
    take: Callable[[str, str], None] = lambda host, source: None
    having: tuple[str, ...] = ()
    did: list[str] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.distribution = Distribution()
        self.distribution.expect(dict.fromkeys(self.hosts, unopened))
        for host in self.hosts:
            self.distribution.begin(host)

    def all(self) -> dict[str, ProvisioningError | None]:
        """Let every host get it; give each one's error."""
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            return dict(zip(self.hosts, pool.map(self._work, self.hosts), strict=True))

    def _work(self, host: str) -> ProvisioningError | None:
        if host in self.having:
            self.distribution.offer("key", Copy(host, "/m"))
        self.distribution.seen(host)
        try:
            if host not in self.having:
                wanted = Wanted("model m", "key", Copy(host, "/m"), self.download_on)
                self.distribution.obtain(
                    wanted,
                    download=lambda: self._download(host),
                    take=lambda source: self._take(host, source),
                    tell=self.said.append,
                )
        except ProvisioningError as error:
            return error
        finally:
            self.distribution.finish(host)
        return None

    def _download(self, host: str) -> Copy:
        self.did.append(f"{host} downloads")
        return self.download(host, "/m") if self.download is Copy else self.download(host)

    def _take(self, host: str, source: Copy) -> None:
        self.take(host, source.host)
        self.did.append(f"{host} from {source.host}")

    @property
    def downloads(self) -> list[str]:
        return [each for each in self.did if each.endswith("downloads")]


def test_one_downloads_and_each_other_copies() -> None:
    serving: list[str] = []
    at_once: list[int] = []
    together = threading.Barrier(2)

    def take(host: str, source: str) -> None:
        serving.append(source)
        at_once.append(serving.count(source))
        if len(run.did) >= 2:
            together.wait(60)  # two copies go on at once, once two have it
        serving.remove(source)

    run = Run(tuple("abcd"), take=take)
    assert set(run.all().values()) == {None}
    assert len(run.downloads) == 1
    assert len(run.did) == 4
    assert set(at_once) == {1}, "each serves one at a time"


def test_where_one_has_it_nobody_downloads() -> None:
    run = Run(("a", "b", "c"), having=("c",))
    assert set(run.all().values()) == {None}
    assert not run.downloads


def test_the_host_that_is_told_downloads() -> None:
    run = Run(("a", "b", "c"), download_on="b")
    assert set(run.all().values()) == {None}
    assert run.downloads == ["b downloads"]


def test_the_controller_downloads_for_all() -> None:
    run = Run(("a", "b"), download_on=CONTROLLER, download=lambda host: Copy(CONTROLLER, "/here"))
    assert set(run.all().values()) == {None}
    assert len(run.downloads) == 1
    assert sum("from controller" in each for each in run.did) >= 1
    assert len(run.did) == 3


def fails(error: ProvisioningError) -> Callable[[str], Copy]:
    def download(host: str) -> Copy:
        raise error

    return download


def test_a_download_that_fails_is_not_tried_by_every_host() -> None:
    run = Run(("a", "b", "c"), download=fails(CommandError("404")))
    errors = [str(error) for error in run.all().values()]
    assert len(run.downloads) == 1
    assert sum("404" in error for error in errors) == 1
    assert sum("was to be downloaded on" in error for error in errors) == 2


def test_a_host_that_is_away_leaves_it_to_the_next() -> None:
    def download(host: str) -> Copy:
        if len(run.downloads) == 1:
            raise UnreachableError(f"{host}: no connection")
        return Copy(host, "/m")

    run = Run(("a", "b", "c"), download=download)
    errors = list(run.all().values())
    assert len(run.downloads) == 2
    assert sum(error is not None for error in errors) == 1


def test_the_host_that_is_told_is_not_in_this_run() -> None:
    (error,) = Run(("a",), download_on="z").all().values()
    assert "model m was to be downloaded on z" in str(error)
    assert "choose it with --hosts" in str(error)


def test_a_source_that_is_lost_is_replaced() -> None:
    def take(host: str, source: str) -> None:
        if source == "lost":
            raise SourceLostError("lost has not the model", cause="no such file")

    run = Run(("lost", "a", "b"), having=("lost",), take=take)
    assert set(run.all().values()) == {None}
    assert len(run.downloads) == 1
    assert "lost has not the model (no such file)" in run.said


def test_who_has_not_begun_is_not_waited_for() -> None:
    distribution = Distribution()
    distribution.expect({"a": unopened, "later": unopened})
    distribution.begin("a")
    distribution.seen("a")
    done: list[str] = []
    wanted = Wanted("model m", "key", Copy("a", "/m"))
    distribution.obtain(
        wanted,
        download=lambda: (done.append("a"), Copy("a", "/m"))[1],
        take=lambda source: None,
        tell=lambda said: None,
    )
    assert done == ["a"]

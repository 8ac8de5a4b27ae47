"""`init`: where the inventory is written, and that nothing is overwritten."""

from __future__ import annotations

import resource
import threading
from pathlib import Path

import pytest

from provisioning.errors import ConfigurationError
from provisioning.init import place
from provisioning.inventory_file import PROJECT


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_where_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.choose("") == Path("inventory.yaml")
    assert place.choose("x.yaml") == Path("x.yaml")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        place.choose("nowhere/x.yaml")
    monkeypatch.chdir(PROJECT)
    assert place.choose("") == Path("inventory.local.yaml"), "the project's own stays"


@pytest.mark.parametrize("there", ["file", "link", "folder"])
def test_nothing_that_is_there_is_overwritten(there: str) -> None:
    path = Path("inventory.yaml")
    {"file": path.touch, "link": lambda: path.symlink_to("nowhere"), "folder": path.mkdir}[there]()
    with pytest.raises(ConfigurationError, match="is there already") as caught:
        place.choose("")
    assert "--output other.yaml" in caught.value.remedy


def test_a_full_disk_is_told() -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(ConfigurationError, match="cannot be written"), place.draft(Path("x.yaml")) as draft:
            draft.write("all:\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(Path().iterdir())


@pytest.mark.parametrize("links", [True, False])
def test_one_of_many_at_once_gets_the_place(links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:
        monkeypatch.setattr(place.os, "link", refuse_links)
    target, refused, begin = Path("inventory.yaml"), [], threading.Barrier(8)

    def write(number: int) -> None:
        with place.draft(target) as draft:
            draft.write(f"{number}\n")
            begin.wait(60)
            try:
                draft.put()
            except ConfigurationError as error:
                refused.append(error.message)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert target.read_text().strip() in map(str, range(8))
    assert list(Path().iterdir()) == [target], "no draft is left"


def refuse_links(source: Path, target: Path) -> None:
    raise PermissionError(1, "Operation not permitted")

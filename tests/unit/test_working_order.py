"""Who works for others comes before them."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.commands import load
from provisioning.errors import ConfigurationError
from provisioning.inventory import HostEntry
from provisioning.working_order import helpers_first, require_in_time

BUILT = "all: {hosts: {a: {build: {'on': c}}, b: , c: , d: {build: {'on': c}}}}\n"
SPREAD = """
all:
  hosts: {a: , b: , c: }
  vars:
    models:
      one: {id: x/one, distribute: once, download_on: b}
      two: {id: x/two, distribute: once, download_on: c}
    services: {one: {model: one, port: 1}, two: {model: two, port: 2}}
"""


def chosen(tmp_path: Path, text: str, hosts: str = "") -> list[HostEntry]:
    file = tmp_path / "inventory.yaml"
    file.write_text(text)
    return helpers_first(load(str(file), hosts))


def names(entries: list[HostEntry]) -> str:
    return "".join(entry.name for entry in entries)


def test_helpers_come_first_and_else_all_stays_in_order(tmp_path: Path) -> None:
    assert names(chosen(tmp_path, BUILT)) == "cabd"
    assert names(chosen(tmp_path, BUILT, "a,b,d")) == "abd", "who is not chosen is not waited for"


def test_hosts_that_work_for_each_other_share_a_batch(tmp_path: Path) -> None:
    """Each of two downloads one model: that comes to its end, but not in two batches."""
    entries = chosen(tmp_path, SPREAD)
    assert names(entries) == "cba"
    require_in_time([entries[:2], entries[2:]])
    with pytest.raises(ConfigurationError, match="c and b work for each other"):
        require_in_time([entries[:1], entries[1:]])

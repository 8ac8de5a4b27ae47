"""Who compiles for whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.builders import Builders
from provisioning.commands import load
from provisioning.errors import ConfigurationError


def test_a_builder_of_this_run_is_waited_for() -> None:
    builders = Builders()
    builders.expect({"a": "auto", "b": "a", "c": "elsewhere"})
    builders.wait_for("elsewhere")
    builders.finish("a")
    builders.wait_for("a")


@pytest.mark.parametrize("on", [{"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "auto"}])
def test_a_builder_has_no_builder(on: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"a: build\.on is b"):
        Builders().expect(on)


def test_a_builder_is_a_host_of_the_inventory(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text("all: {hosts: {one: {build: {'on': builder}}, builder1: , two: {build: {'on': localhost}}}}\n")
    with pytest.raises(ConfigurationError, match=r'inventory.yaml:1: .*on: no host is called "builder"') as refused:
        load(str(file), "one")
    assert "builder1" in str(refused.value)
    assert load(str(file), "two"), "what is not chosen does no harm"

"""Who compiles for whom."""

from __future__ import annotations

import pytest

from provisioning.builders import Builders
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

"""Who compiles for whom."""

from __future__ import annotations

from provisioning.builders import Builders


def test_a_builder_of_this_run_is_waited_for() -> None:
    builders = Builders()
    builders.expect("abc")
    builders.wait_for("elsewhere")
    builders.finish("a")
    builders.wait_for("a")

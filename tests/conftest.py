"""Which tests run one after another: two run side by side, and a machine that took minutes to make is made once."""

from __future__ import annotations

import pytest
from hosts import serving

PROVISIONED = {"provisioned", "provisioned_by_admin", "life"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that share a machine into one group of pytest-xdist; unit tests fill the gaps."""
    fixtures: dict[object, set[str]] = {}
    for item in items:
        fixtures.setdefault(_module(item), set()).update(getattr(item, "fixturenames", ()))
    for item in items:
        module = _module(item)
        if getattr(module, "served", None) is serving.served:
            group = "served"
        elif fixtures[module] & PROVISIONED:
            group = "provisioned"
        elif "hosts" in item.path.parts:
            group = item.path.stem
        else:
            continue
        item.add_marker(pytest.mark.xdist_group(group))


def _module(item: pytest.Item) -> object:
    return getattr(item, "module", None)

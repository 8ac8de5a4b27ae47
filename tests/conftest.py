"""Which tests run one after another: two run side by side, and a machine that took minutes to make is made once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARED = {
    "served": ("e2e/test_up", "hosts/test_service_faults", "hosts/test_this_machine"),
    "provisioned": tuple(
        f"hosts/test_{name}"
        for name in (
            *("compile", "distribution", "download", "download_modelscope", "fleet", "hanging", "idempotence"),
            *("interruptions", "locking", "miniconda", "offline", "offline_conda", "packages", "quoting", "removal"),
            "rolling",
        )
    ),
}
"""Modules whose tests copy one and the same machine. One that is left out here makes a machine of its own."""


class ByMachine(LoadScopeScheduling):
    """Tests of one machine go to one worker, in order; unit tests go wherever there is time."""

    def _split_scope(self, nodeid: str) -> str:
        module = re.sub(r"^(?:.*/)?((?:e2e|hosts|unit)/\w+)\.py::.*", r"\1", nodeid, flags=re.DOTALL)
        if module.startswith("unit/"):
            return nodeid
        return next((machine for machine, modules in SHARED.items() if module in modules), module)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByMachine:
    """Take ours."""
    return ByMachine(config, log)

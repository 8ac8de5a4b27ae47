"""Which tests run one after another: two run side by side, and a machine that took minutes to make is made once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

SHARED = {
    "served": (
        "e2e/test_up",
        "hosts/test_infer",
        "hosts/test_service_faults",
        "hosts/test_this_machine",
        "hosts/test_webui",
        "hosts/test_webui_kept",
    ),
    "chaos": ("chaos/test_chaos", "chaos/test_cut_off", "chaos/test_short_way"),
    "provisioned": tuple(
        f"hosts/test_{name}"
        for name in (
            *("compile", "distribution", "download", "download_modelscope", "fleet", "hanging", "hanging_changes"),
            *(
                "idempotence",
                "interruptions",
                "locking",
                "miniconda",
                "offline",
                "offline_conda",
                "packages",
                "quoting",
                "removal",
            ),
            *("rolling", "trust"),
        )
    ),
}
"""Modules whose tests copy one and the same machine. One that is left out here makes a machine of its own."""


# The same examples every day, so that no chance finding blocks anybody; new ones, and many more, in the full run.
settings.register_profile(
    "everyday", derandomize=True, max_examples=40, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("full", deadline=None, max_examples=600, suppress_health_check=list(HealthCheck))


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples are tried."""
    settings.load_profile("full" if config.getoption("markexpr") == "full or not full" else "everyday")


class ByMachine(LoadScopeScheduling):
    """Tests of one machine go to one worker, in order; unit tests go wherever there is time."""

    def _split_scope(self, nodeid: str) -> str:
        module = re.sub(r"^(?:.*/)?((?:chaos|e2e|hosts|unit)/\w+)\.py::.*", r"\1", nodeid, flags=re.DOTALL)
        if module.startswith("unit/"):
            return nodeid
        return next((machine for machine, modules in SHARED.items() if module in modules), module)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByMachine:
    """Take ours."""
    return ByMachine(config, log)

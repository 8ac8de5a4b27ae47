"""Rounds with something that breaks, one for each kind of fault every day, and many more on demand.

CHAOS_SEED=17 runs that round again; CHAOS_SEED=1000 CHAOS_ROUNDS=50 others. `./run test --full` runs the first 200.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hosts.machine import Machine

from .faults import FAULTS
from .rounds import Round, Start
from .world import DISK

EVERYDAY, ALL = len(FAULTS), 200
FIRST = int(os.environ.get("CHAOS_SEED", "0"))
COUNT = int(os.environ.get("CHAOS_ROUNDS") or (1 if "CHAOS_SEED" in os.environ else ALL))
LONG = () if {"CHAOS_SEED", "CHAOS_ROUNDS"} & os.environ.keys() else (pytest.mark.full,)
SEEDS = [pytest.param(seed, marks=LONG if seed >= EVERYDAY else ()) for seed in range(FIRST, FIRST + COUNT)]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_round(seed: int, starts: dict[str, Start], machine: Callable[..., Machine], tmp_path: Path) -> None:
    """Converged again, a host is as one that was never disturbed."""
    one = Round(seed)
    start = starts[one.start]
    one.run(start, machine("bookworm", like=start.machine, isolated=True, disk=DISK), tmp_path)

"""The whole job without any network: a machine packs, another one that reaches nothing serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning.clients.demo_model import QUESTIONS

from .controller import Controller
from .machine import Machine
from .serving import QUESTION, free_port, settings

pytestmark = [pytest.mark.full, pytest.mark.timeout(1500)]


def test_a_machine_that_reaches_nothing_serves(
    machine: Callable[..., Machine], controller: Controller, tmp_path: Path
) -> None:
    port, bundle = free_port(), str(tmp_path / "bundle")
    told = {**settings(port), "environment": {"manager": "uv"}}
    connected = machine("bookworm")
    said = controller.manage(connected, **told).succeed("bundle", "--to", bundle, "--verbose", timeout=900)
    assert "holds" in said
    print("\n" + said.splitlines()[-1])
    connected.discard()
    bare = machine("bookworm", isolated=True)
    assert bare.island
    lost = bare.island.refused
    said = controller.manage(bare, **told).succeed("up", "--offline", bundle, "--verbose", timeout=900)
    print("\n".join(line for line in said.splitlines() if "│" not in line))
    assert f"? {QUESTION}\n  {QUESTIONS[QUESTION]}" in said
    assert "Network is unreachable" in bare.run("bash -c 'exec 3<>/dev/tcp/192.0.2.1/80'", check=False).stderr
    print(bare.island.refused - lost, "packets without a route")
    assert "nothing to do" in controller.succeed("up", "--offline", bundle)
    assert "nothing to do" in controller.succeed("plan")

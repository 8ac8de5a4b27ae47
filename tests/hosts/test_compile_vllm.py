"""The real vLLM, compiled over SSH on a Debian 13 machine: half an hour on two cores. See vllm_builder for its sources.

What it costs is measured by benchmarks/compile.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioning.clients.demo_model import QUESTIONS

from . import vllm_builder
from .controller import Controller
from .machine import Machine
from .serving import QUESTION, answer, free_port

pytestmark = [pytest.mark.timeout(3600), pytest.mark.full]


@dataclass
class Compiled:
    """The machine that compiled, the controller that has the wheel, and what was said."""

    machine: Machine
    controller: Controller
    said: str


@pytest.fixture(scope="module")
def compiled(module_machine: Callable[..., Machine], tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    machine = vllm_builder.make(module_machine)
    controller = Controller(tmp_path_factory.mktemp("vllm") / "home")
    controller.manage(machine, **vllm_builder.settings())
    return Compiled(machine, controller, controller.succeed("build", "--verbose", timeout=3 * 3600))


def test_it_computes_what_transformers_does(compiled: Compiled) -> None:
    assert "generates what transformers does in float32" in compiled.said
    (manifest,) = compiled.controller.home.glob(".local/share/vllm-provisioning/wheels/*/manifest.json")
    about = json.loads(manifest.read_text())
    assert about["onednn"]["version"] == "3.7.2"
    assert {"_C", "_C_AVX2"} <= set(about["variants"])


def test_again_there_is_nothing_to_do(compiled: Compiled) -> None:
    assert "nothing to do" in compiled.controller.succeed("build")


def test_ccache_has_all_of_it_for_another_build(compiled: Compiled) -> None:
    controller = compiled.controller.manage(compiled.machine, **vllm_builder.settings(cmake_args="-DANOTHER=1"))
    said = controller.succeed("build", "--verbose", timeout=1800)
    (hits,) = (line for line in said.splitlines() if "ccache: Hits:" in line)
    assert float(hits.rpartition("(")[2].rstrip("%) ")) > 99, said


def test_another_host_takes_the_wheel_and_serves(
    compiled: Compiled, machine: Callable[..., Machine], tmp_path: Path
) -> None:
    port = free_port()
    told = vllm_builder.settings()
    told |= {"models": {"demo": {"method": "demo"}}, "services": {"demo": {"model": "demo", "port": port}}}
    two = vllm_builder.make(machine)
    said = compiled.controller.manage(two, **told).succeed("up", "--verbose", timeout=900)
    assert "compiling" not in said
    assert answer(port) == QUESTIONS[QUESTION]

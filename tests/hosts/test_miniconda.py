"""Miniconda from servers that misbehave. The installer is a stand-in: see miniconda.py for what it proves and what not.

Its hash is pinned as the real ones are, in miniconda.yaml: these tests run a copy of the program with another file.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from .controller import Controller
from .machine import Machine
from .miniconda import PINNED_FILE as FILE
from .miniconda import make_installer, pin_installer
from .provisioned import Provisioned
from .proxy import Proxy
from .servers import FileServer

pytestmark = pytest.mark.timeout(240)
MachineFactory = Callable[..., Machine]

LATEST = "Miniconda3-latest-Linux-x86_64.sh"
MEGABYTE = 2**20
SIZE = 8 * MEGABYTE
HOME = "/var/lib/vllm"


@pytest.fixture(scope="module")
def one(module_machine: MachineFactory, provisioned: Provisioned) -> Machine:
    """A provisioned machine without Miniconda; each test puts it elsewhere."""
    return module_machine("bookworm", like=provisioned.machine)


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A stand-in for the pinned installer, and the program with its hash in place of the real one's."""
    return pin_installer(tmp_path_factory.mktemp("pinned"), megabytes=SIZE // MEGABYTE)


@dataclass
class Mirrors:
    """Two folders of one server, and a place on the machine that this test has for itself."""

    server: FileServer
    controller: Controller
    machine: Machine
    path: str

    def settings(self, **more: Any) -> dict[str, Any]:
        miniconda = {"path": f"~/{self.path}", "mirrors": [self.server.url("first"), self.server.url("second")]}
        changes = {"miniconda": {**miniconda, **more.pop("miniconda", {})}}
        return {"environment": {"manager": "conda", "python": "3.11"}, **changes, **more}

    def manage(self, *, user: str = "root", through: Proxy | None = None, **more: Any) -> Controller:
        return self.controller.manage(self.machine, user=user, through=through, **self.settings(**more))

    def is_installed(self) -> None:
        """Installed, with its environment, nothing left behind, and nothing to do."""
        python = f"{HOME}/{self.path}/envs/vLLM/bin/python"
        assert self.machine.run(f"{python} -c 'import sys; print(sys.version_info[:2])'").stdout == "(3, 11)\n"
        assert not self.machine.run(f"find {HOME} -name '*.part' -o -name '*.installing'").stdout
        assert "nothing to do" in self.controller.succeed("provision")

    def is_absent(self) -> None:
        assert not self.machine.run(f"ls -d {HOME}/{self.path}*", check=False).stdout


@pytest.fixture
def mirrors(
    one: Machine,
    pinned: tuple[Path, Path],
    file_server: FileServer,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Mirrors]:
    installer, project = pinned
    for name in ("first", "second"):
        (file_server.folder / name).mkdir()
        shutil.copy(installer, file_server.folder / name)
    yield Mirrors(file_server, Controller(tmp_path / "home", project), one, request.node.name.replace("_", "-"))
    one.run(f"rm -rf {HOME}/.cache/vllm-provisioning")


def test_installed_once(mirrors: Mirrors) -> None:
    """A right hash; one download; one block for each shell, also after another installation."""
    for path in ("conda-one", "conda-two"):
        mirrors.path = path
        output = mirrors.manage().succeed("provision")
        assert "SHA-256" not in output
        mirrors.is_installed()
    assert mirrors.server.sent(f"first/{FILE}") == 2 * SIZE
    assert not mirrors.server.asked(f"second/{FILE}")
    blocks = mirrors.machine.run(f"grep -c '>>> conda initialize >>>' {HOME}/.bashrc {HOME}/.zshrc").stdout.split()
    assert blocks == [f"{HOME}/.bashrc:1", f"{HOME}/.zshrc:1"]


def test_the_second_mirror_is_used_and_the_firsts_words_are_shown(mirrors: Mirrors) -> None:
    mirrors.server.fail(f"first/{FILE}", status=403, body="<h1>blocked by  the <b>policy</b> of the campus</h1>")
    output = mirrors.manage().succeed("provision")
    assert "403" in output
    assert "blocked by the policy of the campus" in output
    assert mirrors.server.sent(f"second/{FILE}") == SIZE
    mirrors.is_installed()


def test_all_mirrors_fail(mirrors: Mirrors) -> None:
    mirrors.server.fail(f"first/{FILE}", status=403, body="not for you")
    mirrors.server.fail(f"second/{FILE}", status=404)
    done = mirrors.manage().run("provision")
    assert done.code == 1, done.output
    for words in ("not for you", "404", "no mirror gave the installer (miniconda.mirrors)"):
        assert words in done.output
    mirrors.is_absent()


def test_a_wrong_hash_is_refused(mirrors: Mirrors) -> None:
    """By a mirror that was tampered with; the second one is honest."""
    make_installer(mirrors.server.folder / "first" / FILE, megabytes=1, version="6.6.6")
    output = mirrors.manage().succeed("provision")
    assert "wrong SHA-256" in output
    assert mirrors.machine.run(f"{HOME}/{mirrors.path}/bin/conda --version").stdout == "conda 25.7.0\n"
    mirrors.is_installed()


def test_a_wrong_hash_everywhere_installs_nothing(mirrors: Mirrors) -> None:
    for name in ("first", "second"):
        make_installer(mirrors.server.folder / name / FILE, megabytes=1, version="6.6.6")
    done = mirrors.manage().run("provision")
    assert done.code == 1, done.output
    assert done.output.count("wrong SHA-256") >= 2
    mirrors.is_absent()
    assert not mirrors.machine.run(f"find {HOME}/.cache -type f", check=False).stdout


def test_the_latest_version_is_said_to_be_unchecked(mirrors: Mirrors) -> None:
    shutil.copy(mirrors.server.folder / "first" / FILE, mirrors.server.folder / "first" / LATEST)
    output = mirrors.manage(miniconda={"version": "latest"}).succeed("provision")
    assert "not checked" in output
    mirrors.is_installed()


# Interrupted downloads


def test_the_server_cuts_the_download(mirrors: Mirrors) -> None:
    mirrors.server.fail(f"first/{FILE}", cut_after=3 * MEGABYTE, times=2)
    mirrors.manage().succeed("provision")
    assert mirrors.server.sent(f"first/{FILE}") == SIZE
    ranges = [request.headers.get("Range") for request in mirrors.server.asked(f"first/{FILE}")]
    assert ranges == [None, f"bytes={3 * MEGABYTE}-", f"bytes={6 * MEGABYTE}-"]
    mirrors.is_installed()


def test_the_server_cannot_resume(mirrors: Mirrors) -> None:
    """It cuts, and answers the ranged request with everything: begun anew, never appended."""
    mirrors.server.fail(f"first/{FILE}", cut_after=MEGABYTE, ignore_range=True, times=1)
    running = mirrors.manage().start("provision", "--verbose")
    while not mirrors.server.asked(f"first/{FILE}"):
        assert running.process.poll() is None, running.output
        time.sleep(0.02)
    mirrors.server.fail(f"first/{FILE}", ignore_range=True)
    done = running.done()
    assert done.code == 0, done.output
    mirrors.is_installed()


def test_the_connection_is_cut_while_it_downloads(mirrors: Mirrors, proxy: Callable[[Machine], Proxy]) -> None:
    line = proxy(mirrors.machine)
    mirrors.server.fail(f"first/{FILE}", stall_after=3 * MEGABYTE)
    running = mirrors.manage(through=line).start("provision", "--verbose")
    _wait_for_bytes(mirrors)
    running.wait_for("downloading")  # the job has begun some time before the run follows it
    line.cut()
    running.wait_for("the job goes on")
    mirrors.server.resume()
    done = running.done()
    assert done.code == 0, done.output
    assert mirrors.server.sent(f"first/{FILE}") == SIZE
    mirrors.is_installed()


def test_the_controller_is_killed_while_it_downloads(mirrors: Mirrors) -> None:
    mirrors.server.fail(f"first/{FILE}", stall_after=3 * MEGABYTE)
    first = mirrors.manage().start("provision")
    _wait_for_bytes(mirrors)
    first.send(signal.SIGKILL)
    first.done()
    second = mirrors.controller.start("provision", "--verbose")
    second.wait_for("this job runs already")
    mirrors.server.resume()
    done = second.done()
    assert done.code == 0, done.output
    assert mirrors.server.sent(f"first/{FILE}") == SIZE
    mirrors.is_installed()


def test_the_power_fails_while_it_downloads(
    mirrors: Mirrors, machine: MachineFactory, provisioned: Provisioned
) -> None:
    """On a machine of its own. The next run takes up what the disk has."""
    mirrors.machine = machine("bookworm", like=provisioned.machine)
    mirrors.server.fail(f"first/{FILE}", stall_after=3 * MEGABYTE)
    running = mirrors.manage().start("provision")
    _wait_for_bytes(mirrors)
    mirrors.machine.power_off()
    mirrors.machine.boot()
    assert running.done().code == 1, running.output
    mirrors.server.heal()
    output = mirrors.controller.succeed("provision", "--verbose")
    assert "resuming after" in output
    assert mirrors.server.sent(f"first/{FILE}") < SIZE + MEGABYTE
    mirrors.is_installed()


def test_the_disk_is_full(mirrors: Mirrors, machine: MachineFactory, provisioned: Provisioned) -> None:
    """Said with the space that is left; resumed when there is more."""
    mirrors.machine = machine("bookworm", like=provisioned.machine, disk=64 * MEGABYTE)
    free = int(mirrors.machine.run("df --output=avail -B1 / | tail -n 1").stdout)
    mirrors.machine.run(f"head -c {free - SIZE // 2} /dev/zero >/srv/full")
    done = mirrors.manage().run("provision")
    assert done.code == 1, done.output
    assert "cannot write" in done.output
    assert "free" in done.output
    mirrors.machine.run("rm /srv/full")
    output = mirrors.controller.succeed("provision", "--verbose")
    assert "resuming after" in output
    assert mirrors.server.asked(f"first/{FILE}")[-1].status == 206
    mirrors.is_installed()


def _wait_for_bytes(mirrors: Mirrors, amount: int = 3 * MEGABYTE - 2**16, timeout: float = 60) -> None:
    """On the machine's disk: what was sent may not have come there yet."""
    part = mirrors.machine.root / f"{HOME.lstrip('/')}/.cache/vllm-provisioning/{FILE}.part"
    deadline = time.monotonic() + timeout
    while not part.exists() or part.stat().st_size < amount:
        assert time.monotonic() < deadline, "nothing is being downloaded"
        time.sleep(0.05)


# What is there already


def test_condarc_is_merged_and_put_back(mirrors: Mirrors, machine: MachineFactory, provisioned: Provisioned) -> None:
    mirrors.machine = one = machine("bookworm", like=provisioned.machine)
    theirs = "# mine\nchannels:\n  - bioconda\nauto_activate_base: false\n"
    one.run("cat >~/.condarc; printf 'alias ll=\"ls -l\"\\n' >>~/.bashrc", user="operator", input=theirs)
    bashrc = one.run("cat ~/.bashrc", user="operator").stdout
    mirrors.manage(user="operator", pip={"index": "tuna"}).succeed("provision")
    merged = one.run("cat ~/.condarc", user="operator").stdout
    content = yaml.safe_load(merged)
    assert content["auto_activate_base"] is False
    assert content["channels"] == ["conda-forge", "bioconda"]
    assert "mirrors.tuna.tsinghua.edu.cn" in content["custom_channels"]["conda-forge"]
    assert one.run("stat -c '%U %a' ~/.condarc", user="operator").stdout == "operator 600\n"
    assert "pypi.tuna.tsinghua.edu.cn" in one.run("cat ~/.config/pip/pip.conf", user="operator").stdout
    assert "nothing to do" in mirrors.controller.succeed("provision")
    assert one.run("cat ~/.condarc", user="operator").stdout == merged
    history = f"~/{mirrors.path}/envs/vLLM/conda-meta/history"
    assert "conda-forge" in one.run(f"cat {history}", user="operator").stdout, "nobody accepted Anaconda's terms"

    mirrors.controller.succeed("remove", "--yes")
    assert one.run("cat ~/.condarc", user="operator").stdout == theirs
    assert not one.run("ls -d ~/.config/pip/pip.conf ~/miniconda3", user="operator", check=False).stdout
    assert one.run("cat ~/.bashrc", user="operator").stdout.rstrip() == bashrc.rstrip()


def test_one_that_does_not_work_is_mended_and_stays(
    mirrors: Mirrors, machine: MachineFactory, provisioned: Provisioned
) -> None:
    """It is a person's: environments of theirs are in it."""
    mirrors.machine = one = machine("bookworm", like=provisioned.machine)
    conda = f"~/{mirrors.path}"
    broken = f"mkdir -p {conda}/bin {conda}/envs/mine; echo '#!/gone/python' >{conda}/bin/conda"
    one.run(f"{broken}; chmod +x {conda}/bin/conda", user="operator")
    said = mirrors.manage(user="operator").succeed("provision")
    assert "again: the conda that is there does not work" in said
    one.run(f"test -d {conda}/envs/mine && {conda}/bin/conda --version", user="operator")
    assert "nothing to do" in mirrors.controller.succeed("provision")
    made = mirrors.controller.succeed("--dry", "remove")
    assert "remove environment " in made
    assert "remove miniconda " not in made


def test_auto_falls_to_uv_and_stays_there(mirrors: Mirrors, machine: MachineFactory, provisioned: Provisioned) -> None:
    mirrors.machine = one = machine("bookworm", like=provisioned.machine)
    one.run(f"rm -rf /var/lib/vllm-provisioning/environment-manager {HOME}/venvs")
    for name in ("first", "second"):
        mirrors.server.fail(f"{name}/{FILE}", status=403)
    controller = mirrors.manage(environment={"manager": "auto", "python": "3.11"})
    output = controller.succeed("provision")
    assert "by uv" in output
    assert "it answers 403" in output
    one.run(f"test -x {HOME}/venvs/vLLM/bin/python")
    mirrors.server.heal()
    mirrors.server.requests.clear()
    assert "nothing to do" in controller.succeed("provision")
    assert not mirrors.server.requests


def test_auto_takes_conda_and_stays_there(mirrors: Mirrors, machine: MachineFactory, provisioned: Provisioned) -> None:
    mirrors.machine = one = machine("bookworm", like=provisioned.machine)
    one.run(f"rm -rf /var/lib/vllm-provisioning/environment-manager {HOME}/venvs")
    controller = mirrors.manage(environment={"manager": "auto", "python": "3.11"})
    controller.succeed("provision")
    mirrors.is_installed()
    for name in ("first", "second"):
        mirrors.server.fail(f"{name}/{FILE}", status=403)
    one.run(f"rm -rf {HOME}/{mirrors.path}")
    planned = controller.succeed("--dry", "provision")
    assert f"miniconda {HOME}/{mirrors.path}" in planned
    assert "it was chosen before" in planned

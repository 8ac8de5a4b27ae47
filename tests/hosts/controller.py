"""A person's machine: a home folder of its own, an inventory, and the command line, driven as a person drives it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .inventories import host_variables
from .machine import Machine
from .proxy import Proxy

PROJECT = Path(__file__).resolve().parents[2]
INVOKE = Path(sys.executable).with_name("invoke")
FORGOTTEN = re.compile(r"PROVISION_|SSH_AUTH_SOCK|SSH_AGENT_PID|XDG_|COLUMNS|LINES|FORCE_COLOR|NO_COLOR|TTY_")


@dataclass(frozen=True)
class Done:
    """How a command ended, and all that it said."""

    code: int
    output: str
    seconds: float


@dataclass
class Running:
    """A command that runs; `output` grows while it does."""

    process: subprocess.Popen[str]
    output: str = ""
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line

    def wait_for(self, words: str, timeout: float = 120) -> None:
        """Wait until it has said these words."""
        deadline = time.monotonic() + timeout
        while words not in self.output:
            assert self.process.poll() is None, f"it ended without saying {words!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"it did not say {words!r} within {timeout} s:\n{self.output}"
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it, as a terminal or an impatient person does."""
        self.process.send_signal(number)

    def done(self, timeout: float = 240) -> Done:
        """Wait for its end."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            raise AssertionError(f"it did not end within {timeout} s:\n{self.output}") from error
        self._reader.join(60)
        return Done(code, self.output, time.monotonic() - self.began)


class Controller:
    """Where commands are typed. Nothing of the real home, its keys or its agent is seen."""

    def __init__(self, folder: Path, project: Path = PROJECT) -> None:
        """`project` is the clone whose program is run."""
        self.home, self.project, self.user = folder, project, "root"
        self.inventory = folder / "inventory.yaml"
        self.ssh = folder / ".ssh"
        self.ssh.mkdir(mode=0o700, parents=True)
        self.environment = {name: value for name, value in os.environ.items() if not FORGOTTEN.match(name)}
        self.environment["HOME"] = str(folder)

    def log_in_as(self, user: str, **variables: str) -> Controller:
        """Log in to machines as this user from now on; `variables` are added to the environment."""
        self.user = user
        self.environment |= variables
        return self

    def know(self, *lines: str) -> None:
        """Write host keys down."""
        (self.ssh / "known_hosts").write_text("".join(lines))

    def manage(self, *machines: Machine, user: str = "", through: Proxy | None = None, **variables: Any) -> Controller:
        """Write an inventory of these machines, whose host keys are known; with `through`, one reached over a proxy."""
        hosts = {machine.name: host_variables(machine, user or self.user) for machine in machines}
        keys = [machine.known_hosts for machine in machines]
        if through:
            hosts[machines[0].name] |= {"ansible_host": through.address, "ansible_port": through.port}
            keys += [f"[{through.address}]:{through.port} {key.split(' ', 1)[1]}" for key in keys]
        self.know(*keys)
        return self.write({"all": {"hosts": hosts, "vars": variables}})

    def write(self, content: dict[str, Any]) -> Controller:
        """Write an inventory as it is given."""
        self.inventory.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        return self

    def start(self, *arguments: str, **variables: str) -> Running:
        """Start `invoke ARGUMENTS --inventory …`; `variables` are added to its environment."""
        return self._start(*arguments, "--inventory", str(self.inventory), **variables)

    def bare(self, *arguments: str) -> str:
        """Run `invoke ARGUMENTS`, a task that takes no inventory, to its good end; give what it said."""
        done = self._start(*arguments).done()
        assert done.code == 0, done.output
        return done.output

    def _start(self, *arguments: str, **variables: str) -> Running:
        command = [str(INVOKE), "--search-root", str(self.project), *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        environment = {**self.environment, **variables}
        process = subprocess.Popen(command, cwd=self.home, env=environment, text=True, errors="replace", **pipes)
        return Running(process)

    def run(self, *arguments: str, timeout: float = 240, **variables: str) -> Done:
        """Run it to its end."""
        return self.start(*arguments, **variables).done(timeout)

    def succeed(self, *arguments: str, timeout: float = 240, **variables: str) -> str:
        """Run it to its end, which is to be good; give what it said."""
        done = self.run(*arguments, timeout=timeout, **variables)
        assert done.code == 0, done.output
        return done.output

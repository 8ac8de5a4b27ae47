"""A machine that serves, brought up once for all tests by the command that a person types; others are its copies."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from provisioning.clients.demo_model import QUESTIONS

from .controller import PROJECT, Controller, Done
from .machine import Machine
from .snapshot import Snapshot, snapshot
from .system import free_port
from .watching import command_lines

KEY = pytest.StashKey["Served"]()
QUESTION = "天空为什么是蓝色的？"
BOOT = 400
"""Seconds that a machine which serves may take to boot: systemd waits for the first token."""


@dataclass
class Served:
    """A machine that is off, for others to be `like`; how it was before it was provisioned, and how that went."""

    machine: Machine
    port: int
    before: Snapshot
    first: Done
    command_lines: set[str] = field(default_factory=set)
    """Every process's command line meanwhile, here and on the machine."""


def settings(port: int, **changes: Any) -> dict[str, Any]:
    """Give the settings of the shipped inventory, on another port; `changes` are for its service."""
    shipped: dict[str, Any] = yaml.safe_load((PROJECT / "inventory.yaml").read_text())["all"]["vars"]
    shipped["services"]["demo"] |= {"port": port, **changes}
    return shipped


def served(config: pytest.Config, key: Path, folder: Path) -> Served:
    """Give the machine of this session that went from bare to an answer; the first who asks waits for it."""
    if KEY not in config.stash:
        machine = Machine("bookworm", key)
        config.add_cleanup(machine.discard)
        port, before, seen = free_port(), snapshot(machine.start()), set[str]()
        controller = Controller(folder).manage(machine, **settings(port))
        with command_lines(seen):
            first = controller.run("up", "--verbose", timeout=1100)
        machine.shutdown()
        config.stash[KEY] = Served(machine, port, before, first, seen)
    found = config.stash[KEY]
    assert found.first.code == 0, found.first.output
    return found


def client(port: int, key: str = "none") -> openai.OpenAI:
    """Give OpenAI's client for a service of a machine."""
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0, timeout=60)


def answer(port: int, question: str = QUESTION, *, key: str = "none", model: str = "demo") -> str:
    """Ask a service one question, directly."""
    asked: Any = [{"role": "user", "content": question}]
    done = client(port, key).chat.completions.create(model=model, messages=asked, max_tokens=200, temperature=0)
    return done.choices[0].message.content or ""


def answers(port: int) -> bool:
    """Whether the service gives the right answer now."""
    try:
        return answer(port) == QUESTIONS[QUESTION]
    except openai.OpenAIError:
        return False


def metric(port: int, name: str) -> float:
    """Give one of the numbers that vLLM keeps of itself."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        rows = re.findall(rf"^vllm:{name}\{{.*\}} (\S+)$", answer.read().decode(), re.MULTILINE)
    return sum(map(float, rows))


def wait_until(true: Callable[[], bool], what: str, timeout: float) -> float:
    """Wait until something is true; give the seconds that it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + timeout, f"no {what} within {timeout:.0f} s"
        time.sleep(0.3)
    return time.monotonic() - began


def state(machine: Machine, service: str = "demo") -> dict[str, Any]:
    """Give what serve.py last wrote about itself."""
    text = machine.run(f"cat /run/vllm/{service}/state.json", check=False).stdout
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


@contextmanager
def starting(machine: Machine, service: str = "demo") -> Iterator[None]:
    """Start a service, and hold it before it listens, until the context ends."""
    machine.run(f"systemctl start --no-block vllm@{service}")
    wait_until(lambda: any("api_server" in name for name in processes(machine)), "start", BOOT)
    server = process(machine, "api_server")
    machine.run(f"kill -STOP {server}")
    try:
        yield
    finally:
        machine.run(f"kill -CONT {server}")


def processes(machine: Machine, account: str = "vllm") -> dict[str, int]:
    """Give the processes of the account that serves: name to number."""
    rows = machine.run(f"ps -u {account} -o pid=,args=", check=False).stdout.splitlines()
    found = (row.strip().partition(" ") for row in rows)
    return {name.strip(): int(pid) for pid, _, name in found}


def process(machine: Machine, words: str) -> int:
    """Give the number of the process whose command line holds these words."""
    found = processes(machine)
    matching = [number for name, number in found.items() if words in name]
    assert matching, f"no process {words!r} among {list(found)}"
    return min(matching)


@contextmanager
def yielding(machine: Machine) -> Iterator[None]:
    """Let the engine compute only when nobody else wants to: else it may be done before anybody hears its first token.

    Its threads wait for one another by computing, and few cores are left to the server that passes tokens on.
    """
    numbers = [str(number) for name, number in processes(machine).items() if name.startswith("VLLM::")]
    assert numbers
    renice = (
        f"for number in {' '.join(numbers)}; do for thread in /proc/$number/task/*; do renice -n %d ${{thread##*/}}; "
    )
    machine.run(f"{renice % 19}done; done")
    try:
        yield
    finally:
        machine.run(f"{renice % 0}done; done")

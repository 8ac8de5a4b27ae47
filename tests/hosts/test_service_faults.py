"""What befalls a server: killed or stopped in any part it serves again by itself, busy it is left alone; and what
keeps one from starting is shown at once, with its cause.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .controller import Controller
from .machine import Machine
from .serving import BOOT, answers, client, free_port, process, served, settings, state, wait_until

pytestmark = pytest.mark.timeout(1200)
HEALTH = {"interval": 10, "hang_timeout": 20}
FEW = 2
"""Requests that the engine takes at once; the others wait."""
MANY = 64
TOKENS = 60


@dataclass
class Host:
    """A machine whose service has little room, and how long a start takes on it."""

    machine: Machine
    controller: Controller
    port: int
    start: float

    @property
    def patience(self) -> float:
        """Two minutes; on a slow or loaded machine twice the time of a start, and one minute more."""
        return max(120.0, 2 * self.start + 60)


@pytest.fixture(scope="module")
def host(
    pytestconfig: pytest.Config,
    ssh_key: Path,
    module_machine: Callable[..., Machine],
    tmp_path_factory: pytest.TempPathFactory,
) -> Host:
    """A copy of the machine that serves, told to take few requests at once before it starts."""
    folder = tmp_path_factory.mktemp("controller")
    bare = served(pytestconfig, ssh_key, folder / "first")
    machine = module_machine("bookworm", like=bare.machine, start=False)
    (machine.root / "etc/systemd/system/multi-user.target.wants/vllm@demo.service").unlink()
    machine.start(BOOT)
    controller = Controller(folder / "later")
    port = free_port()
    # Eager: it starts sooner, and what befalls it is the same.
    told = settings(port, eager=True, arguments=["--max-num-seqs", str(FEW)], health=HEALTH)
    began = time.monotonic()
    said = controller.manage(machine, **told).succeed("serve", timeout=400)
    assert "start at boot" in said
    return Host(machine, controller, port, time.monotonic() - began)


FULL = pytest.mark.full


@FULL
def test_a_long_queue_is_waited_for(host: Host) -> None:
    """The engine is busy for longer than a hang may last, and its own questions wait in the queue too."""
    pid = process(host.machine, "api_server")
    patient = client(host.port).with_options(timeout=500)
    began = time.monotonic()

    def ask_again_and_again(number: int) -> list[int]:
        made = []
        while not made or time.monotonic() - began < 1.5 * HEALTH["hang_timeout"]:
            done = patient.completions.create(
                model="demo", prompt=f"{number} 天空", max_tokens=TOKENS, extra_body={"ignore_eos": True}
            )
            made.append(done.usage.completion_tokens if done.usage else 0)
        return made

    phases = set()
    with ThreadPoolExecutor(MANY) as pool:
        asked = [pool.submit(ask_again_and_again, number) for number in range(MANY)]
        while not all(each.done() for each in asked):
            phases.add(state(host.machine)["phase"])
            time.sleep(0.5)
    made = [tokens for each in asked for tokens in each.result()]
    print(f"\n{len(made)} requests of {MANY} at once, in {time.monotonic() - began:.0f} s")
    assert set(made) == {TOKENS}
    assert phases <= {"ready", "busy"}
    assert state(host.machine)["restarts"] == 0
    assert process(host.machine, "api_server") == pid


FAULTS = [
    pytest.param("Worker", "KILL", id="worker killed"),
    pytest.param("EngineCore", "STOP", id="engine stopped", marks=FULL),
    pytest.param("EngineCore", "KILL", id="engine killed", marks=FULL),
    pytest.param("api_server", "STOP", id="API server stopped", marks=FULL),
    pytest.param("api_server", "KILL", id="API server killed", marks=FULL),
    pytest.param("serve.py", "KILL", id="serve.py killed", marks=FULL),
    pytest.param("serve.py", "STOP", id="serve.py stopped", marks=FULL),
]


@pytest.mark.parametrize(("part", "signal"), FAULTS)
def test_it_serves_again_by_itself(host: Host, part: str, signal: str) -> None:
    server = process(host.machine, "api_server")
    began = time.monotonic()
    host.machine.run(f"kill -{signal} {process(host.machine, part)}")
    wait_until(lambda: not host.machine.run(f"ls -d /proc/{server}", check=False).stdout, "restart", 120)
    noticed = time.monotonic() - began
    wait_until(lambda: answers(host.port), "answer", host.patience)
    print(f"\n{part} {signal}: ended after {noticed:.0f} s, serves again after {time.monotonic() - began:.0f} s")
    assert time.monotonic() - began < host.patience
    wait_until(lambda: state(host.machine)["phase"] == "ready", "phase", 120)
    assert state(host.machine)["restarts"] >= 1
    assert host.machine.run("systemctl is-active vllm@demo").stdout == "active\n"
    # The next fault is the first of its own series: waits grow, and tests have no hours.
    host.machine.run("echo 1 >/run/vllm/demo/attempts")


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a service, and what people are to read about it."""

    cause: str
    prepare: str = ":"
    service: dict[str, Any] = field(default_factory=dict)
    path: str = ""


WEIGHTS = "/var/lib/vllm/ModelSpace/demo"
LITTLE = "[Service]\\nMemoryMax=600M\\nMemorySwapMax=0\\n"
MISTAKES = {
    "taken": Mistake("the port is taken"),
    "missing": Mistake("there is no such folder", path="/srv/missing"),
    "unreadable": Mistake(
        "no config.json that vllm can read",
        f"cp -r {WEIGHTS} /srv/private; chmod 700 /srv/private",
        path="/srv/private",
    ),
    "argument": Mistake("does not know an argument", service={"arguments": ["--max-modle-len", "100"]}),
    "unit": Mistake(
        "cannot start the program as its unit says",
        "mkdir /etc/systemd/system/vllm@unit.service.d; "
        "printf '[Service]\\nUser=nosuchuser\\n' >/etc/systemd/system/vllm@unit.service.d/mine.conf; "
        "systemctl daemon-reload",
    ),
    "truncated": Mistake(
        "the weights are incomplete",
        f"cp -a {WEIGHTS} /srv/cut; chmod -R a+rX /srv/cut; truncate -s 100000 /srv/cut/model.safetensors",
        path="/srv/cut",
    ),
    "compiler": Mistake("no C++ compiler", service={"environment": {"PATH": "/var/lib/vllm/venvs/vLLM/bin:/nowhere"}}),
    "memory": Mistake(
        "out of memory",
        "mkdir /etc/systemd/system/vllm@memory.service.d; "
        f"printf '{LITTLE}' >/etc/systemd/system/vllm@memory.service.d/mine.conf; "
        "systemctl daemon-reload",
    ),
}
SLOW = ("truncated", "compiler", "memory", "unit", "unreadable")


@pytest.mark.parametrize("name", [pytest.param(name, marks=FULL if name in SLOW else ()) for name in MISTAKES])
def test_a_failure_is_shown_at_once_with_its_cause(host: Host, name: str) -> None:
    mistake = MISTAKES[name]
    host.machine.run(mistake.prepare)
    told = settings(host.port)
    if mistake.path:
        told["models"][name] = {"path": mistake.path}
    port = host.port if name == "taken" else free_port()
    told["services"] = {name: {"model": name if mistake.path else "demo", "port": port, **mistake.service}}
    done = host.controller.manage(host.machine, **told).run("serve", timeout=300)
    print(f"\n{name}: shown after {done.seconds:.0f} s")
    assert done.code != 0
    if name == "taken":
        _waits_grow_and_end(host.machine, name)
    host.machine.run(f"systemctl disable --now vllm@{name}", check=False)
    assert mistake.cause in done.output, done.output
    assert done.seconds < 2 * host.start + 30, done.output
    assert answers(host.port)


def _wait_for(machine: Machine, name: str, words: str) -> None:
    log = f"journalctl --no-pager -o cat -u vllm@{name}"
    wait_until(lambda: words in machine.run(log).stdout, words, 180)


def _waits_grow_and_end(machine: Machine, name: str) -> None:
    for attempt, seconds in ((2, 2), (3, 4), (4, 8)):
        _wait_for(machine, name, f"attempt {attempt} of 10 in {seconds} s")
    # The other attempts would take a quarter of an hour.
    machine.run(f"echo 10 >/run/vllm/{name}/attempts")
    _wait_for(machine, name, "given up after 10 attempts")
    show = f"systemctl show vllm@{name} -p ActiveState -p ExecMainStatus"
    wait_until(lambda: machine.run(show).stdout.split() == ["ExecMainStatus=78", "ActiveState=failed"], "end", 60)

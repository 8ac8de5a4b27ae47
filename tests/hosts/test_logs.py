"""`logs --follow` of several hosts: every line once and whole, also when a line breaks; and nothing is left behind."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .controller import INVOKE, Controller, Running
from .inventories import host_variables
from .machine import Machine
from .proxy import Proxy
from .serving import wait_until
from .terminal import Terminal

pytestmark = pytest.mark.timeout(300)
SERVICES = {"one": {"model": "demo", "port": 8001}, "two": {"model": "demo", "port": 8002}}


def say(machine: Machine, service: str, *lines: str) -> None:
    """Let a service say something in the journal: as root one may speak of another unit."""
    fields = rf"MESSAGE=%s\nSYSLOG_IDENTIFIER=server\nOBJECT_SYSTEMD_UNIT=vllm@{service}.service\n"
    script = f"while IFS= read -r line; do printf '{fields}' \"$line\" | logger --journald; done; journalctl --sync"
    machine.run(script, input="".join(f"{line}\n" for line in lines))


def readers(machine: Machine) -> str:
    found: str = machine.run("pgrep -a -f '[j]ournalctl .*--follow'", check=False).stdout
    return found


@pytest.fixture
def line(bookworm: Machine, controller: Controller, proxy: Callable[[Machine], Proxy]) -> Proxy:
    """A machine under two names, one of them over a line that can break; and one that cannot be reached."""
    made = proxy(bookworm)
    hosts: dict[str, dict[str, Any]] = {
        "near": host_variables(bookworm),
        "far": {**host_variables(bookworm), "ansible_port": made.port},
        "away": {**host_variables(bookworm), "ansible_port": 1},
    }
    controller.know(bookworm.known_hosts, f"[{made.address}]:{made.port} {bookworm.known_hosts.split(' ', 1)[1]}")
    told = {"models": {"demo": {"method": "demo"}}, "services": SERVICES}
    controller.write({"all": {"hosts": hosts, "vars": told}})
    return made


@pytest.fixture
def following(line: Proxy, bookworm: Machine, controller: Controller) -> Iterator[Running]:
    say(bookworm, "one", "first", "second", "third")
    # journalctl may miss an entry that comes while it begins to follow a unit that has none.
    say(bookworm, "two", "earlier", "before")
    running = controller.start("logs", "--follow", "--lines", "2")
    yield running
    running.process.kill()
    running.done()


def test_every_line_once_also_when_the_line_breaks(following: Running, line: Proxy, bookworm: Machine) -> None:
    following.wait_for("away is away, and is tried again: cannot connect", 60)
    for host in ("near", "far"):
        following.wait_for(f"{host} one | ", 60)
    wait_until(lambda: readers(bookworm).count("\n") == 4, "reader for each service of each host", 60)
    say(bookworm, "two", "while all is well")
    wait_until(lambda: following.output.count("while all is well") == 2, "line of both", 60)
    line.refusing = True
    line.cut()
    following.wait_for("far is away, and is tried again", 60)
    say(bookworm, "one", *(f"meanwhile {number}" for number in range(20)))
    say(bookworm, "two", "meanwhile")
    following.wait_for("meanwhile 19", 60)
    line.refusing = False
    following.wait_for("far is back", 120)
    say(bookworm, "one", "at the end")
    wait_until(lambda: following.output.count("at the end") == 2, "last line of both", 60)
    wait_until(lambda: following.output.count("]: meanwhile\n") == 2, "other service of both", 60)
    rows = following.output.splitlines()
    expected = ["second", "third", *(f"meanwhile {number}" for number in range(20)), "at the end"]
    for host in ("near", "far"):
        said = [row.partition("]: ")[2] for row in rows if row.startswith(f"{host} one | ")]
        assert said == expected
        said = [row.partition("]: ")[2] for row in rows if row.startswith(f"{host} two | ")]
        assert said == ["earlier", "before", "while all is well", "meanwhile"]
    assert following.output.count("away is away") == 1
    following.send(signal.SIGINT)
    assert following.done(60).code == 0
    wait_until(lambda: not readers(bookworm), "end of all readers", 60)


def test_it_ends_with_its_reader(line: Proxy, bookworm: Machine, controller: Controller) -> None:
    """As in `… | head -1`, also where nothing more is said."""
    say(bookworm, "one", "hello")
    command = [INVOKE, "--search-root", controller.project, "logs", "--follow", "--inventory", controller.inventory]
    with subprocess.Popen(
        command, cwd=controller.home, env=controller.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout
        assert running.stdout.readline()
        running.stdout.close()
        assert running.wait(60) == 0


def test_host_after_host(line: Proxy, bookworm: Machine, controller: Controller) -> None:
    say(bookworm, "one", "hello")
    shown = controller.succeed("logs", "--hosts", "near,far", "--service", "one", "--lines", "1").splitlines()
    assert [row.partition(" | ")[0] for row in shown] == ["near", "far"]


def test_a_name_of_no_service_ends_it(line: Proxy, controller: Controller) -> None:
    done = controller.run("logs", "--follow", "--service", "tow", "--hosts", "near")
    assert done.code == 3
    assert 'Did you mean "two"?' in done.output


def test_a_service_without_a_log(bookworm: Machine, controller: Controller) -> None:
    told = {"models": {"demo": {"method": "demo"}}, "services": {"mute": {"model": "demo"}}}
    controller.know(bookworm.known_hosts)
    controller.write({"all": {"hosts": {"near": host_variables(bookworm)}, "vars": told}})
    done = controller.run("logs")
    assert (done.code, done.output) == (0, "near mute has logged nothing yet\n")


def test_a_colour_for_each_host(line: Proxy, bookworm: Machine, controller: Controller) -> None:
    say(bookworm, "two", "hello")
    shown = Terminal(controller, "logs", "--follow", "--service", "two", "--hosts", "near,far", "--lines", "1")
    shown.wait_until(lambda output: output.count("]: hello") == 2, "both lines")
    assert "\x1b[36mnear | \x1b[0m" in shown.output
    assert "\x1b[32mfar | \x1b[0m" in shown.output
    assert shown.interrupt() == 0

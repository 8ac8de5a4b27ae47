"""`init`: asks at a terminal, looks at real hosts, and writes an inventory that `plan` works with."""

from __future__ import annotations

import os
import signal

import pytest

from .controller import Controller
from .inventories import host_variables, ssh_config
from .machine import Machine
from .terminal import Dialogue

pytestmark = pytest.mark.timeout(300)
DECLINED, CONFIGURATION, INTERRUPTED = 8, 3, 130


def files(controller: Controller) -> set[str]:
    """What lies in the folder that commands are typed in."""
    return set(os.listdir(controller.home)) - {".ssh"}


def test_questions_at_a_terminal(bookworm: Machine, controller: Controller) -> None:
    controller.know(bookworm.known_hosts)
    place = f"root@{bookworm.address}:{bookworm.port}"
    (controller.ssh / "config").write_text(f"Host {bookworm.address}\n    IdentityFile {bookworm.key}\n")
    terminal = Dialogue(controller, "init")
    terminal.answer("localhost is this machine [localhost]: ", "gpu one")
    terminal.expect("'gpu one' is no host")
    terminal.answer("[localhost]: ", place)
    terminal.expect("Debian GNU/Linux 12 (bookworm); x86_64")
    terminal.expect("; no GPU; ")
    terminal.expect("as root")
    terminal.answer("Compute on cpu, cuda, or auto: what each host has [auto]: ", "gpu")
    terminal.expect("should be cpu, cuda or auto, not 'gpu'")
    terminal.answer("[auto]: ", "")
    terminal.answer("Mirrors: tsinghua, none, or auto [auto]: ", "none")
    terminal.answer("Model: demo, OWNER/NAME to download, or a folder on the hosts [", "demo")
    terminal.expect("wrote inventory.yaml")
    terminal.expect("invoke plan  # what would change")
    assert terminal.end() == 0, terminal.output
    assert files(controller) == {"inventory.yaml"}
    planned = controller.succeed("plan")
    assert f"{bookworm.address} model: " in planned
    again = Dialogue(controller, "init")
    assert again.end() == CONFIGURATION
    assert "is there already, and is never overwritten" in again.output


def test_who_stops_answering_leaves_nothing(bookworm: Machine, controller: Controller) -> None:
    controller.know(bookworm.known_hosts)
    (controller.ssh / "config").write_text(ssh_config([bookworm]))
    for number in (signal.SIGINT, signal.SIGHUP):
        terminal = Dialogue(controller, "init", "--hosts", bookworm.name)
        terminal.expect("[auto]: ")
        terminal.process.send_signal(number)
        assert terminal.end() == INTERRUPTED, terminal.output
        assert "Interrupted. Nothing was written." in terminal.output
        assert files(controller) == set()
    terminal = Dialogue(controller, "init")
    terminal.expect("[localhost]: ")
    terminal.press_ctrl_d()
    assert terminal.end() == DECLINED, terminal.output
    assert files(controller) == set()


def test_hosts_of_ssh_config_where_nobody_answers(bookworm: Machine, controller: Controller) -> None:
    controller.know(bookworm.known_hosts)
    off = "Host gone\n    HostName 127.0.0.1\n    Port 9\nHost other\n"
    (controller.ssh / "config").write_text(ssh_config([bookworm]) + off)
    said = controller.bare("init", "--from-ssh-config=[!go]*", "--output", "one.yaml", "--model", "demo")
    assert "device: auto, as --device was not given" in said
    assert "invoke plan --inventory one.yaml" in said
    said = controller.bare(
        "init", "--from-ssh-config", "--model", "demo", "--device", "cpu", "--mirrors", "none", "--yes"
    )
    assert "gone: cannot connect to 127.0.0.1:9" in said
    assert files(controller) == {"one.yaml", "inventory.yaml"}
    written = controller.inventory.read_text()
    assert "    # It could not be looked at: gone: cannot connect to 127.0.0.1:9\n    gone:\n" in written
    assert "ansible_" not in written, "what ~/.ssh/config says goes on to count"
    controller.inventory = controller.home / "one.yaml"
    assert f"{bookworm.name} model: " in controller.succeed("plan")


def test_hosts_of_an_ini_inventory(bookworm: Machine, controller: Controller) -> None:
    controller.know(bookworm.known_hosts)
    variables = " ".join(f"{name}={value}" for name, value in host_variables(bookworm).items())
    (controller.home / "hosts").write_text(f"[web]\n{bookworm.name} {variables} http_port=80\n")
    told = ("--from-ansible", "hosts", "--model", "/srv/model", "--yes")
    assert "would write inventory.yaml" in controller.bare("--dry", "init", *told)
    assert files(controller) == {"hosts"}
    said = controller.bare("init", *told)
    assert "left out: http_port" in said
    assert "wrote inventory.yaml" in said
    assert "path: /srv/model" in controller.inventory.read_text()

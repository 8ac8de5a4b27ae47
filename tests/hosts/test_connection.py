"""Reaching hosts: host keys, keys, passwords, retries, ~/.ssh/config, sudo. None of it changes a host."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning import fleet, inventory

from .controller import Controller, Done
from .inventories import host_variables, ssh_config
from .machine import ADMIN_PASSWORD, Machine
from .openai_server import OpenAiServer
from .proxy import Proxy
from .terminal import Terminal

pytestmark = pytest.mark.timeout(400)
PASSPHRASE = "a pass'phrase $HOME"
UNREACHABLE = 4


def only(machine: Machine, user: str = "root", **variables: object) -> dict[str, object]:
    """An inventory of one host with more variables of its own."""
    return {"all": {"hosts": {machine.name: {**host_variables(machine, user), **variables}}}}


def keygen(*arguments: object) -> str:
    command = ["ssh-keygen", "-q", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# Host keys


def test_an_unknown_host_key_is_refused_with_the_command_that_adds_it(
    bookworm: Machine, controller: Controller
) -> None:
    controller.write(only(bookworm))
    refused = controller.run("plan")
    assert refused.code == UNREACHABLE, refused.output
    fingerprint = bookworm.run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").stdout.split()[1]
    assert fingerprint in refused.output
    assert not (controller.ssh / "known_hosts").exists()
    found = re.search(r"ssh-keyscan -p \d+ \S+ >> \S+", refused.output)
    assert found, refused.output
    subprocess.run(["sh", "-c", found[0]], env=controller.environment, check=True, capture_output=True)
    controller.succeed("plan")


def test_accept_new_adds_an_unknown_key_and_refuses_a_changed_one(either: Machine, controller: Controller) -> None:
    controller.write(only(either, host_keys="accept-new"))
    known = controller.ssh / "known_hosts"
    known.write_text("# mine, and without an end of line")
    controller.succeed("plan")
    assert known.read_text() == "# mine, and without an end of line\n" + either.known_hosts
    controller.write(only(either))
    controller.succeed("plan")

    other = controller.home / "other"
    keygen("-t", "ed25519", "-N", "", "-f", other)
    place = either.known_hosts.split()[0]
    changed = " ".join([place, *other.with_suffix(".pub").read_text().split()[:2]]) + "\n"
    for host_keys in ("strict", "accept-new"):
        known.write_text(changed)
        refused = controller.write(only(either, host_keys=host_keys)).run("plan")
        assert refused.code == UNREACHABLE, refused.output
        assert "CHANGED" in refused.output
        assert "ssh-keygen -R" in refused.output
        assert known.read_text() == changed


# Keys


def encrypted(machine: Machine, controller: Controller) -> Path:
    """The key that lets root in, encrypted."""
    key = controller.home / "encrypted"
    shutil.copy(machine.key, key)
    keygen("-p", "-N", PASSPHRASE, "-f", key)
    return key


def test_an_encrypted_key(bookworm: Machine, controller: Controller, proxy: Callable[[Machine], Proxy]) -> None:
    line, key = proxy(bookworm), encrypted(bookworm, controller)
    controller.manage(bookworm, through=line)
    controller.write(only(bookworm, ansible_ssh_private_key_file=str(key), ansible_port=line.port))
    unknown = controller.run("plan")
    assert unknown.code == UNREACHABLE, unknown.output
    assert "PROVISION_KEY_PASSPHRASE" in unknown.output
    before = line.connections
    wrong = controller.run("plan", PROVISION_KEY_PASSPHRASE="not it")
    assert wrong.code == UNREACHABLE, wrong.output
    assert line.connections - before <= 2, "the first asks whether the key is encrypted, the second opens it"
    assert f"does not open the key {key}" in wrong.output
    output = controller.succeed("plan", PROVISION_KEY_PASSPHRASE=PASSPHRASE)
    assert PASSPHRASE not in output
    both = only(bookworm, ansible_ssh_private_key_file=str(key), ansible_port=line.port, ansible_password="not it")
    controller.write(both).succeed("plan", PROVISION_KEY_PASSPHRASE=PASSPHRASE)


def test_a_passphrase_is_asked_for_once_for_many_hosts_and_again_if_it_is_wrong(
    bookworm: Machine, controller: Controller
) -> None:
    key = encrypted(bookworm, controller)
    one = {**host_variables(bookworm), "ansible_ssh_private_key_file": str(key)}
    controller.manage(bookworm).write({"all": {"hosts": {"first": one, "second": one}}})
    shown = Terminal(controller, "plan", columns=200)
    shown.wait_for(f"passphrase of the SSH key {key}: ")
    shown.type("not it\n")
    shown.wait_for("(that was not it): ")
    assert not shown.shows_typing
    shown.type(f"{PASSPHRASE}\n")
    assert shown.end() == 0, shown.output
    assert shown.output.count("passphrase of") == 2
    assert "second" in shown.output
    assert PASSPHRASE not in shown.output
    left = Terminal(controller, "plan", columns=200)
    left.wait_for("passphrase of")
    left.wait_until(lambda _: not left.shows_typing, "a hidden prompt")
    assert left.interrupt() == 130
    assert left.shows_typing


def test_a_wrong_key_is_not_tried_again(
    bookworm: Machine, controller: Controller, proxy: Callable[[Machine], Proxy]
) -> None:
    line = proxy(bookworm)
    controller.manage(bookworm, through=line)
    key = controller.home / "foreign"
    keygen("-t", "ed25519", "-N", "", "-f", key)
    controller.write(only(bookworm, ansible_ssh_private_key_file=str(key), ansible_port=line.port))
    refused = controller.run("plan")
    assert refused.code == UNREACHABLE, refused.output
    assert "is not let in" in refused.output
    assert "ssh-copy-id" in refused.output
    assert line.connections == 1


# The line


def test_a_refused_connection_is_tried_again(
    bookworm: Machine, controller: Controller, proxy: Callable[[Machine], Proxy]
) -> None:
    line = proxy(bookworm)
    controller.manage(bookworm, through=line, connect_attempts=3)
    line.refusing = True
    began = time.monotonic()
    refused = controller.run("plan")
    assert refused.code == UNREACHABLE, refused.output
    assert line.connections == 3
    assert time.monotonic() - began > 2
    assert f"{line.address}:{line.port}" in refused.output
    assert "Traceback" not in refused.output

    running = controller.start("plan")
    while line.connections == 3:
        time.sleep(0.02)
    line.refusing = False
    done = running.done()
    assert done.code == 0, done.output


def test_a_port_where_nobody_listens_and_an_unknown_name(bookworm: Machine, controller: Controller) -> None:
    controller.know(bookworm.known_hosts)
    closed = controller.write(only(bookworm, ansible_port=1, connect_attempts=1)).run("plan")
    assert closed.code == UNREACHABLE
    assert f"cannot connect to {bookworm.address}:1" in closed.output
    nameless = controller.write(only(bookworm, ansible_host="no-such-host.invalid", connect_attempts=1)).run("plan")
    assert nameless.code == UNREACHABLE
    assert "no-such-host.invalid" in nameless.output


def test_a_key_file_that_is_not_there_is_passed_over_as_ssh_does(bookworm: Machine, controller: Controller) -> None:
    controller.know(bookworm.known_hosts)
    (controller.ssh / "config").write_text(f"Host *\n    IdentityFile {controller.ssh}/gone\n")
    missing = only(bookworm, ansible_ssh_private_key_file="~/.ssh/mislaid")
    refused = controller.write(missing).run("plan")
    assert refused.code == UNREACHABLE, refused.output
    assert f"root is not let in at {bookworm.address}" in refused.output
    assert "The key ~/.ssh/mislaid cannot be read: No such file or directory." in refused.output
    shutil.copy(bookworm.key, controller.ssh / "id_ed25519")
    controller.succeed("plan")


# ~/.ssh/config


def test_ssh_config_counts(bookworm: Machine, controller: Controller, proxy: Callable[[Machine], Proxy]) -> None:
    """HostName, Port, User, IdentityFile, UserKnownHostsFile and Include: the inventory has the name alone."""
    line = proxy(bookworm)
    known = controller.home / "keys of hosts"
    known.write_text(f"[{line.address}]:{line.port} {bookworm.known_hosts.split(' ', 1)[1]}")
    config = ssh_config([bookworm], "operator").replace(f"Port {bookworm.port}", f"Port {line.port}")
    config = re.sub("UserKnownHostsFile .*", f'UserKnownHostsFile "{known}"', config)
    (controller.ssh / "config").write_text("Include hosts.d/*\n")
    (controller.ssh / "hosts.d").mkdir()
    (controller.ssh / "hosts.d/lab").write_text(config)
    controller.write({"all": {"hosts": {bookworm.name: {}}}})
    output = controller.succeed("plan")
    assert "/home/operator/" in output, "User was not honoured"
    assert line.connections == 1


def test_a_jump_host(bookworm: Machine, trixie: Machine, controller: Controller) -> None:
    config = ssh_config([bookworm], "operator") + ssh_config([trixie], "root")
    config += f"Host {trixie.name}\n    ProxyJump {bookworm.name}\n"
    (controller.ssh / "config").write_text(config)
    controller.write({"all": {"hosts": {trixie.name: {}}}})
    controller.succeed("plan")
    assert "Accepted publickey for operator" in bookworm.run("journalctl --sync; journalctl --no-pager -t sshd").stdout
    journal = trixie.run("journalctl --sync; journalctl --no-pager -t sshd -t sshd-session").stdout
    assert "Accepted publickey for root" in journal

    empty = controller.home / "empty"
    empty.touch()
    (controller.ssh / "config").write_text(config.replace(str(bookworm.known_hosts_file), str(empty)))
    refused = controller.run("plan")
    assert refused.code == UNREACHABLE, refused.output
    assert f"the host key of {bookworm.address} is not known" in refused.output


def test_a_jump_host_that_fails_is_named(bookworm: Machine, trixie: Machine, controller: Controller) -> None:
    controller.know(bookworm.known_hosts, trixie.known_hosts)

    def through(jump: str, **variables: str) -> Done:
        way = {"ansible_ssh_common_args": f"-o ProxyJump={jump}", "connect_attempts": 1}
        return controller.write(only(trixie, **way)).run("plan", **variables)

    down = through(f"{bookworm.address}:1")
    assert f"cannot connect to the jump host {bookworm.address}:1" in down.output
    jump = f"root@{bookworm.address}:{bookworm.port}"
    keyless = through(jump)
    assert f"root is not let in at the jump host {bookworm.address}" in keyless.output
    assert (down.code, keyless.code) == (UNREACHABLE, UNREACHABLE)
    key = encrypted(bookworm, controller)
    (controller.ssh / "config").write_text(f"Host {bookworm.address}\n    IdentityFile {key}\n")
    assert f"The key {key} is encrypted" in through(jump).output
    assert through(jump, PROVISION_KEY_PASSPHRASE=PASSPHRASE).code == 0


# sudo


def attempts(machine: Machine) -> int:
    """Wrong passwords that sudo has counted."""
    journal = machine.run("journalctl --sync; journalctl --no-pager -t sudo").stdout
    return sum(int(count) for count in re.findall(r"(\d+) incorrect password attempt", journal))


def test_sudo_with_a_password(either: Machine, controller: Controller) -> None:
    before = attempts(either)
    controller.manage(either, user="admin")
    output = controller.succeed("plan", PROVISION_SUDO_PASSWORD=ADMIN_PASSWORD)
    assert "/home/admin/" in output
    file = controller.home / "sudo's password"
    file.write_text(ADMIN_PASSWORD + "\n")
    output += controller.manage(either, user="admin", become_password_file=str(file)).succeed("plan")
    assert ADMIN_PASSWORD not in output
    assert attempts(either) == before


def test_root_is_become_before_any_fact(
    bookworm: Machine, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `chat` reads a generated key: a root command is the first that a connection sees."""
    controller.manage(bookworm, user="admin")
    monkeypatch.setenv("HOME", str(controller.home))
    monkeypatch.setenv("PROVISION_SUDO_PASSWORD", ADMIN_PASSWORD)
    (entry,) = inventory.load(controller.inventory).select()
    host = fleet.open_host(entry)
    try:
        assert host.run("id -u").stdout == "0\n"
        assert host.run("id -un", as_root=False).stdout == "admin\n"
    finally:
        host.close()


def test_a_wrong_password_is_tried_once(either: Machine, controller: Controller) -> None:
    before = attempts(either)
    refused = controller.manage(either, user="admin").run("provision", PROVISION_SUDO_PASSWORD="wrong 'one")
    assert refused.code == 1, refused.output
    assert refused.output.count("sudo refuses the password") == 1
    assert "PROVISION_SUDO_PASSWORD" in refused.output
    assert "wrong 'one" not in refused.output
    assert attempts(either) == before + 1


def test_an_unknown_password_is_a_clear_error(either: Machine, controller: Controller) -> None:
    before = attempts(either)
    refused = controller.manage(either, user="admin").run("provision")
    assert refused.code == 1, refused.output
    assert "sudo wants a password, and none is known" in refused.output
    assert "become_password_file" in refused.output
    assert attempts(either) == before


def test_a_missing_password_file_is_named(bookworm: Machine, controller: Controller) -> None:
    controller.manage(bookworm, user="admin", become_password_file="~/not there")
    refused = controller.run("plan")
    assert refused.code == 3, refused.output
    assert "become_password_file" in refused.output


def test_without_sudo(machine: Callable[..., Machine], controller: Controller) -> None:
    one = machine("bookworm")
    one.run("rm /usr/bin/sudo")
    refused = controller.manage(one, user="operator").run("plan")
    assert refused.code == 1, refused.output
    assert "sudo is not installed" in refused.output


def test_sudo_that_lectures_asks_and_wants_a_terminal(machine: Callable[..., Machine], controller: Controller) -> None:
    """Settings of sudo that put words, or nothing, where a program expects something."""
    one = machine("bookworm")
    one.run("printf 'Defaults lecture=always\\nDefaults passwd_tries=3\\n' >/etc/sudoers.d/strict")
    controller.manage(one, user="admin").succeed("plan", PROVISION_SUDO_PASSWORD=ADMIN_PASSWORD)
    one.run("echo 'Defaults requiretty' >>/etc/sudoers.d/strict")
    refused = controller.run("plan", PROVISION_SUDO_PASSWORD=ADMIN_PASSWORD)
    assert refused.code == 1, refused.output
    assert "tty" in refused.output


# A conversation through a tunnel


def test_a_conversation_outlives_its_connection_and_tells_at_once_that_there_is_none(
    bookworm: Machine, controller: Controller, proxy: Callable[[Machine], Proxy]
) -> None:
    """The machine shares this one's network: what listens here is its service."""
    line = proxy(bookworm)
    with OpenAiServer() as server:
        told = {"models": {"demo": {"method": "demo"}}, "services": {"demo": {"model": "demo", "port": server.port}}}
        person = Terminal(controller.manage(bookworm, through=line, **told), "chat")
        person.wait_for("demo>")
        for question in ("abc", "def"):
            person.type(f"{question}\r")
            person.wait_for(question[::-1], "demo>")
            line.cut()
        line.refusing = True
        person.type("ghi\r")
        person.wait_for("cannot connect", "demo>", timeout=60)  # half of what others wait for a host that was there
        line.refusing = False
        person.type("ghi\r")
        person.wait_for("ihg", "demo>")
        person.type("/bye\r")
        assert person.end() == 0, person.output

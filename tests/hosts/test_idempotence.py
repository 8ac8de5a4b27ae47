"""Provisioned once, a machine is as it should be; provisioned again, it is left alone, at the price of a look."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from provisioning import converge, fleet, inventory, steps
from provisioning.outcome import Outcome
from provisioning.report import Report

from .controller import Controller
from .machine import ADMIN_PASSWORD, Machine
from .provisioned import SETTINGS, Provisioned
from .proxy import Proxy

pytestmark = pytest.mark.timeout(500)
MachineFactory = Callable[..., Machine]


def test_the_second_run_changes_nothing(life: Provisioned) -> None:
    assert life.first.code == 0, life.first.output
    assert "changes made" in life.first.output
    assert life.second.code == 0, life.second.output
    assert "nothing to do" in life.second.output


def test_compilers_are_really_those(life: Provisioned, machine: MachineFactory) -> None:
    """Also where a newer gcc was the default: see the fixture."""
    one = machine(life.machine.release, like=life.machine)
    one.run("printf 'int main() { return 0; }' >/tmp/a.cc && g++ -o /tmp/a /tmp/a.cc && /tmp/a")
    for compiler in ("gcc", "g++"):
        assert one.run(f"{compiler} -dumpversion").stdout == "12\n"
    versions = {one.run(f"{compiler} -dumpfullversion").stdout for compiler in ("gcc", "g++", "gcc-12", "g++-12")}
    assert len(versions) == 1


def test_the_environment_is_the_accounts_own(life: Provisioned, machine: MachineFactory) -> None:
    one = machine(life.machine.release, like=life.machine)
    account, home = ("vllm", "/var/lib/vllm") if life.machine.release == "bookworm" else ("admin", "/home/admin")
    python = f"{home}/venvs/vLLM/bin/python"
    assert one.run(f"stat -c %U {python} {home}/venvs/vLLM/pyvenv.cfg").stdout.split() == [account, account]
    version = "3.11" if life.machine.release == "bookworm" else "3.13"
    assert one.run(f"runuser -u {account} -- {python} --version").stdout.startswith(f"Python {version}.")
    assert not one.run(f"find {home} -user root", check=False).stdout


USERS = {"root": "", "operator": "", "admin": ADMIN_PASSWORD}


@pytest.mark.parametrize("user", USERS)
def test_a_converged_host_costs_one_connection_and_at_most_two_round_trips(
    user: str,
    machine: MachineFactory,
    provisioned: Provisioned,
    provisioned_by_admin: Provisioned,
    proxy: Callable[[Machine], Proxy],
    controller: Controller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted where they are made, and on the line between: one where the host was seen before.

    `operator`'s sudo wants no password, and `admin`'s does.
    """
    life = provisioned_by_admin if user == "admin" else provisioned
    one = machine(life.machine.release, like=life.machine)
    line = proxy(one)
    variables = {"PROVISION_SUDO_PASSWORD": USERS[user]} if USERS[user] else {}
    controller.manage(one, user=user, through=line, **SETTINGS)
    if user == "operator":
        controller.succeed("provision")
    monkeypatch.setenv("HOME", str(controller.home))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (entry,) = inventory.load(controller.inventory).select()
    for at_most in (2, 1):
        host, before = fleet.open_host(entry), line.connections
        try:
            seen = converge.apply(host, entry, steps.PROVISION, Outcome(entry.name), report=Report(), run_id="counted")
        finally:
            host.close()
        assert (seen.status, seen.changes) == ("ok", [])
        assert host.round_trips <= at_most
        assert getattr(host.transport, "connections") == 1  # noqa: B009
        assert line.connections - before == 1


def test_a_command_typed_again_takes_a_short_way_and_still_sees_what_differs(
    machine: MachineFactory, provisioned: Provisioned, proxy: Callable[[Machine], Proxy], controller: Controller
) -> None:
    one = machine(provisioned.machine.release, like=provisioned.machine)
    line = proxy(one)
    controller.manage(one, through=line, connect_attempts=1, **SETTINGS)

    def typed() -> tuple[bool, str]:
        """Whether facts were looked at on their own, which is the whole way; and what was said."""
        said = controller.succeed("provision", "--profile")
        facts = re.search(rf"^{one.name} +[0-9.]+ +([0-9.]+)(?: +[0-9.]+)+$", said, re.MULTILINE)
        return bool(facts and float(facts[1])), said

    ways = [typed() for _ in range(3)]
    assert [whole for whole, _ in ways] == [True, False, False]
    assert all("nothing to do" in said for _, said in ways)
    assert line.connections == 3
    one.run("chmod 600 /var/lib/vllm-provisioning/environment-manager")
    whole, said = typed()
    assert whole
    assert "600 root root → 644 root root" in said
    assert [typed()[0] for _ in range(2)] == [True, False]
    line.refusing = True
    away = controller.run("provision")
    assert (away.code, "cannot connect" in away.output) == (4, True)
    line.refusing = False
    assert [typed()[0] for _ in range(2)] == [True, False]

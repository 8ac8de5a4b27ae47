"""Many hosts in batches: where one fails, the rest is left alone, and `--retry-failed` takes up what is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .archive import NAME, give_archive, let_go, runs, wait_for_run
from .controller import Controller
from .inventories import host_variables
from .machine import Machine
from .provisioned import SETTINGS, Provisioned

pytestmark = pytest.mark.timeout(240)
NOBODY = {"ansible_port": 1, "connect_attempts": 1}


@pytest.fixture(scope="module")
def one(module_machine: Callable[..., Machine], provisioned: Provisioned) -> Machine:
    """A machine on which nothing is left to do."""
    return module_machine("bookworm", like=provisioned.machine)


@pytest.fixture
def three(one: Machine, controller: Controller) -> Callable[..., Controller]:
    """One machine under three names; what is given for a name are variables of its own."""
    controller.know(one.known_hosts)

    def write(**variables: dict[str, Any]) -> Controller:
        names = ("first", "second", "third")
        hosts = {name: {**host_variables(one), **variables.get(name, {})} for name in names}
        return controller.write({"all": {"hosts": hosts, "vars": {**SETTINGS, "serial": 1}}})

    return write


def rows(output: str) -> dict[str, str]:
    """Each host's line of the summary."""
    names = ("first", "second", "third")
    return {name: line.removeprefix(name).strip() for line in output.splitlines() for name in names if name in line[:6]}


def test_a_rolling_run_stops_and_is_taken_up(three: Callable[..., Controller]) -> None:
    failed = three(second=NOBODY).run("provision")
    assert failed.code == 4, failed.output
    assert rows(failed.output) == {"first": "nothing to do", "second": "unreachable", "third": "skipped"}
    assert "batch 2 of 3" in failed.output
    assert "batch 3 of 3" not in failed.output
    assert "1 of 1 in this batch failed (second)" in failed.output
    assert "provision --retry-failed" in failed.output

    again = three().succeed("provision", "--retry-failed")
    assert "again: second (unreachable), third (skipped)" in again
    assert rows(again) == {"second": "nothing to do", "third": "nothing to do"}
    nothing = three().run("provision", "--retry-failed")
    assert nothing.code == 3, nothing.output
    assert "no host is left from a run of `provision` that failed" in nothing.output


def test_what_is_typed_wins(three: Callable[..., Controller]) -> None:
    """And `--dry` forgets nothing."""
    allowed = three(first=NOBODY).run("provision", "--serial", "1,100%", "--max-fail", "1")
    assert allowed.code == 4, allowed.output
    assert rows(allowed.output) == {"first": "unreachable", "second": "nothing to do", "third": "nothing to do"}
    assert "again: first (unreachable)" in three().succeed("--dry", "provision", "--retry-failed")
    refused = three().run("provision", "--retry-failed", "--hosts", "second")
    assert refused.code == 3, refused.output
    assert "first" in refused.output


def test_what_is_planned_is_shown_in_its_order(three: Callable[..., Controller]) -> None:
    """Batch after batch, and a host that compiles for another before that one."""
    controller = three(first={"build": {"on": "third"}, "apt": {"packages": [NAME]}})
    planned = controller.succeed("--dry", "provision", "--serial", "1,100%")
    said = [line for line in planned.splitlines() if not line.startswith((" ", "first system: packages"))]
    assert said == [
        "batch 1 of 2: third",
        "batch 2 of 2: first, second",
        "third   nothing to do",
        "first   1 change to make",
        "second  nothing to do",
    ]
    first, _, packages = planned.partition("batch 2 of 2")
    assert NAME in packages
    assert NAME not in first
    assert json.loads(controller.run("plan", "--json").output)["batches"] == [["third"], ["first"], ["second"]]
    stopped = controller.succeed("--dry", "stop").splitlines()
    assert stopped[:3] == ["batch 1 of 3: first", "batch 2 of 3: second", "batch 3 of 3: third"]


def test_power_fails_on_one_of_two_and_the_next_run_goes_on(
    machines: Callable[..., list[Machine]], controller: Controller, provisioned: Provisioned
) -> None:
    """The step that was half done is finished where it was, and the other host is left alone."""
    good, bad = machines("bookworm", 2, like=provisioned.machine)
    give_archive(good, slow=False)
    give_archive(bad)
    running = controller.manage(good, bad, **SETTINGS, apt={"packages": [NAME]}).start("provision")
    wait_for_run(bad)
    bad.power_off()
    bad.boot()
    done = running.done()
    assert done.code == 1, done.output
    assert f"left to do: {bad.name} (failed)" in done.output
    assert runs(good) == 1
    let_go(bad)
    output = controller.succeed("provision", "--retry-failed", "--verbose")
    assert "finishing an interrupted dpkg" in output
    assert f"{good.name} " not in output
    assert "nothing to do" in controller.succeed("provision")

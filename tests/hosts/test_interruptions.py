"""What breaks in the middle: the line, the controller, the machine's power, a person's patience, the disk's space."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from provisioning.retry import AWAY

from .archive import GO, NAME, give_archive, let_go, runs, wait_for_run
from .controller import Controller
from .machine import Machine
from .provisioned import SETTINGS, Provisioned
from .proxy import Proxy

pytestmark = pytest.mark.timeout(300)
MachineFactory = Callable[..., Machine]
WANTED = {**SETTINGS, "apt": {"packages": [NAME]}}


@pytest.fixture
def controller(controller: Controller, life: Provisioned) -> Controller:
    """Logs in as who provisioned the machine."""
    return controller.log_in_as(life.user, **life.variables)


@pytest.fixture
def slow(machine: MachineFactory, life: Provisioned) -> Machine:
    """A machine that lacks one package, whose configuration waits for the test."""
    one = machine(life.machine.release, like=life.machine)
    give_archive(one)
    return one


def is_done(controller: Controller, machine: Machine) -> None:
    """Nothing is left to do, and nothing half-done lies about."""
    assert "nothing to do" in controller.succeed("provision")
    assert not machine.run("dpkg --audit").stdout
    assert not machine.run("find / -xdev -name '*.vllm-provisioning-new'").stdout


def test_the_connection_is_cut_in_the_middle_of_a_job(
    slow: Machine, controller: Controller, proxy: Callable[[Machine], Proxy]
) -> None:
    """The job goes on, and so does the very same run, over another connection and under the lock again."""
    line = proxy(slow)
    running = controller.manage(slow, through=line, **WANTED).start("provision", "--verbose")
    wait_for_run(slow)
    running.wait_for(f"Setting up {NAME}")  # the job has begun some time before the run follows it
    line.cut()
    running.wait_for("connection lost; the job goes on")
    let_go(slow)
    done = running.done()
    assert done.code == 0, done.output
    assert "1 change made" in done.output
    assert runs(slow) == 1
    assert line.connections >= 2
    is_done(controller, slow)


def test_the_controller_is_killed_and_the_next_run_joins_the_job(slow: Machine, controller: Controller) -> None:
    running = controller.manage(slow, **WANTED).start("provision")
    wait_for_run(slow)
    running.send(signal.SIGKILL)
    assert running.done().code == -signal.SIGKILL
    again = controller.start("provision", "--verbose")
    again.wait_for("this job runs already")
    let_go(slow)
    done = again.done()
    assert done.code == 0, done.output
    assert runs(slow) == 1
    is_done(controller, slow)


def test_control_c(slow: Machine, controller: Controller) -> None:
    running = controller.manage(slow, **WANTED).start("provision")
    wait_for_run(slow)
    running.send(signal.SIGINT)
    done = running.done(timeout=60)
    assert done.code == 130, done.output
    assert "Interrupted. Where things stand:" in done.output
    assert f"{slow.name}: system: packages " in done.output
    assert "no change made before" in done.output
    assert "Run the same command again" in done.output
    assert "Traceback" not in done.output
    let_go(slow)
    controller.succeed("provision")
    assert runs(slow) == 1
    is_done(controller, slow)


def test_control_c_while_connecting(slow: Machine, controller: Controller, proxy: Callable[[Machine], Proxy]) -> None:
    line = proxy(slow)
    line.stall()
    running = controller.manage(slow, through=line, **WANTED, connect_timeout=300).start("provision")
    while not line.connections:
        assert running.process.poll() is None, running.output
        time.sleep(0.02)
    running.send(signal.SIGINT)
    done = running.done(timeout=60)
    assert done.code == 130, done.output
    assert "Traceback" not in done.output


def test_the_power_fails_in_the_middle(slow: Machine, controller: Controller) -> None:
    """The run says that the job is lost; the next one finishes the package that was half configured."""
    running = controller.manage(slow, **WANTED).start("provision")
    wait_for_run(slow)
    slow.power_off()
    slow.boot()
    done = running.done()
    assert done.code == 1, done.output
    # Lost, or failed: of the processes that die with the machine, any may be the last.
    assert "packages failed (" in done.output
    assert slow.run("dpkg --audit").stdout
    let_go(slow)
    output = controller.succeed("provision", "--verbose")
    assert "finishing an interrupted dpkg" in output
    is_done(controller, slow)


@pytest.mark.full
def test_a_host_that_goes_and_stays_away(slow: Machine, controller: Controller) -> None:
    settings = {**WANTED, "connect_attempts": 1, "connect_timeout": 1}
    running = controller.manage(slow, **settings).start("provision")
    wait_for_run(slow)
    slow.power_off()
    done = running.done(timeout=210)
    assert done.code == 4, done.output
    assert done.seconds < AWAY + 60, "it is looked for once, not by every layer in turn"
    assert "unreachable" in done.output
    assert "Traceback" not in done.output


def test_a_full_disk(machine: MachineFactory, life: Provisioned, controller: Controller) -> None:
    """Said in the host's own words; with space again the same command goes on."""
    one = machine(life.machine.release, like=life.machine, disk=64 * 2**20)
    give_archive(one, slow=False)
    one.run(
        "dd if=/dev/zero of=/srv/full bs=1M 2>/dev/null; dd if=/dev/zero of=/srv/full2 bs=512 2>/dev/null", check=False
    )
    full = controller.manage(one, **WANTED).run("provision")
    assert full.code == 1, full.output
    assert "No space left on device" in full.output
    assert "Traceback" not in full.output
    one.run(f"rm /srv/full /srv/full2; touch {GO}")
    controller.succeed("provision")
    is_done(controller, one)

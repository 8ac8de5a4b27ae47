"""One run at a time on a host, and no lock that outlives its run."""

from __future__ import annotations

import getpass
import re
import signal
import socket
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from .archive import NAME, give_archive, let_go, runs, wait_for_run
from .controller import Controller
from .machine import Machine
from .provisioned import SETTINGS, Provisioned

pytestmark = pytest.mark.timeout(300)
WANTED = {**SETTINGS, "apt": {"packages": [NAME]}}
LOCKED = 5


@pytest.fixture
def slow(machine: Callable[..., Machine], provisioned: Provisioned) -> Machine:
    """A machine on which a run takes as long as the test wants."""
    one = machine("bookworm", like=provisioned.machine)
    give_archive(one)
    return one


def test_the_second_run_says_who_and_since_when(slow: Machine, controller: Controller) -> None:
    began = datetime.now(timezone.utc)
    first = controller.manage(slow, **WANTED).start("provision")
    wait_for_run(slow)
    for command in (["provision"], ["remove", "--yes"]):
        second = controller.run(*command)
        assert second.code == LOCKED, second.output
        assert second.seconds < 60, "it does not wait: the other run takes as long as this test wants"
        assert f"{getpass.getuser()}@{socket.gethostname()} since" in second.output
        since = re.search(r"since (\S+) \(run", second.output)
        assert since, second.output
        assert timedelta(seconds=-2) < datetime.fromisoformat(since[1]) - began < timedelta(seconds=120)
    assert controller.run("--dry", "provision").code == 0, "looking needs no lock"
    let_go(slow)
    done = first.done()
    assert done.code == 0, done.output
    assert runs(slow) == 1
    assert "nothing to do" in controller.succeed("provision")


def test_the_lock_of_a_killed_run_is_free_within_seconds(slow: Machine, controller: Controller) -> None:
    first = controller.manage(slow, **WANTED).start("provision")
    wait_for_run(slow)
    first.send(signal.SIGKILL)
    first.done()
    slow.run("timeout 30 flock /var/lib/vllm-provisioning/lock true")
    second = controller.start("provision", "--verbose")
    second.wait_for("this job runs already")
    third = controller.run("provision")
    assert third.code == LOCKED, third.output
    let_go(slow)
    assert second.done().code == 0, second.output


def test_the_lock_survives_a_reboot_of_nothing(slow: Machine, controller: Controller) -> None:
    """The file of the lock stays, with the name of who held it last; it keeps nobody out."""
    first = controller.manage(slow, **WANTED).start("provision")
    wait_for_run(slow)
    first.send(signal.SIGKILL)
    first.done()
    slow.power_off()
    slow.boot()
    let_go(slow)
    controller.succeed("provision")

"""Hosts that begin to hang in the middle of a change: the run finds out within its limits, and goes on where it can."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from provisioning import fleet, inventory
from provisioning.errors import ConnectionLostError
from provisioning.retry import AWAY
from provisioning.transport.base import PIECE

from .controller import Controller, Running
from .machine import Machine
from .provisioned import SETTINGS, Provisioned
from .proxy import Proxy

pytestmark = pytest.mark.timeout(400)
LIMITS = {"connect_attempts": 5, "connect_timeout": 2, "silence_timeout": 4}
OURS = "/var/lib/vllm-provisioning/environment-manager"
REACHED, GO = "/srv/reached", "/srv/go"
# The bound is for a test that has failed.
WAITING = f"""#!/bin/sh
touch {REACHED}
i=0; while [ ! -e {GO} ] && [ $i -lt 900 ]; do sleep 0.1; i=$((i + 1)); done
exec /usr/bin/cmp.real "$@"
"""


@pytest.fixture
def one(machine: Callable[..., Machine], provisioned: Provisioned) -> Machine:
    """A machine on which a file of ours is to be written, which takes as long as the test wants."""
    made = machine("bookworm", like=provisioned.machine)
    made.run(f"rm {OURS}; mv /usr/bin/cmp /usr/bin/cmp.real; cat >/usr/bin/cmp; chmod 755 /usr/bin/cmp", input=WAITING)
    return made


@pytest.fixture
def line(one: Machine, proxy: Callable[[Machine], Proxy]) -> Proxy:
    return proxy(one)


@pytest.fixture
def running(one: Machine, line: Proxy, controller: Controller) -> Running:
    """A run in the middle of that change."""
    running = controller.manage(one, through=line, **SETTINGS, **LIMITS).start("provision", "--verbose")
    deadline = time.monotonic() + 120
    while one.run(f"[ -e {REACHED} ]", check=False).returncode:
        assert running.process.poll() is None, running.output
        assert time.monotonic() < deadline, running.output
        time.sleep(0.1)
    return running


def stop(one: Machine, line: Proxy) -> None:
    """The kernel still takes connections."""
    one.run("pkill -STOP -x sshd")


def stall(one: Machine, line: Proxy) -> None:
    line.stall()


def forget(one: Machine, line: Proxy) -> None:
    """The host does not learn that the connection is gone, and keeps its lock for a minute."""
    line.forget()


@pytest.mark.parametrize("fault", [stop, stall, pytest.param(forget, marks=pytest.mark.full)])
def test_the_run_goes_on_once_the_host_answers_again(
    fault: Callable[[Machine, Proxy], None], one: Machine, line: Proxy, running: Running, controller: Controller
) -> None:
    fault(one, line)
    one.run(f"touch {GO}")
    running.wait_for("connection lost; connecting again")
    # As long as one attempt to connect takes, and longer.
    time.sleep(2 * LIMITS["connect_timeout"])
    one.run("pkill -CONT -x sshd")
    line.resume()
    done = running.done(180)
    assert done.code == 0, done.output
    assert "nothing to do" in controller.succeed("provision")


@pytest.mark.full
def test_one_that_never_answers_again_is_left(one: Machine, line: Proxy, running: Running) -> None:
    stop(one, line)
    done = running.done(AWAY + 100)
    assert done.code == 4, done.output
    assert done.seconds < AWAY + 60
    assert "took the connection and said nothing for 2 s (connect_timeout)" in done.output
    assert "Traceback" not in done.output


def test_what_is_sent_into_a_stalled_line(
    one: Machine, line: Proxy, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up after that limit, not after one for what is sent and one more for the answer."""
    monkeypatch.setenv("HOME", str(controller.home))
    (entry,) = inventory.load(controller.manage(one, through=line, silence_timeout=10).inventory).select()

    def much() -> Iterator[bytes]:
        yield bytes(PIECE)
        line.stall()
        yield from [bytes(PIECE)] * 200

    with closing(fleet.open_host(entry)) as host:
        host.run("true")
        began = time.monotonic()
        with pytest.raises(ConnectionLostError, match="no sign of life for 10 s"):
            host.feed("cat >/dev/null", much())
        assert time.monotonic() - began < 18

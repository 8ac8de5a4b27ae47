"""Debian's package manager as it is met: locked by another, left half-way, with archives that do not answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provisioning.resources.packages import MADE

from .archive import GO, LOG, NAME, give_archive, let_go, runs
from .controller import Controller
from .machine import Machine
from .provisioned import SETTINGS, Provisioned

pytestmark = pytest.mark.timeout(300)

HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""
"""apt and dpkg lock with fcntl, which no shell tool does."""


@pytest.fixture(scope="module")
def one(module_machine: Callable[..., Machine], life: Provisioned) -> Machine:
    """A provisioned machine whose apt knows one package more, which it lacks before each test."""
    made = module_machine(life.machine.release, like=life.machine)
    give_archive(made, slow=False)
    return made


@pytest.fixture
def controller(controller: Controller, life: Provisioned) -> Controller:
    """Logs in as who provisioned the machine."""
    return controller.log_in_as(life.user, **life.variables)


@pytest.fixture(autouse=True)
def lacking(one: Machine) -> None:
    one.run(f"dpkg --purge {NAME} 2>/dev/null; rm -f {LOG}; dpkg --audit; systemctl stop holder 2>/dev/null || :")


def settings(*packages: str, **apt: object) -> dict[str, object]:
    return {**SETTINGS, "apt": {"packages": list(packages) or [NAME], **apt}}


def hold(machine: Machine, file: str) -> None:
    """Let a program hold a lock of apt's until `systemctl stop holder`."""
    machine.run("cat >/srv/holder.py", input=HOLDER)
    machine.run(
        f"rm -f /srv/held; systemd-run -q --unit=holder -p StandardOutput=file:/srv/held python3 /srv/holder.py {file}"
    )
    machine.run("i=0; while [ ! -s /srv/held ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done; [ -s /srv/held ]")


@pytest.mark.parametrize("lock", ["/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock", "/var/lib/dpkg/lock"])
def test_a_held_lock_is_waited_for_and_said(one: Machine, controller: Controller, lock: str) -> None:
    hold(one, lock)
    running = controller.manage(one, **settings()).start("provision")
    running.wait_for("waiting for the package manager's lock")
    assert runs(one) == 0
    one.run("systemctl stop holder")
    done = running.done()
    assert done.code == 0, done.output
    assert done.output.count("waiting for the package manager's lock") == 1, "once is enough"
    assert runs(one) == 1
    assert "nothing to do" in controller.succeed("provision")


def test_the_wait_has_a_bound(one: Machine, controller: Controller) -> None:
    hold(one, "/var/lib/dpkg/lock-frontend")
    done = controller.manage(one, **settings(lock_timeout=3)).run("provision", timeout=120)
    one.run("systemctl stop holder")
    assert done.code == 1, done.output
    assert "gave up after 3 s" in done.output
    assert "apt.lock_timeout" in done.output
    assert runs(one) == 0


def test_an_interrupted_dpkg_is_finished(one: Machine, controller: Controller) -> None:
    one.run(f"dpkg --unpack /srv/archive/{NAME}.deb")
    assert NAME in one.run("dpkg --audit").stdout
    output = controller.manage(one, **settings()).succeed("provision", "--verbose")
    assert "finishing an interrupted dpkg" in output
    assert not one.run("dpkg --audit").stdout
    assert "nothing to do" in controller.succeed("provision")


def test_a_package_that_dpkg_was_killed_at_is_unpacked_again(one: Machine, controller: Controller) -> None:
    """As it was left by a dpkg that died between its first words on the package and the end of its files."""
    one.run(f"dpkg --unpack /srv/archive/{NAME}.deb && rm /var/lib/dpkg/info/{NAME}.*")
    killed = "s/^Status: .*/Status: install reinstreq half-installed/"
    one.run(f"sed -i '/^Package: {NAME}$/,/^$/{killed}' /var/lib/dpkg/status")
    assert "must be reinstalled" in one.run("dpkg --audit").stdout
    controller.manage(one, **settings()).succeed("provision")
    assert not one.run("dpkg --audit").stdout
    assert "nothing to do" in controller.succeed("provision")


def test_an_interrupted_dpkg_waits_for_the_lock_too(one: Machine, controller: Controller) -> None:
    """dpkg itself says so in other words than apt."""
    one.run(f"dpkg --unpack /srv/archive/{NAME}.deb")
    hold(one, "/var/lib/dpkg/lock-frontend")
    running = controller.manage(one, **settings()).start("provision")
    running.wait_for("waiting for the package manager's lock")
    one.run("systemctl stop holder")
    done = running.done()
    assert done.code == 0, done.output
    assert runs(one) == 1


def test_archives_that_do_not_answer_stop_nothing_that_is_at_hand(one: Machine, controller: Controller) -> None:
    one.run(
        "apt-get -qq update; echo 'deb [trusted=yes] http://127.0.0.1:9/debian ./' >/etc/apt/sources.list.d/dead.list"
    )
    try:
        output = controller.manage(one, **settings()).succeed("provision", "--verbose")
    finally:
        one.run("rm /etc/apt/sources.list.d/dead.list")
    assert "http://127.0.0.1:9" in output
    assert runs(one) == 1


def test_an_unknown_package_is_said_in_apts_words(one: Machine, controller: Controller) -> None:
    done = controller.manage(one, **settings(NAME, "no-such-package")).run("provision")
    assert done.code == 1, done.output
    assert "Unable to locate package no-such-package" in done.output
    assert runs(one) == 0


def test_a_package_that_fails_and_is_mended(one: Machine, controller: Controller) -> None:
    """The failure is the package's own words; once its cause is gone the same command finishes it."""
    one.run(f"rm {GO}; mkdir {GO}.d; mv /usr/bin/sleep /usr/bin/sleep.away")
    one.run(
        "printf '#!/bin/sh\\necho no sleep for the wicked >&2; kill $PPID\\n' >/usr/bin/sleep; chmod 755 /usr/bin/sleep"
    )
    try:
        failed = controller.manage(one, **settings()).run("provision")
    finally:
        one.run(f"mv -f /usr/bin/sleep.away /usr/bin/sleep; rmdir {GO}.d")
        let_go(one)
    assert failed.code == 1, failed.output
    assert "no sleep for the wicked" in failed.output
    controller.succeed("provision")
    assert "nothing to do" in controller.succeed("provision")


def test_nothing_is_installed_that_is_not_written_down_first(one: Machine, controller: Controller) -> None:
    """What an installation will bring is asked of apt beforehand; here apt dies when it is asked."""
    place = "/usr/local/sbin/apt-get"
    dying = '#!/bin/sh\ncase "$*" in *" -s "*) kill -KILL $$ ;; esac\nexec /usr/bin/apt-get "$@"\n'
    one.run(f"sed -i /{NAME}/d {MADE}; cat >{place}; chmod 755 {place}", input=dying)
    done = controller.manage(one, **settings()).run("provision")
    one.run(f"rm {place}")
    assert done.code == 1, done.output
    assert "packages failed (exit 137)" in done.output
    assert runs(one) == 0
    controller.succeed("provision")
    assert NAME in one.run(f"cat {MADE}").stdout.splitlines()
    assert "nothing to do" in controller.succeed("provision")

"""Jobs that meet one another on a host."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from provisioning import job, removal
from provisioning.errors import CommandError
from provisioning.host import Host

from .connected import host_of
from .controller import Controller
from .machine import Machine

pytestmark = pytest.mark.timeout(400)
OTHER = "another job of this name, with other inputs, has to end first"


@pytest.fixture
def host(bookworm: Machine, controller: Controller, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with host_of(bookworm, "root", controller, monkeypatch) as found:
        yield found


def start(host: Host, one: job.Job) -> tuple[threading.Thread, list[str]]:
    """Run a job in the background until it has said something."""
    lines: list[str] = []
    begun = threading.Event()

    def run() -> None:
        try:
            job.run(host, one, lambda line: (lines.append(line), begun.set()))
        except CommandError as error:
            lines.append(error.message)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(120)
    return thread, lines


def test_one_that_may_not_be_stopped_is_waited_for(host: Host, bookworm: Machine) -> None:
    first, first_said = start(host, job.Job("meeting", "echo first; until [ -e /srv/go ]; do sleep 0.1; done"))
    second, said = start(host, job.Job("meeting", "echo second", interruptible=False))
    assert said == [OTHER]
    bookworm.run("touch /srv/go")
    for thread in (first, second):
        thread.join(120)
    assert said == [OTHER, "second"]
    assert first_said[0] == "first"


def test_one_that_may_be_stopped_is_stopped(host: Host, bookworm: Machine) -> None:
    first, first_said = start(host, job.Job("meeting", "echo first; sleep 1000"))
    second, said = start(host, job.Job("meeting", "echo second"))
    for thread in (second, first):
        thread.join(120)
    assert said == [OTHER, "second"]
    assert bookworm.run("pgrep -f '[s]leep 1000'", check=False).stdout == ""
    assert first_said[0] == "first"


def test_none_goes_on_while_what_they_made_is_removed(host: Host, bookworm: Machine) -> None:
    jobs = job.Job("packages", "echo first; sleep 2; touch /srv/installed"), job.Job("vllm", "echo first; sleep 1000")
    threads = [start(host, each)[0] for each in jobs]
    removal.end_jobs(host, lambda _: None)
    assert bookworm.run("ls /srv/installed; pgrep -f '[s]leep 1000'", check=False).stdout == "/srv/installed\n"
    for thread in threads:
        thread.join(120)


def test_one_that_is_slow_to_begin_is_not_taken_for_dead(host: Host, bookworm: Machine) -> None:
    """On a busy machine the follower looks before the job's first process has done anything."""
    bookworm.run("cat >/usr/local/bin/setsid", input='#!/bin/sh\n{ sleep 2; exec /usr/bin/setsid "$@"; } &\n')
    bookworm.run("chmod 755 /usr/local/bin/setsid")
    try:
        assert job.run(host, job.Job("slow", "echo begun"), lambda _: None) == "begun\n"
    finally:
        bookworm.run("rm /usr/local/bin/setsid")

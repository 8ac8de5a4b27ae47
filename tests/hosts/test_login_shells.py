"""What a login shell's start files print is no answer, and in no file that is read: sshd runs them each time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provisioning import facts, lock
from provisioning.host import Host

from .connected import host_of
from .controller import Controller
from .machine import Machine

pytestmark = pytest.mark.timeout(240)
TALKATIVE = "echo Welcome; printf 'no end of line'; echo complaint >&2; stty erase x\n"


@pytest.fixture(params=["root", "admin"])
def host(
    request: pytest.FixtureRequest, bookworm: Machine, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Host]:
    """A person's host, whose ~/.bashrc talks to whoever comes."""
    bookworm.run("cat >~/.bashrc", user=request.param, input=TALKATIVE)
    with host_of(bookworm, request.param, controller, monkeypatch) as found:
        assert "Welcome" in bookworm.ssh("true", user=request.param).stdout
        yield found


def test_an_answer_is_the_command_s_own(host: Host) -> None:
    assert host.run("echo answer").stdout == "answer\n"
    assert host.run("echo answer", as_root=False).stdout == "answer\n"
    assert host.run(":").stdout == ""
    taken: list[bytes] = []
    host.run("head -c 300000 /dev/zero", on_output=taken.append)
    assert b"".join(taken) == bytes(300000)


def test_a_command_that_is_kept_running_says_its_own_lines_only(host: Host) -> None:
    with host.keep("echo first; cat") as held:
        lines = held.lines()
        assert next(lines) == "first"
        held.write("天空\nlast".encode())
        held.finish()
        assert list(lines) == ["天空", "last"]
    with host.keep("head -c 200000 /dev/zero") as held:
        assert b"".join(iter(held.read, b"")) == bytes(200000)
    with lock.locked(host, "test"):
        pass


def test_why_a_server_does_not_answer_is_told_in_its_own_words(host: Host) -> None:
    found = facts.gather(host, account="auto", conda_path="~/miniconda3")
    looked = facts.look_for_downloads(host, found, ["http://127.0.0.1:9/x"])
    assert looked.conda_unreachable == "127.0.0.1:9: connect: Connection refused"


def test_the_words_of_a_shell_that_runs_nothing_say_why(bookworm: Machine, controller: Controller) -> None:
    bookworm.run("usermod --shell /usr/sbin/nologin operator")
    failed = controller.manage(bookworm, user="operator").run("plan")
    assert failed.code == 1
    assert "This account is currently not available." in failed.output

"""How root is become, found out by the real shell of another user, with a stand-in for `sudo` on its PATH."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning import becoming
from provisioning.errors import CommandError
from provisioning.host import Host
from provisioning.transport.base import Completed
from provisioning.transport.local import LocalTransport

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be found to be root")
AS_ANOTHER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []


class AsAnother(LocalTransport):
    """Runs commands as a user who is not root."""

    def execute(self, command: str, stdin: Iterable[bytes], **options: Any) -> Completed:
        return super().execute(shlex.join([*AS_ANOTHER, "/bin/sh", "-c", command]), stdin, **options)


SUDO = """#!/bin/sh
# Runs the command with BECAME set; with a password, only after reading the right one. Every call is counted.
echo "$*" >>"$CALLS"
given=; while :; do
    case $1 in -k) ;; -n) [ -z "$WANTED" ] || { echo "a password is required" >&2; exit 1; } ;;
        -S) IFS= read -r given ;; -p) shift ;; --) shift; break ;; *) break ;; esac
    shift
done
[ "$given" = "$WANTED" ] || { echo "Sorry, try again." >&2; exit 1; }
BECAME=root exec "$@"
"""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The list of what sudo was asked, where everybody may write."""
    with tempfile.TemporaryDirectory() as folder:
        sudo, calls = Path(folder, "sudo"), Path(folder, "calls")
        sudo.write_text(SUDO)
        calls.touch()
        for path, mode in ((sudo, 0o755), (calls, 0o666), (calls.parent, 0o777)):
            path.chmod(mode)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setenv("CALLS", str(calls))
        monkeypatch.setenv("WANTED", "")
        yield calls


def who(host: Host) -> str:
    return host.run('echo "${BECAME:-user}"').stdout.strip()


def test_the_first_root_command_finds_out_how(calls: Path) -> None:
    """No facts were gathered: never is a command that wants root run without it."""
    host = Host("web1", AsAnother())
    assert host.run('echo "${BECAME:-user}"', as_root=False).stdout == "user\n"
    assert calls.read_text() == ""
    assert (who(host), host.sudo) == ("root", "free")
    command, _ = Host("web1", AsAnother()).hold_command()
    assert command.startswith("exec sudo -n ")


def test_with_a_password(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANTED", "it's")
    host = Host("web1", AsAnother(), known_sudo_password=lambda: "it's")
    assert (who(host), host.sudo) == ("root", "password")
    assert "it's" not in calls.read_text()
    asked = Host("web1", AsAnother(), ask_sudo_password=lambda: "it's")
    assert who(asked) == "root"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"known_sudo_password": lambda: "wrong"}, "sudo refuses the password"),
        ({}, "sudo wants a password, and none is known"),
        ({"may_become": False}, "ansible_become is false"),
    ],
)
def test_where_root_cannot_be_become_nothing_is_run(
    calls: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], words: str
) -> None:
    monkeypatch.setenv("WANTED", "secret")
    marker = calls.with_name("ran")
    host = Host("web1", AsAnother(), **options)  # type: ignore[arg-type]
    with pytest.raises(CommandError) as caught:
        host.run(f"touch {marker}")
    assert words in str(caught.value)
    assert not marker.exists()


@needs_root
def test_root_needs_no_sudo(calls: Path) -> None:
    host = Host("web1", LocalTransport())
    assert (who(host), host.sudo) == ("user", "none")
    assert calls.read_text() == ""


SHELL_SUDO = """
sudo() {{
    case "$*" in
    *-n*) [ {free} = yes ] || {{ echo 'sudo: a password is required' >&2; return 1; }} ;;
    *) IFS= read -r given; [ "$given" = "$right" ] || {{ echo 'sudo: 1 incorrect password attempt' >&2; return 1; }} ;;
    esac
}}
"""


@pytest.mark.parametrize(
    ("free", "given", "answer"),
    [
        ("yes", None, "free"),
        ("yes", "wrong", "free"),
        ("no", None, "sudo: a password is required"),
        ("no", "it's $(a) `secret` 天 %s\\n", "password"),
        ("no", "wrong", "sudo: 1 incorrect password attempt"),
        ("no", "", "sudo: 1 incorrect password attempt"),
    ],
)
def test_how_to_become_root(free: str, given: str | None, answer: str) -> None:
    """With a sudo that is a function of the shell."""
    script = SHELL_SUDO.format(free=free) + becoming.check(given) + 'printf %s "$sudo_answer"'
    right = {"PATH": "/usr/bin:/bin", "right": "it's $(a) `secret` 天 %s\\n"}
    done = subprocess.run([*AS_ANOTHER, "sh"], input=script, env=right, capture_output=True, text=True, check=True)
    assert done.stdout == answer


LECTURE = "We trust you have received the usual lecture\n\n    #1) Respect the privacy of others.\n\n"


@pytest.mark.parametrize("password", [None, "right"])
def test_a_sudo_that_wants_a_terminal(password: str | None) -> None:
    host = Host("web1", AsAnother())
    becoming.settle(host, "sudo: sorry, you must have a tty to run sudo", password)
    with pytest.raises(CommandError, match="this needs root") as caught:
        host.run("true")
    assert "requiretty" in str(caught.value.cause)
    assert "!requiretty" in str(caught.value.remedy)


@pytest.mark.parametrize(
    "words", ["sudo: 1 incorrect password attempt", "me is not in the sudoers file.\nThis incident will be reported."]
)
def test_a_lecture_is_no_cause(words: str) -> None:
    lecture = LECTURE if words.startswith("sudo:") else ""
    with pytest.raises(CommandError, match="refuses the password") as caught:
        becoming.settle(Host("web1", AsAnother()), lecture + words, "wrong")
    assert caught.value.cause == words

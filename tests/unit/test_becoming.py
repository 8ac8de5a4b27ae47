"""How root is become, found out by the real shell with stand-ins for `id` and `sudo` on its PATH."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provisioning import becoming
from provisioning.errors import CommandError
from provisioning.host import Host
from provisioning.transport.local import LocalTransport

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
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose user is not root, and the list of what its sudo was asked."""
    for name, text in (("sudo", SUDO), ("id", "#!/bin/sh\necho 1000\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "calls").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("WANTED", "")
    return tmp_path / "calls"


def who(host: Host) -> str:
    return host.run('echo "${BECAME:-user}"').stdout.strip()


def test_the_first_root_command_finds_out_how(calls: Path) -> None:
    """No facts were gathered: never is a command that wants root run without it."""
    host = Host("web1", LocalTransport())
    assert host.run('echo "${BECAME:-user}"', as_root=False).stdout == "user\n"
    assert calls.read_text() == ""
    assert (who(host), host.sudo) == ("root", "free")
    command, _ = Host("web1", LocalTransport()).hold_command()
    assert command.startswith("exec sudo -n ")


def test_with_a_password(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANTED", "it's")
    host = Host("web1", LocalTransport(), known_sudo_password=lambda: "it's")
    assert (who(host), host.sudo) == ("root", "password")
    assert "it's" not in calls.read_text()
    asked = Host("web1", LocalTransport(), ask_sudo_password=lambda: "it's")
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
    host = Host("web1", LocalTransport(), **options)  # type: ignore[arg-type]
    with pytest.raises(CommandError) as caught:
        host.run(f"touch {marker}")
    assert words in str(caught.value)
    assert not marker.exists()


def test_root_needs_no_sudo(calls: Path) -> None:
    calls.with_name("id").write_text('#!/bin/sh\necho "uid=0(root) gid=0(root)"\n')
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
id() {{ echo "uid={uid}(name) gid=0(root)"; }}
"""


@pytest.mark.parametrize(
    ("uid", "free", "given", "answer"),
    [
        (0, "no", None, "root"),
        (1000, "yes", None, "free"),
        (1000, "yes", "wrong", "free"),
        (1000, "no", None, "sudo: a password is required"),
        (1000, "no", "it's $(a) `secret` 天 %s\\n", "password"),
        (1000, "no", "wrong", "sudo: 1 incorrect password attempt"),
        (1000, "no", "", "sudo: 1 incorrect password attempt"),
    ],
)
def test_how_to_become_root(uid: int, free: str, given: str | None, answer: str) -> None:
    """With a sudo that is a function of the shell."""
    script = SHELL_SUDO.format(uid=uid, free=free) + becoming.check(given) + 'printf %s "$sudo_answer"'
    right = {"PATH": "/usr/bin:/bin", "right": "it's $(a) `secret` 天 %s\\n"}
    done = subprocess.run(["sh"], input=script, env=right, capture_output=True, text=True, check=True)
    assert done.stdout == answer

"""The way to a host that `ansible_ssh_common_args` and its like describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioning.ssh_arguments import Proxy, proxy
from provisioning.transport.connect import new_connection
from provisioning.transport.target import SshTarget

COMMAND = "ssh -W %h:%p -q me@bastion"


@pytest.mark.parametrize(
    ("text", "jumps", "command"),
    [
        ("", (), ""),
        ("-J bastion", ("bastion",), ""),
        ("-C -Jme@one:2222,ssh://two -v", ("me@one:2222", "two"), ""),
        ("-o ProxyJump=bastion", ("bastion",), ""),
        ("-oproxyjump=bastion -o StrictHostKeyChecking=no", ("bastion",), ""),
        ("-o 'ProxyJump bastion'", ("bastion",), ""),
        (f"-o ProxyCommand='{COMMAND}'", (), COMMAND),
        (f'-o "ProxyCommand = {COMMAND}" -o ProxyCommand=other', (), COMMAND),
        ("-qJ bastion", ("bastion",), ""),
        ("-o ControlMaster=auto -o ControlPersist=60s -C -A -o UserKnownHostsFile=/dev/null", (), ""),
        ("-L 1:host:2 -o", (), ""),
    ],
)
def test_jump_hosts_and_commands(text: str, jumps: tuple[str, ...], command: str) -> None:
    assert proxy(text) == Proxy(jumps, command)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-p 2222", "port is not honoured here; use ansible_port"),
        ("-vp2222", "use ansible_port"),
        ("-o Port=2222", "use ansible_port"),
        ("-l me", "use ansible_user"),
        ("-o User=me", "use ansible_user"),
        ("-i ~/.ssh/key", "use ansible_ssh_private_key_file"),
        ("-o IdentityFile=~/.ssh/key", "use ansible_ssh_private_key_file"),
        ("-o HostName=x", "use ansible_host"),
        ("-F ssh.config", "-F is not honoured here; put its lines into ~/.ssh/config"),
        ("-o HostKeyAlias=x", "~/.ssh/config"),
        ("-o 'ProxyJump=x", "has a quote that does not end"),
    ],
)
def test_what_decides_about_the_way_and_is_not_honoured(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        proxy(text)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(
        "Host db\n  HostName 192.0.2.7\n  Port 2200\n  User me\n  ProxyJump configured\nHost one\n  Port 2201\n"
    )


def gateway(**told: Any) -> Any:
    return new_connection(SshTarget("db", "db", proxy=Proxy(**told))).gateway


def test_a_connection_takes_that_way() -> None:
    last = gateway(jumps=("one", "you@two:2202"))
    assert (last.host, last.user, last.port) == ("two", "you", 2202)
    assert (last.gateway.host, last.gateway.port, last.gateway.gateway) == ("one", 2201, None)
    assert gateway(command="nc %h %p %r %n %%") == "nc 192.0.2.7 2200 me db %%"
    assert gateway().host == "configured"
    assert gateway(jumps=("none",)) is False
    assert gateway(command="none") is False

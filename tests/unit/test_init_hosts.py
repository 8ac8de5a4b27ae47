"""`init`: hosts as they are named on the command line, and those of ~/.ssh/config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inits import write, written

from provisioning.errors import ConfigurationError
from provisioning.init.found import named
from provisioning.init.ssh_names import from_ssh_config


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("said", "hosts"),
    [
        ("gpu1", {"gpu1": {}}),
        (" a , b,", {"a": {}, "b": {}}),
        ("localhost", {"localhost": {"ansible_connection": "local"}}),
        ("root@localhost", {"localhost": {"ansible_user": "root"}}),
        ("127.0.0.1:2222", {"127.0.0.1": {"ansible_port": 2222}}),
        ("user@10.0.0.5:2222", {"10.0.0.5": {"ansible_port": 2222, "ansible_user": "user"}}),
        ("a@b@h", {"h": {"ansible_user": "a@b"}}),
        ("u@[2001:db8::5]:22", {"2001:db8::5": {"ansible_port": 22, "ansible_user": "u"}}),
        ("[2001:db8::5]", {"2001:db8::5": {}}),
        ("2001:db8::5", {"2001:db8::5": {}}),
        ("no", {"no": {}}),
        ("1234", {"1234": {}}),
        ("web[01:02]:23", {"web01": {"ansible_port": 23}, "web02": {"ansible_port": 23}}),
        ("h,h", {"h": {}}),
        ("h:1,h:2", {"h": {"ansible_port": 1}, "h-2": {"ansible_host": "h", "ansible_port": 2}}),
        ("主机", {"主机": {}}),
    ],
)
def test_hosts_as_people_name_them(said: str, hosts: dict[str, Any]) -> None:
    found = named(said)
    assert found.hosts == hosts
    inventory = written(found)
    assert list(inventory.hosts) == list(hosts)
    for name, entry in inventory.hosts.items():
        assert (entry.ssh.user, entry.ssh.port) == (hosts[name].get("ansible_user"), hosts[name].get("ansible_port"))
        assert entry.ssh.address == hosts[name].get("ansible_host", name)
    assert inventory.select()


@pytest.mark.parametrize(
    "said",
    ["", ",", "a b", "user@", "@host", "host:0", "host:99999", "host:x", "web[1:", "web[3:1]", "a/b", "u v@h", "-x"],
)
def test_what_is_no_host_is_refused_with_how_to_name_one(said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        named(said)
    assert "user@10.0.0.5:2222" in caught.value.remedy


# ~/.ssh/config

CONFIG = """\
Include other
Host gpu1 gpu2 *.example.com !bad
    HostName 192.0.2.1
    User me
host=db "quoted"
Host github.com
    User git
Host a_ e/f  # a comment, as OpenSSH has it
Match host gpu1
    Port 2222
Host *
    ForwardAgent no
Host gpu1 gpu?
"""


def test_names_of_ssh_config_in_their_order() -> None:
    write("Host included\n", "other")
    found = from_ssh_config(file=write(CONFIG, "config"))
    assert found.hosts == {"included": {}, "gpu1": {}, "gpu2": {}, "db": {}, "quoted": {}}
    servers, odd = found.notes
    assert odd.startswith("a_, e/f: left out")
    assert servers.startswith("github.com: left out")
    assert list(from_ssh_config("gpu*", write(CONFIG, "config")).hosts) == ["gpu1", "gpu2"]
    assert list(written(found).hosts) == ["included", "gpu1", "gpu2", "db", "quoted"]


@pytest.mark.parametrize(
    ("content", "pattern", "words"),
    [
        ("Host *\n", "*", "names no host"),
        ("Host a\n", "b*", "names no host that matches 'b*'"),
        ("Host github.com\n User git\n", "*", "names no host"),
        ('Host "a\n', "*", "cannot be used"),
        (None, "*", "cannot be read"),
    ],
)
def test_an_ssh_config_without_hosts(content: str | None, pattern: str, words: str) -> None:
    path = write(content, "config") if content is not None else Path("config")
    with pytest.raises(ConfigurationError) as caught:
        from_ssh_config(pattern, path)
    assert words in caught.value.message
    assert "--hosts" in caught.value.remedy

"""`init`: hosts of Ansible inventories, held against what Ansible itself reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from inits import write, written

from provisioning.errors import ConfigurationError
from provisioning.init.ansible import from_ansible

INI = """\
# a comment
lonely ansible_host=192.0.2.9 ansible_port=2222 color="deep blue"  # another
[web]
web[01:03] ansible_user=deploy
web02 ansible_user='of web02' ansible_become=yes ansible_become_pass=secret
; and another kind

[db]
db-[a:b].example.com:2200
"2001:db8::5" ansible_user=0123

[all:vars]
ansible_user=everybody
ansible_ssh_common_args=-o ProxyJump=hop -C
http_port=80
[both:children]
web
db   # a comment
[web:vars]
ansible_ssh_private_key_file=~/.ssh/web key
ansible_group_priority=5
"""
YAML = """\
all:
  vars: {ansible_user: all, x: 1}
  children:
    outer:
      vars: {ansible_port: 2201, ansible_become: yes}
      children:
        inner: {hosts: {"a[1:2]": {ansible_host: 192.0.2.1}, b: {ansible_user: "0123"}}, vars: {ansible_user: inner}}
    other: {hosts: {b: , c: }, vars: {ansible_port: "2202", ansible_group_priority: 3}}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def by_ansible(path: Path, *options: str) -> str:
    program = shutil.which("ansible-inventory", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("ansible-inventory is not installed (it is in the extra named test)")
    variables = {"ANSIBLE_HOME": str(Path.cwd() / ".ansible"), "ANSIBLE_LOCALHOST_WARNING": "0", "LC_ALL": "C.UTF-8"}
    command = [program, "-i", str(path), "--list", *options]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def members(listing: dict[str, Any], group: str) -> set[str]:
    below = listing.get(group, {})
    return set(below.get("hosts", [])).union(*(members(listing, child) for child in below.get("children", [])))


WAYS = ("ansible_host", "ansible_port", "ansible_user", "ansible_ssh_private_key_file", "ansible_ssh_common_args")


@pytest.mark.parametrize(("content", "name"), [(INI, "hosts"), (YAML, "hosts.yaml")], ids=["ini", "yaml"])
def test_hosts_are_reached_as_ansible_reaches_them(content: str, name: str) -> None:
    path = write(content, f"ansible/{name}")
    write("ansible_user: from_file\nansible_password: x\n", "ansible/group_vars/all.yml")
    write("ansible_port: 2203\n", "ansible/host_vars/c.yml")
    inventory, ansible = written(from_ansible(path)), json.loads(by_ansible(path))
    assert inventory.hosts.keys() == members(ansible, "all")
    for group, hosts in inventory.groups.items():
        assert set(hosts) == members(ansible, group), group
    for host, entry in inventory.hosts.items():
        expected = ansible["_meta"]["hostvars"].get(host, {})
        assert {key: str(entry.variables[key]) for key in WAYS if key in entry.variables} == {
            key: str(expected[key]) for key in WAYS if key in expected
        }, host
        assert entry.ssh.password is None
    assert inventory.select()


def test_what_ansible_lists_is_taken_as_the_inventory_itself() -> None:
    path = write(INI, "ansible/hosts")
    listed = write(by_ansible(path, "--yaml"), "listed/hosts.yaml")
    ours, theirs = written(from_ansible(path)), written(from_ansible(listed))
    assert {name: entry.ssh for name, entry in ours.hosts.items()} == {
        name: entry.ssh for name, entry in theirs.hosts.items()
    }
    assert {name: set(hosts) for name, hosts in ours.groups.items()} == {
        name: set(hosts) for name, hosts in theirs.groups.items()
    }


def test_numbers_are_taken_as_they_are_written() -> None:
    path = write("all: {hosts: {a: {ansible_user: 0123, ansible_become: yes}}}", "hosts.yml")
    assert from_ansible(path).hosts["a"] == {"ansible_user": "0123", "ansible_become": True}


def test_what_is_left_out_is_said_and_no_secret_is_copied() -> None:
    found = from_ansible(write(INI, "hosts"))
    assert "secret" not in str(found)
    passwords, others = found.notes
    assert "ansible_become_pass" in passwords
    assert "color" in others
    assert "http_port" in others
    assert found.hosts["web02"] == {"ansible_user": "of web02", "ansible_become": "yes"}


def test_hosts_that_cannot_be_reached_as_written_are_left_out() -> None:
    content = "[w]\nok\nwin ansible_connection=winrm\ntemplate ansible_host='{{ ip }}'\n"
    found = from_ansible(write(content, "hosts"))
    assert list(found.hosts) == ["ok"]
    assert "win is left out: hosts:3: w/hosts/win/ansible_connection: should be ssh or local" in found.notes[0]
    assert "template is left out: hosts:4" in found.notes[1]
    assert found.groups == {"w": {"hosts": {"ok": None}}}


def test_a_vault_is_told() -> None:
    found = from_ansible(write("all: {hosts: {a: {ansible_become_password: !vault x}}}", "hosts.yml"))
    assert "ansible_become_password" in found.notes[0]
    with pytest.raises(ConfigurationError, match="has no host to take") as caught:
        from_ansible(write("all: {hosts: {a: {ansible_user: !vault x}}}", "hosts.yml"))
    assert "is encrypted with !vault" in caught.value.cause


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("[w\na\n", None, None),
        ("[w e]\n", 1, "is no section"),
        ("[w:hots]\n", 1, "sections are hosts, children and vars"),
        ("\n[w]\na b=1 c\n", 3, "'c' is no key=value"),
        ("[w]\na b='1\n", 2, "has a quote that does not end"),
        ("[w:children]\na\n", 2, "no section [a] or [a:children] declares this group"),
        ("[w:vars]\na=1\n", 1, "no section [w]"),
        ("a\n[all:vars]\nb\n", 3, "should be key=value"),
        ("a\n[w:children]\nb:c\n", 3, "should be the name of a group"),
    ],
)
def test_broken_ini(content: str, line: int | None, words: str | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        from_ansible(write(content, "hosts.ini"))
    if line:
        assert caught.value.cause.startswith(f"hosts.ini:{line}: ")
        assert words
        assert words in caught.value.cause


def test_what_is_no_file_of_hosts_is_refused_with_the_command_that_makes_one() -> None:
    Path("folder").mkdir()
    for path in (Path("folder"), write("#!/bin/sh\necho {}\n", "script"), write('{"_meta": {}}', "listed.json")):
        with pytest.raises(ConfigurationError) as caught:
            from_ansible(path)
        assert "ansible-inventory" in caught.value.remedy
        assert "--list --yaml" in caught.value.remedy
    with pytest.raises(ConfigurationError, match="cannot be read"):
        from_ansible(Path("nowhere"))
    Path("latin").write_bytes(b"h\xe9\n")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        from_ansible(Path("latin"))

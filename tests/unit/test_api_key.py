"""API keys: where they come from, how they are kept, and that nobody sees them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from sites import site, with_service

from provisioning import commands, given_secrets, services
from provisioning.errors import ConfigurationError, ProvisioningError
from provisioning.host import Host
from provisioning.resources.api_key import GeneratedApiKey, given_api_key
from provisioning.serve_settings import ResolvedService
from provisioning.with_model import with_model

PROJECT = Path(__file__).resolve().parents[2]


def service(source: Any) -> ResolvedService:
    return site(with_service(api_key=source)).settings.resolved_services()["demo"]


def test_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "it's a key")
    assert given_api_key(service({"env": "MY_KEY"})) == "it's a key"
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(ConfigurationError, match=r"services/demo/api_key: .*MY_KEY is not set"):
        given_api_key(service({"env": "MY_KEY"}))


def test_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with pytest.raises(ProvisioningError, match="services/demo/api_key"):
        given_api_key(service({"file": str(file)}))
    file.write_text("  \n")
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is empty"):
        given_api_key(service({"file": str(file)}))
    file.write_bytes(b"\xff\xfe key")
    with pytest.raises(ConfigurationError, match=f"services/demo/api_key: {file} holds something else"):
        given_api_key(service({"file": str(file)}))
    with pytest.raises(
        ConfigurationError, match=r"services/demo/api_key: ~nosuchuser/k cannot be read: .*'nosuchuser'"
    ):
        given_api_key(service({"file": "~nosuchuser/k"}))
    file.write_bytes(b"hunter2\n\xff")
    assert given_api_key(service({"file": str(file)})) == "hunter2"


INVENTORY = """\
all:
  hosts: {web1: {ansible_host: 127.0.0.1, ansible_port: 9, connect_attempts: 1}, web2: {ansible_connection: local}}
  vars:
    models: {demo: {method: demo}}
    serve:
      api_key: {env: NO_SUCH_KEY}
    services:
      one: {model: demo}
      two: {model: demo, port: 8001, api_key: {file: /nonexistent/key}}
      three: {model: demo, port: 8002, api_key: generate}
"""
MISSING = [
    "inventory.yaml:6: all/vars/serve/api_key: the environment variable NO_SUCH_KEY is not set",
    "inventory.yaml:9: all/vars/services/two/api_key: /nonexistent/key cannot be read: No such file or directory",
]


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("inventory.yaml").write_text(INVENTORY)
    return "inventory.yaml"


def test_all_that_cannot_be_had_are_told_at_once(inventory: str) -> None:
    entries = commands.load(inventory, "")
    with pytest.raises(ConfigurationError) as caught:
        given_secrets.require_api_keys(entries)
    assert caught.value.message == "the inventory has 2 errors"
    assert caught.value.cause.splitlines() == MISSING
    with pytest.raises(ConfigurationError) as caught:
        given_secrets.require_api_keys(entries, "two")
    assert caught.value.cause.splitlines() == MISSING[1:]
    given_secrets.require_api_keys(entries, "three")
    with pytest.raises(ConfigurationError, match="all/vars/serve/api_key"):
        given_secrets.require_api_keys([with_model(entries[0], "/srv/x", "one")])


NEEDING = (["up"], ["--dry", "up"], ["serve"], ["plan"], ["plan", "--json"], ["status"], ["chat", "hello"])
OTHERS = (["doctor"], ["logs"], ["stop"], ["start"], ["remove", "--yes"], ["provision"], ["build"], ["download"])


@pytest.mark.parametrize(("code", "task"), [*((3, task) for task in NEEDING), *((4, task) for task in OTHERS)], ids=str)
def test_who_needs_a_key(inventory: str, code: int, task: list[str]) -> None:
    """The host cannot be reached (4), which only those find out that do not stop before (3)."""
    program = [str(Path(sys.executable).with_name("invoke")), "--search-root", str(PROJECT), *task]
    command = [*program, "--hosts", "web1", "--inventory", inventory]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("NO_SUCH_KEY" in done.stderr) == (code == 3)


def test_what_works_with_a_service_needs_no_key(inventory: str) -> None:
    settings = commands.load(inventory, "web2")[0].settings
    found = services.services_of(replace(site(), settings=settings))
    assert [(each.service, each.url) for each in found] == [
        ("one", "http://127.0.0.1:8000"),
        ("two", "http://127.0.0.1:8001"),
        ("three", "http://127.0.0.1:8002"),
    ]


@pytest.mark.parametrize(
    ("actual", "words"),
    [("absent\n", "generate /etc/vllm/demo.key"), ("644 vllm\n", "644 vllm → 600 vllm"), ("600 root\n", "600 root")],
)
def test_what_differs(actual: str, words: str) -> None:
    difference = GeneratedApiKey("/etc/vllm/demo.key", "vllm", "vllm").diff(actual)
    assert difference
    assert words in difference.text


class Here:
    """Runs what would run on a host."""

    def run(self, script: str) -> None:
        subprocess.run(["/bin/sh", "-c", script], check=True)


def test_a_generated_key_is_kept_and_closed(tmp_path: Path) -> None:
    """Made once; a second time only its mode is mended. The place's name is one that a shell would stumble over."""
    name = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    group = subprocess.run(["id", "-gn"], capture_output=True, text=True, check=True).stdout.strip()
    path = tmp_path / "a 'key' $(id)"
    key = GeneratedApiKey(str(path), name, group)
    look = ["/bin/sh", "-c", key.probe()]
    assert subprocess.run(look, capture_output=True, text=True, check=True).stdout == "absent\n"
    key.apply(cast(Host, Here()), "absent\n", print)
    first = path.read_text()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", first)
    assert os.stat(path).st_mode & 0o777 == 0o600
    seen = subprocess.run(look, capture_output=True, text=True, check=True).stdout
    assert first.strip() not in seen
    assert key.diff(seen) is None
    path.chmod(0o644)
    key.apply(cast(Host, Here()), "644\n", print)
    assert (path.read_text(), os.stat(path).st_mode & 0o777) == (first, 0o600)
    assert os.listdir(tmp_path) == [path.name]

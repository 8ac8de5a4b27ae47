"""What `doctor --report` writes: what a bug report wants to know, no secret, and no name that tells whose it is."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from urllib.parse import quote

import pytest

from provisioning import bug_report, inventory, settings_shown
from provisioning.errors import ConfigurationError
from provisioning.inventory import HostEntry
from provisioning.placeholders import Placeholders
from provisioning.settings import HostSettings

NAMES = ("login", "sudo", "variable", "key", "token", "condarc", "argument", "cmake", "header", "foreign", "python")
SECRETS = {name: f"planted/{name}+säcret" for name in NAMES}
INVENTORY = """
all:
  vars:
    vault_of_others: {foreign}
  hosts:
    gpu7.lab.example.com:
      ansible_host: 127.3.2.1
      ansible_port: 9
      ansible_user: alice
      ansible_become_password: {sudo}
      connect_attempts: 1
      connect_timeout: 2
      pip: {{index: "https://bob:{quoted}@mirror.example.org/simple", extra_indexes: [https://pypi.org/simple]}}
      conda: {{condarc: {{channels: [{condarc}]}}}}
      build: {{cmake_args: "-DX={cmake}", device: cuda, vllm: "0.31.0"}}
      models: {{m: {{method: huggingface, id: Qwen/Qwen2-7B, token: {{env: PLANTED_TOKEN}}}}}}
      services:
        chat:
          model: m
          port: 8123
          api_key: {{file: {file}}}
          arguments: ["--hf-overrides", {argument}]
          environment: {{HF_TOKEN: {variable}, python: {python}}}
"""


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[HostEntry]:
    monkeypatch.setenv("PLANTED_TOKEN", SECRETS["token"])
    (tmp_path / "key").write_text(SECRETS["key"])
    told = {**SECRETS, "quoted": quote(SECRETS["login"], safe=""), "file": tmp_path / "key"}
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(**told))
    return inventory.load(tmp_path / "inventory.yaml").select()


def forms(secret: str) -> set[str]:
    raw = secret.encode()
    encoded = {each(raw).decode().rstrip("=") for each in (base64.b64encode, base64.urlsafe_b64encode)}
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], *encoded}


def assert_clean(text: str) -> None:
    assert not {name for name, secret in SECRETS.items() for form in forms(secret) if form in text}
    assert not {word for word in ("alice", "bob", "gpu7", "10.20.30.40", "example.org") if word in text}


def test_settings_are_shown_by_a_list(entries: list[HostEntry]) -> None:
    text = json.dumps(settings_shown.shown(entries[0].settings))
    for shown in ('"vllm": "0.31.0"', '"id": "Qwen/Qwen2-7B"', '"port": 8123', '"environment": "(2 given)"'):
        assert shown in text
    assert_clean(Placeholders(entries).clean(text))


def test_all_that_is_shown_are_settings() -> None:
    schema = json.dumps(HostSettings.model_json_schema())
    assert not {name for name in settings_shown.SHOWN if f'"{name}": {{' not in schema}


def test_whatever_a_log_says(entries: list[HostEntry]) -> None:
    hidden = Placeholders(entries)
    known = ("login", "sudo", "variable", "key", "token", "python")
    lines = [f"{way}{form}" for way in ("say ", "x=") for name in known for form in forms(SECRETS[name])]
    lines += [
        "alice@gpu7.lab.example.com: /home/alice/x on 10.20.30.40:22",
        f"Authorization: Bearer {SECRETS['header']}",
        f'{{"api_key": "{SECRETS["header"]}", "hf_token": "{SECRETS["header"]}"}}',
        "hf_abcdefghijklmnop sk-abcdefghijklmnop",
        "http://bob:pw12345@mirror.example.org/x and 2001:db8::5 at 12:30:45 with 1.2.3",
        "https://pypi.org/simple http://127.0.0.1:8000/v1 mail bob@mirror.example.org",
    ]
    text = hidden.clean("\n".join(lines))
    assert_clean(text)
    assert "abcdefgh" not in text
    assert "user1@host1: /home/user1/x on address" in text
    assert "https://pypi.org/simple http://127.0.0.1:8000/v1" in text
    assert "at 12:30:45 with 1.2.3" in text
    assert "2001:db8" not in text


def test_a_host_that_is_away_stands_in_it_with_the_error(
    entries: list[HostEntry], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.md"
    assert bug_report.report(entries, str(file)) == 0
    text = file.read_text()
    assert_clean(text)
    assert "## host1\n" in text
    assert "cannot connect to" in text
    assert "    invoke " in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.glob("report.md*")] == ["report.md"]
    assert capsys.readouterr().out.startswith(f"wrote {file}\n  → Look through it")


def test_no_file_is_overwritten(entries: list[HostEntry], tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(ConfigurationError, match="is there already"):
        bug_report.report(entries, str(tmp_path / "there"))
    with pytest.raises(ConfigurationError, match="cannot be written"):
        bug_report._write(tmp_path / "no" / "folder", "")
    assert (tmp_path / "there").read_text() == "mine"

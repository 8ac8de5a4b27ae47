"""`init`: the inventory that is written of hosts as they were found."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from bare_hosts import FACTS
from inits import GPU, seen

from provisioning.errors import ConfigurationError, ProvisioningError, UnreachableError
from provisioning.init import questions, text
from provisioning.init.command import Flags, decided
from provisioning.init.found import Found, named
from provisioning.init.looking import Seen
from provisioning.init.settings_text import SHOWN
from provisioning.inventory import Inventory, load
from provisioning.schema import json_schema
from provisioning.settings import HostSettings

ODD = named("user@10.0.0.5:2222,[2001:db8::5]:22,no,localhost,web[01:02]")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told_to(found: Found, looked: dict[str, Seen | ProvisioningError], **told: str) -> str:
    flags = {name: told.get(name, "") for name in ("hosts", "device", "model", "mirrors", "ssh_config", "ansible")}
    return text.inventory(decided(Flags(**flags, asks=False), found, looked))


def read(content: str) -> Inventory:
    path = Path("inventory.yaml")
    path.write_text(content)
    return load(path)


COMBINATIONS = list(
    itertools.product(
        ("", "cpu", "cuda", "auto"),
        ("", "demo", "Qwen/Qwen2-7B", "/models/a b", "~/m"),
        ("", "tsinghua", "none", "auto"),
    )
)


@pytest.mark.parametrize(("device", "model", "mirrors"), COMBINATIONS)
def test_every_combination_is_valid_and_does_what_was_told(device: str, model: str, mirrors: str) -> None:
    looked: dict[str, Seen | ProvisioningError] = {name: seen() for name in ODD.hosts}
    looked |= {"web01": seen(GPU), "no": UnreachableError("no: is off\n!", cause="x")}
    inventory = read(told_to(ODD, looked, device=device, model=model, mirrors=mirrors))
    assert list(inventory.hosts) == list(ODD.hosts)
    for name, entry in inventory.select() and inventory.hosts.items():
        on = device if device in ("cpu", "cuda") else "cuda" if name == "web01" else "cpu"
        assert entry.settings.build.device == on
        (service,) = entry.settings.services.values()
        assert service.tensor_parallel_size == ("auto" if on == "cuda" else 1)
        told = entry.settings.models[service.model]
        if model:
            assert model in ("demo" if told.method == "demo" else told.id, told.path, told.method)
        assert entry.settings.pip.index == ("tuna" if mirrors == "tsinghua" else "host")
        assert ("tuna" in str(entry.settings.miniconda.mirrors)) == (mirrors != "none")


def uncommented(content: str) -> str:
    return re.sub(r'(?m)^( +)# ((?:  )*(?:["a-z_]+:|- ).*)$', r"\1\2", content)


def test_comments_hold_the_defaults_and_the_descriptions_of_the_settings() -> None:
    content = told_to(named("a"), {"a": seen()}, mirrors="tsinghua", model="demo")
    variables: dict[str, Any] = yaml.safe_load(uncommented(content))["all"]["vars"]
    told = HostSettings.model_validate(variables)
    default = HostSettings.model_validate({**yaml.safe_load(content)["all"]["vars"]})
    assert told == default, "what is commented out changes nothing"
    assert SHOWN.keys() <= variables.keys()
    jsonschema = pytest.importorskip("jsonschema", reason="the package jsonschema is not installed")
    for valid in (content, uncommented(content)):
        jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(valid))
    for name in ("account", "serve", "build"):
        assert f"# {HostSettings.model_fields[name].description}" in content
    assert yaml.safe_load(content)["all"]["vars"].keys() == {"models", "services", "build", "apt", "conda", "pip"}


def test_what_is_shown_are_settings() -> None:
    for name, below in SHOWN.items():
        inner = HostSettings.model_fields[name].annotation
        assert all(key in inner.model_fields for key in below), name  # type: ignore[union-attr]


def test_hosts_of_two_kinds_are_groups_with_names_of_their_own() -> None:
    found = Found({"cpu": {}, "b": {}}, {"cuda": {"hosts": {"b": None}, "vars": {"ansible_user": "u"}}})
    inventory = read(told_to(found, {"cpu": seen(), "b": seen(GPU)}))
    assert inventory.groups["cpu_2"] == ("cpu",)
    assert inventory.groups["cuda_2"] == inventory.groups["cuda"] == ("b",)
    assert inventory.hosts["b"].ssh.user == "u"


def test_what_hosts_say_stays_in_its_comment() -> None:
    looked = {"a": seen(replace(FACTS, os_name="evil\n    b: \x1b[2J")), "c": UnreachableError("c\n    d: {}\r x")}
    content = told_to(named("a,c"), looked)  # type: ignore[arg-type]
    assert list(read(content).hosts) == ["a", "c"]
    assert "\x1b" not in content
    assert "    # It could not be looked at: c d: {} x\n    c:\n" in content


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"device": "gpu"}, "--device: should be cpu, cuda or auto, not 'gpu'"),
        ({"model": "x"}, "--model: should be demo, OWNER/NAME"),
        ({"mirrors": "tuna"}, "--mirrors: should be tsinghua, none or auto"),
        ({"hosts": "a", "ansible": "b"}, "exclude each other"),
    ],
)
def test_wrong_flags(flags: dict[str, str], words: str) -> None:
    names = ("hosts", "device", "model", "mirrors", "ssh_config", "ansible")
    with pytest.raises(ConfigurationError) as caught:
        Flags(**{name: flags.get(name, "") for name in names}, asks=False).check()
    assert words in caught.value.message


def test_wrong_hosts_name_their_flag() -> None:
    with pytest.raises(ConfigurationError, match="--hosts: 'a/b' is no host"):
        questions.HOSTS.settle("a/b", "", asks=False)

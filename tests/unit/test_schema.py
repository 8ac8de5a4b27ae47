from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioning.schema import json_schema
from provisioning.settings import HostSettings

SHIPPED = Path(__file__).parents[2] / "inventory.yaml"


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="the package jsonschema is not installed")
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


def inventory(variables: dict[str, Any]) -> dict[str, Any]:
    return {"all": {"hosts": {"a": None}, "children": {"web": {"children": {"deep": {"vars": variables}}}}}}


def test_it_is_json_and_knows_every_setting() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert HostSettings.model_fields.keys() <= schema["$defs"]["variables"]["properties"].keys()
    references = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    assert references == schema["$defs"].keys(), "every reference resolves, every definition is used"


def test_every_setting_has_a_description() -> None:
    for name, definition in json_schema()["$defs"].items():
        for key, about in definition.get("properties", {}).items():
            assert "description" in about or "$ref" in about, f"{name}/{key}"


def test_the_shipped_inventory_is_valid(validator: Any) -> None:
    text = SHIPPED.read_text("utf-8")
    validator.validate(yaml.safe_load(text))
    validator.validate(yaml.safe_load(re.sub(r'(?m)^( +)# ((?:  )*(?:["a-z_]+:|- ).*)$', r"\1\2", text)))
    validator.validate(yaml.safe_load(re.sub(r"(?m)^#(?=  )", "", text)))


def test_foreign_variables_are_valid(validator: Any) -> None:
    validator.validate(inventory({"http_port": 80, "ansible_port": 22, "serve": {"port": 1}}))


@pytest.mark.parametrize(
    "variables",
    [
        {"serve": {"port": "80"}},
        {"serve": {"port": 0}},
        {"serve": {"prot": 80}},
        {"services": {"a/b": {"model": "m"}}},
        {"services": {"a": {}}},
        {"apt": {"mirror": "x"}},
        {"build": {"device": "tpu"}},
        {"serve": {"environment": {"UID": "1"}}},
    ],
    ids=json.dumps,
)
def test_wrong_settings_are_invalid_at_any_depth(validator: Any, variables: dict[str, Any]) -> None:
    assert not validator.is_valid(inventory(variables))


def test_an_unknown_key_of_a_group_is_invalid(validator: Any) -> None:
    assert not validator.is_valid({"all": {"host": {"a": None}}})

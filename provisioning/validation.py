"""What is wrong with settings, in words for people: pydantic's errors told from the JSON schema of the settings."""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from provisioning.masking import masked
from provisioning.serve_settings import Serve, shared_ports, undefined_models
from provisioning.settings import HostSettings
from provisioning.spelling import nearest
from provisioning.webui_settings import Webui
from provisioning.yaml_document import KeyPath, Opaque, Unsafe

Problem = tuple[KeyPath, str]
Schema = Mapping[str, Any]
TextOf = Callable[[KeyPath], str | None]
BRACES = re.compile(r"\{\{|\{%")


def check(settings: Mapping[str, Any], text_of: TextOf = lambda path: None) -> list[Problem]:
    """Every problem of a host's settings but `conflicts`. `text_of` gives a scalar as it is written."""
    found = dict(unreadable_values(settings))
    for error in _errors(settings):
        if error["type"] != "conflicts":
            path, words = _tell(error, settings, text_of)
            if not any(path[:length] in found for length in range(len(path) + 1)):
                found[path] = words
    return list(found.items())


def conflicts(settings: Mapping[str, Any]) -> list[Problem]:
    """Where settings contradict each other, judged by whatever is valid by itself."""
    broken = {path for path, _ in check(settings)}
    services, models = settings.get("services"), settings.get("models", {})
    if not isinstance(services, Mapping) or not isinstance(models, Mapping):
        return []
    texts = [name for name in services if isinstance(name, str)]
    names = [name for name in texts if not {("services", name), ("services",)} & broken]
    wanted, ports = {}, {}
    for name in names:
        if ("services", name, "model") not in broken:
            wanted[name] = services[name]["model"]
        if not {("services", name, "port"), ("serve", "port"), ("serve",)} & broken:
            ports[name] = services[name].get("port", settings.get("serve", {}).get("port", Serve().port))
    webui = settings.get("webui")
    enabled = isinstance(webui, Mapping) and webui.get("enabled") is True and ("webui", "port") not in broken
    page = webui.get("port", Webui().port) if isinstance(webui, Mapping) and enabled else None
    return [*undefined_models(wanted, [str(name) for name in models]), *shared_ports(ports, page)]


def unreadable_values(value: Any, path: KeyPath = ()) -> Iterator[Problem]:
    """Values that only Ansible could read: templates, and what is encrypted with its vault."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from unreadable_values(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unreadable_values(item, (*path, str(index)))
    elif isinstance(value, Opaque):
        yield path, f"is encrypted with {value.tag}, which cannot be read here" if value.tag else "cannot be read here"
    elif isinstance(value, str) and not isinstance(value, Unsafe) and BRACES.search(value):
        yield path, "holds a template ({{ … }}), and templates are not evaluated; write the value, or tag it !unsafe"


def _errors(settings: Mapping[str, Any]) -> list[ErrorDetails]:
    try:
        HostSettings.model_validate(settings)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _tell(error: ErrorDetails, settings: Any, text_of: TextOf) -> Problem:
    location = error["loc"]
    if location[-1:] == ("[key]",) and error["type"] != "extra_forbidden":
        words = "should be text; write it in quotes" if error["type"] == "string_type" else error["msg"]
        return tuple(map(str, location[:-1])), f"the key {words}"
    known, schema = _locate(location)
    path = tuple(map(str, location))
    if error["type"] in ("extra_forbidden", "invalid_key") and known == len(location) - 1:
        close = nearest(path[-1], schema["properties"])
        return path, "unknown key; " + (
            f'did you mean "{close}"?' if close else f"known are {', '.join(schema['properties'])}"
        )
    if error["type"] == "missing" and known == len(location):
        return path, f"is missing: {schema['description'][0].lower()}{schema['description'][1:].rstrip('.')}"
    if error["type"] == "conflict":
        return path, error["msg"]
    return path[:known], _should_be(schema, _value_at(settings, location[:known]), path[:known], text_of)


def _should_be(schema: Schema, value: Any, path: KeyPath, text_of: TextOf) -> str:
    expected, text = expectation(schema), text_of(path)
    secret = _may_be_secret(path)
    if isinstance(value, (bool, int, float, datetime.date)) and text is not None and _takes(text, schema):
        written = "it" if secret else text
        return f"should be {expected}; {written} without quotes is {_kind(value)}: write " + (
            "it in quotes" if secret else f'"{text}"'
        )
    return f"should be {expected}, not {_kind(value) if secret else show(value)}"


def _may_be_secret(path: KeyPath) -> bool:
    """Whether a wrong value there may well be a secret: a server's variable, or a key in the place of its name."""
    return path[-1:] in (("api_key",), ("token",), ("password",)) or (
        len(path) > 2 and path[-2] in ("environment", "arguments")
    )


def _takes(text: str, schema: Schema) -> bool:
    branches = (branch for branch in schema.get("anyOf", [schema]) if branch.get("type") == "string")
    return any(
        not {"enum", "const"} & branch.keys() and re.search(branch.get("pattern", ""), text) for branch in branches
    )


def _value_at(settings: Any, location: tuple[int | str, ...]) -> Any:
    for part in location:
        if isinstance(settings, Mapping) and part not in settings:
            # pydantic names a key that is no text by what Python shows of it.
            settings = next((value for key, value in settings.items() if str(key) == part), None)
        else:
            settings = settings[part]
    return settings


@functools.cache
def _root() -> Schema:
    return HostSettings.model_json_schema()


def _resolve(schema: Schema) -> Schema:
    while "$ref" in schema:
        above = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**_root()["$defs"][schema["$ref"].rsplit("/", 1)[1]], **above}
    return schema


def _locate(location: tuple[int | str, ...]) -> tuple[int, Schema]:
    """How many parts of an error's location are keys, and the schema there; the rest names branches of a union."""
    schema = _resolve(_root())
    for known, part in enumerate(location):
        patterns = list(schema.get("patternProperties", {}).values())
        below = schema.get("properties", {}).get(part) or next(iter(patterns), None)
        if isinstance(part, int):
            below = schema.get("items", below)
        if not isinstance(below, Mapping):
            return known, schema
        schema = _resolve(below)
    return len(location), schema


def expectation(schema: Schema) -> str:
    """What a schema allows, as words that follow "should be"."""
    *others, last = dict.fromkeys(_alternatives(_resolve(schema)))
    return f"{', '.join(others)} or {last}" if others else last


def _alternatives(schema: Schema) -> list[str]:
    if "anyOf" in schema:
        return [words for branch in schema["anyOf"] for words in _alternatives(_resolve(branch))]
    if "patternErrorMessage" in schema:
        return [str(schema["patternErrorMessage"]).removeprefix("should be ")]
    if "enum" in schema or "const" in schema:
        return [json.dumps(choice) for choice in schema.get("enum", [schema.get("const")])]
    if schema.get("type") == "array":
        least = " of at least one item" if schema.get("minItems") else ""
        return [f"a list{least} (each item {expectation(schema['items'])})"]
    if schema.get("required"):
        return ["{" + ", ".join(f"{key}: …" for key in schema["required"]) + "}"]
    words = {"integer": "an integer", "number": "a number", "boolean": "true or false", "null": "null"}
    return [words.get(schema.get("type", ""), "a mapping") + _bounds(schema)]


def _bounds(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f" between {least} and {most}"
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']:g}"
    return f" of at least {least}" if least is not None else ""


def show(value: Any) -> str:
    """A value as people wrote it, shortened, and without what may be a login: it is no URL that could be read."""
    if isinstance(value, (str, bool, int, float)):
        text = masked(re.sub(r'(?<=^").*@', "***@", json.dumps(value, ensure_ascii=False)))
        return text if len(text) <= 60 else text[:57] + '…"'
    return _kind(value)


def _kind(value: Any) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (str, "text"),
        (list, "this list" if value else "an empty list"),
        (dict, "this mapping" if value else "an empty mapping"),
        (datetime.date, "a date"),
        (type(None), "null"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), type(value).__name__)

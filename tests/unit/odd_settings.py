"""Strategies that make inventories: from the settings' own schema, then spoilt, and everything YAML can be bent to."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import strategies as st

from provisioning.settings import HostSettings

ROOT = HostSettings.model_json_schema()
ODD = [
    "\0",
    "\x1b[31m",
    "\u202e",
    "\u200b",
    "\ufeff",
    "e\u0301",
    "\u2028",
    "\x85",
    "\U0001f600",
    "\ud800",
    "٣",
    "²",
    "天空",
]
SHELL = [
    "$(id)",
    "`id`",
    "${HOME}",
    "$HOME",
    "'",
    '"',
    "\\",
    "\n",
    "\r\n",
    "\t",
    ";",
    "&",
    "|",
    "<",
    ">",
    "*",
    "?",
    "~",
    "#",
]
SHELL += [
    "!",
    "%n",
    "%%",
    "%H",
    "{{",
    "{%",
    "{}",
    "[a-z]",
    "-rf",
    "--",
    "=",
    ":",
    "@",
    " ",
    "  ",
    "\\n",
    "\\x00",
    "EOF",
    "\\",
]
texts = st.lists(st.sampled_from(ODD + SHELL) | st.text(max_size=5), max_size=6).map("".join)
huge = st.sampled_from(
    [10**99, -(10**99), 2**63, -1, 0, 10**4200, 1e999, float("nan"), 1e-320, "9" * 5000, "x" * 70_000]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | huge | st.dates() | st.binary(max_size=9)
keys = (
    texts
    | st.integers()
    | st.none()
    | st.booleans()
    | st.floats()
    | st.dates()
    | st.sampled_from(["[key]", "on", "<<", "="])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)


def of_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a schema allows."""
    schema = {**ROOT["$defs"][schema["$ref"].rsplit("/", 1)[1]], **schema} if "$ref" in schema else schema
    if "anyOf" in schema:
        return st.one_of([of_schema(branch) for branch in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return st.lists(of_schema(schema["items"]), min_size=schema.get("minItems", 0), max_size=2)
    if schema.get("type") == "object":
        return _mapping(schema)
    return _scalar(schema)


def _mapping(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    for pattern, below in schema.get("patternProperties", {}).items():
        return st.dictionaries(st.from_regex(pattern, fullmatch=True), of_schema(below), max_size=2)
    if "properties" not in schema:
        return st.dictionaries(texts, values, max_size=2)
    needed = schema.get("required", [])
    fields = {name: of_schema(below) for name, below in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in needed},
        optional={name: strategy for name, strategy in fields.items() if name not in needed},
    )


def _scalar(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    kind = schema.get("type")
    if kind == "string":
        return st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else texts
    least, most = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    kinds: dict[Any, st.SearchStrategy[Any]] = {
        "integer": st.integers(least, most),
        "number": st.floats(least, most, allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return kinds.get(kind, values)


settings = of_schema(ROOT)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values within a value."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in below:
        yield (*path, key)
        yield from places(item, (*path, key))


@st.composite
def spoilt(draw: st.DrawFn, wholes: st.SearchStrategy[Any] = settings) -> Any:
    """Valid settings with something wrong in one place, or in two."""
    whole = draw(wholes)
    for _ in range(draw(st.integers(1, 2))):
        if not (paths := list(places(whole))):
            return draw(values)
        *above, key = draw(st.sampled_from(paths))
        target = functools.reduce(lambda found, step: found[step], above, whole)
        if isinstance(target, dict) and draw(st.booleans()):
            target[draw(keys)] = target.pop(key)
        else:
            target[key] = draw(values)
    return whole


@st.composite
def inventories(draw: st.DrawFn) -> dict[Any, Any]:
    """Groups, hosts and variables, with and without sense."""
    variables = st.dictionaries(st.sampled_from(CONNECTION) | keys, values, max_size=2)
    hosts = st.dictionaries(st.sampled_from(HOSTS) | keys, st.none() | variables, max_size=3)
    names = st.sampled_from(["all", "web", "gpu", "ungrouped", "..", "x" * 300]) | keys
    group = {"hosts": hosts | values, "vars": settings | spoilt() | values, "children": values}
    inner = st.fixed_dictionaries({}, optional=group)
    group["children"] = st.dictionaries(names, st.none() | inner, max_size=3) | values
    whole: dict[Any, Any] = draw(st.dictionaries(names, st.fixed_dictionaries({}, optional=group), max_size=3))
    whole.setdefault("all", {}).setdefault("hosts", {"a": None})
    return whole


HOSTS = ["a", "web[1:3]", "w[01:9999]", "[1:2]" * 9, "h:22", "h:99999999999", "[::1]:22", "w[1:", "localhost", "-oX=y"]
CONNECTION = [
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_connection",
    "ansible_become",
    "ansible_password",
]
CONNECTION += ["ansible_ssh_common_args", "ansible_group_priority", "ansible_become_pass", "ansible_become_method"]


class Dumper(yaml.SafeDumper):
    """Writes long numbers, too, and text as it comes."""


Dumper.add_representer(int, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:int", hex(value)))
Dumper.add_representer(
    datetime.date, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:timestamp", str(value))
)


def written(data: Any) -> bytes:
    """As a YAML file."""
    return yaml.dump(data, Dumper=Dumper, allow_unicode=True).encode(errors="surrogatepass")


TRICKS = [
    "&a ",
    "*a",
    "<<: *a\n",
    "!!python/object/apply:os.system [id]",
    "!vault |\n  x",
    "!unsafe '{{ x }}'",
    "---\n",
    "...\n",
]
TRICKS += [
    "\t",
    "[" * 99,
    "{" * 99,
    "- " * 99,
    "? ",
    "%YAML 9.9\n",
    "!!binary x",
    "!!set {a, b}",
    "!!int x",
    "\r",
    "\ufeff",
    "{{ x }}",
]


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """A written inventory with tricks of YAML, or odd bytes, put in anywhere."""
    text = written(draw(inventories()))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        trick = draw(st.sampled_from(TRICKS).map(str.encode) | st.binary(max_size=4))
        text = text[:place] + trick + text[place + draw(st.integers(0, 3)) :]
    return text

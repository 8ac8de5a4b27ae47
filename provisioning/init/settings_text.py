"""Settings as commented YAML: what is chosen is set, what else matters stands as a comment with its default.

Names, defaults and descriptions are those of the settings themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import dropwhile
from typing import Any

import yaml

from provisioning.model_settings import Model
from provisioning.serve_settings import Section, Service
from provisioning.settings import HostSettings
from provisioning.yaml_document import Unsafe

Shown = Mapping[str, Any]

ALONE: Shown = {"account": {}, "host_keys": {}, "become_password_file": {}}
"""Those that are no sections."""
SHOWN: Shown = {
    **ALONE,
    "apt": {"mirror": {}},
    "miniconda": {"mirrors": {}},
    "conda": {"condarc": {}, "accept_terms": {}},
    "pip": {"index": {}, "extra_indexes": {}},
    "environment": {"manager": {}, "python": {}},
    "build": {"device": {}, "method": {}, "vllm": {}},
    "hubs": {"modelscope": {}, "huggingface": {}},
    "serve": {
        **{"listen": {}, "max_model_len": {}, "kv_cache_gib": {}, "tensor_parallel_size": {}, "gpus": {}},
        **{"api_key": {}, "arguments": {}, "environment": {}},
    },
}
"""What people change most; `inventory.yaml` of the project has everything."""
OF_MODELS: dict[str, Shown] = {"models": {"method": {}, "revision": {}, "path": {}, "token": {}}, "services": {}}
NAMED: dict[str, type[Section]] = {"models": Model, "services": Service}
"""Settings that are mappings of names."""


def flow(value: Any) -> str:
    """A value, or a key, as YAML on one line."""
    plain = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, str) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=1 << 20, allow_unicode=True, sort_keys=False)
    return ("!unsafe " if isinstance(value, Unsafe) else "") + text.removesuffix("\n").removesuffix("\n...")


def settings(chosen: Mapping[str, Any], indent: int, *, without: Mapping[str, Any], rest: bool) -> Iterator[str]:
    """Lines for the variables of a group; with `rest`, also those with defaults, unless they are in `without`."""
    yield from dropwhile(lambda line: not line, _settings(chosen, indent, without, rest))


def _settings(chosen: Mapping[str, Any], indent: int, without: Mapping[str, Any], rest: bool) -> Iterator[str]:
    pad = " " * indent
    shown = {name: below for name, below in SHOWN.items() if rest and name not in without}
    for name, section in NAMED.items():
        if name in chosen:
            yield ""
            yield f"{pad}{name}:  # {HostSettings.model_fields[name].description}"
            for each, values in chosen[name].items():
                yield f"{pad}  {flow(each)}:"
                yield from _lines(section, values, OF_MODELS[name], f"{pad}    ")
    if any(name in shown for name in ALONE):
        yield ""
    ours = {name: value for name, value in chosen.items() if name not in NAMED}
    yield from _lines(HostSettings, ours, shown, pad)


def _lines(section: type[Section], chosen: Mapping[str, Any], shown: Shown, pad: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if name not in chosen and name not in shown:
            continue
        prefix = pad if name in chosen or "#" in pad else f"{pad}# "
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            if section is HostSettings:
                yield ""
            yield f"{prefix}{flow(name)}:  # {field.description}"
            yield from _lines(inner, chosen.get(name, {}), shown.get(name, {}), f"{prefix}  ")
        else:
            yield f"{prefix}{flow(name)}: {flow(chosen.get(name, field.default))}  # {field.description}"

"""Settings over settings: those of a command line over those of an inventory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.yaml_document import KeyPath


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`, mappings within merged likewise."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = merge(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def reach(value: Any, path: KeyPath) -> int:
    """How many keys of the path there are."""
    for found, key in enumerate(path):
        if not isinstance(value, Mapping) or key not in value:
            return found
        value = value[key]
    return len(path)

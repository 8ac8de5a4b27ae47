"""A host's settings as strangers may see them: what is told is on a list, and every other text is left out."""

from __future__ import annotations

from typing import Any

from provisioning.masking import server_of
from provisioning.settings import HostSettings, Section

SHOWN = frozenset(
    (
        *("account", "host_keys", "serial", "max_fail", "packages", "init", "manager", "python", "version", "sha256"),
        *(
            "device",
            "method",
            "vllm",
            "exclude",
            "revision",
            "jobs",
            "on",
            "id",
            "include",
            "distribute",
            "download_on",
        ),
        *("listen", "dtype", "kv_cache_gib", "threads", "tensor_parallel_size", "gpus", "model"),
        *("download_on", "limit_rate", "condarc", "mirror", "index"),
    )
)
"""Settings whose text is shown: they name versions, devices, packages and models."""
NAMED = frozenset(("models", "services"))
"""Mappings of settings by a name that the user chose; what else has keys of its own is left out."""


def shown(settings: HostSettings) -> Any:
    """What the inventory gives: numbers, switches, and texts of `SHOWN`; of other texts, that there is one."""
    return _shown("", settings)


def _shown(key: str, value: Any) -> Any:
    if isinstance(value, Section):
        return {name: _shown(name, getattr(value, name)) for name in sorted(value.model_fields_set)}
    if isinstance(value, dict):
        return {name: _shown("", each) for name, each in value.items()} if key in NAMED else f"({len(value)} given)"
    if isinstance(value, tuple):
        return [_shown(key, each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if "://" in (text := str(value)):
        return f"{text.partition('://')[0]}://{server_of(text)}/…"
    return text if key in SHOWN else "(given)"

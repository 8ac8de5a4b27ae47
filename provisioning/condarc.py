"""Merges a mirror's settings into somebody's ~/.condarc without losing what is theirs. Pure.

Why consent is asked for: since July 2025 `conda create -y` stops with CondaToSNonInteractiveError where a channel has
terms of service that nobody accepted (https://github.com/anaconda/conda-anaconda-tos). The plugin asks each channel
in use for `terms.json`; a channel without one, as conda-forge, has nothing to accept. It accepts by itself where
`CI` is set, so a caller that means to ask first unsets that. Whatever this file says, `--override-channels -c
conda-forge` on the command line keeps other channels out: conda unites the channels of all its configuration files,
and `custom_channels` still sends conda-forge to the mirror.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from provisioning.errors import ConfigurationError
from provisioning.yaml_source import parse

TEMPLATES = Path(__file__).with_name("templates")
PRESETS = ("tuna", "tuna-2024", "none")
OPEN_CHANNEL = "conda-forge"
# Channels whose packages come under Anaconda's terms, by name or by address, a mirror's included.
ANACONDA = re.compile(
    r"^(defaults|anaconda|main|r|msys2|free)$|/pkgs/(main|free|r|msys2|pro)(/|$)|//repo\.anaconda\.com/"
)


def preset(name: str) -> dict[str, Any]:
    """The settings of a preset: `tuna`, `tuna-2024` or `none`."""
    if name == "none":
        return {}
    if name not in PRESETS:
        raise ConfigurationError(f"unknown mirror preset {name!r}", remedy=f"known: {', '.join(PRESETS)}")
    return _parse((TEMPLATES / f"condarc.{name}.yaml").read_text("utf-8"), f"preset {name}")


def merge(existing_yaml: str, settings: Mapping[str, Any] | str, *, accept_terms: bool) -> str:
    """An existing .condarc with a preset (or a mapping of one's own) merged in.

    Keys of the file keep their place, and so does everything that only the file has. Lists are united, ours first;
    mappings are merged; of two plain values ours counts. Unless Anaconda's terms are accepted, no channel under them
    stays in `channels`, and conda-forge leads. Merging twice changes nothing more, and a file that needs no change is
    returned as it is, comments included (a changed one loses them: YAML does not keep them, hence the backup).
    """
    existing = _parse(existing_yaml, "the existing .condarc")
    ours = preset(settings) if isinstance(settings, str) else dict(settings)
    merged = _united(existing, ours)
    if not accept_terms:
        merged["channels"] = _open(merged.get("channels", []))
    if merged == existing:
        return existing_yaml
    return yaml.dump(merged, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1000)


class _Dumper(yaml.SafeDumper):
    """Takes text that an inventory tags `!unsafe` for text, too."""


_Dumper.add_multi_representer(str, yaml.SafeDumper.represent_str)


def _open(channels: list[Any]) -> list[Any]:
    """The channels that may be used without accepting terms."""
    rest = [channel for channel in channels if not (isinstance(channel, str) and ANACONDA.search(channel))]
    has_forge = any(isinstance(channel, str) and channel.rstrip("/").endswith(OPEN_CHANNEL) for channel in rest)
    return rest if has_forge else [OPEN_CHANNEL, *rest]


def _united(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(theirs)
    for key, value in ours.items():
        present = merged.get(key)
        if isinstance(value, Mapping) and isinstance(present, Mapping):
            merged[key] = _united(present, value)
        elif isinstance(value, list) and isinstance(present, list):
            merged[key] = [*value, *(item for item in present if item not in value)]
        else:
            merged[key] = value
    return merged


def _parse(text: str, what: str) -> dict[str, Any]:
    """A .condarc as a mapping; anything else is an error that says where."""
    remedy = "mend the file or move it away, then run again"
    try:
        document = parse(text, what)
    except ConfigurationError as error:
        error.remedy = remedy
        raise
    if document.problems:
        raise ConfigurationError(f"{what} cannot be read", cause="\n".join(document.problems), remedy=remedy)
    content = document.data
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{what} is not a mapping of settings", cause=text[:200], remedy=remedy)
    channels = content.get("channels", [])
    if isinstance(channels, str):  # conda takes a single name too
        content["channels"] = [channels]
    elif not isinstance(channels, list):
        raise ConfigurationError(f"{what}: `channels` is not a list", cause=repr(channels), remedy=remedy)
    return content

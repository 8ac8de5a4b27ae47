"""pip's configuration file: ours merged into what is there, line by line, so that comments stay."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from provisioning.settings import Pip

TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"


def options(pip: Pip) -> dict[str, str]:
    """Give the options of `[global]` that the settings name."""
    wanted = {
        "index-url": {"host": "", "none": "", "tuna": TUNA}.get(pip.index, pip.index),
        "no-index": "true" if pip.index == "none" else "",
        "extra-index-url": " ".join(pip.extra_indexes),
        "find-links": " ".join(pip.find_links),
    }
    return {key: value for key, value in wanted.items() if value}


def variables(pip: Pip) -> list[tuple[str, str]]:
    """Give the same as environment variables of pip."""
    return [(f"PIP_{key.upper().replace('-', '_')}", value) for key, value in options(pip).items()]


def merge(existing: str, wanted: Mapping[str, str]) -> str:
    """Set options of `[global]`; every other line stays as it is, but for a `no-index` that would hide our index."""
    lines = existing.removesuffix("\n").split("\n") if existing else []
    if "[global]" not in (line.strip() for line in lines):
        lines = ["[global]", *lines] if not lines else ["[global]", "", *lines]
    start = next(number for number, line in enumerate(lines) if line.strip() == "[global]") + 1
    end = next((n for n in range(start, len(lines)) if re.match(r"\s*\[", lines[n])), len(lines))
    gone = {*wanted, *(("no-index",) if "index-url" in wanted else ())}
    kept = _without(lines[start:end], gone)
    ours = [f"{key} = {value}" for key, value in wanted.items()]
    return "\n".join([*lines[:start], *ours, *kept, *lines[end:]]) + "\n"


def _without(lines: list[str], keys: Collection[str]) -> list[str]:
    """Drop options with these keys, and the indented lines that go on with their values."""
    kept, dropping = [], False
    for line in lines:
        if not re.match(r"\s+\S", line):
            dropping = re.split(r"\s*[=:]", line, maxsplit=1)[0].strip().replace("_", "-") in keys
        if not dropping:
            kept.append(line)
    return kept

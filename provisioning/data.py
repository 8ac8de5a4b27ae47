"""The data files that lie beside the code: pins and versions, with their sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

# libyaml reads in milliseconds what PyYAML takes as many hundredths of a second for.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(name: str) -> Any:
    """Give the content of a data file."""
    return yaml.load(Path(__file__).with_name(name).read_text("utf-8"), Loader=_LOADER)  # noqa: S506 - both are safe

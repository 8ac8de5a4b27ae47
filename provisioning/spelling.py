"""Did you mean …? Foreign variables are left alone; a misspelt setting of ours is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from provisioning.settings import HostSettings

CLOSE = 0.8
# Ordinary words that happen to be near ours, and that inventories do use.
ORDINARY = frozenset(
    ("module", "modules", "modes", "mode", "devices", "servers", "series", "condo", "ip", "zip", "app", "apps")
)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, whatever its case, or None."""
    by_lower = {name.lower(): name for name in known}
    return next((by_lower[close] for close in difflib.get_close_matches(word.lower(), by_lower, 1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence for people: the nearest known word, else the known ones, else that there are none."""
    names = list(known)
    if close := nearest(word, names):
        return f'Did you mean "{close}"?'
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"Known are {', '.join(names[:12])}{more}." if names else "There are none."


def misspelt(name: str, value: Any) -> str | None:
    """The setting that a variable is a misspelling of; None for a foreign variable, which is none of our business.

    A longer or shorter word (`service`, `server`, `account_id`) is foreign, unless its value is shaped as ours is.
    """
    if name in HostSettings.model_fields or name.startswith("ansible_") or name in ORDINARY:
        return None
    word = name.lower().replace("-", "_")
    close = difflib.get_close_matches(word, HostSettings.model_fields, 3, CLOSE)
    if not close or word == close[0] or not _is_derived(word, close[0]):
        return next(iter(close), None)
    return next((known for known in close if _is_shaped_like(known, value)), None)


def _is_derived(word: str, known: str) -> bool:
    stems = (known, known.removesuffix("s"))
    return known.endswith(word) or word.endswith(known) or any(word.startswith(s) or s.startswith(word) for s in stems)


def _is_shaped_like(known: str, value: Any) -> bool:
    """Whether a mapping of mappings passes for that setting: too much for a coincidence."""
    if not isinstance(value, Mapping) or not any(isinstance(item, Mapping) for item in value.values()):
        return False
    try:
        HostSettings.model_validate({known: value})
    except ValidationError as error:
        return {problem["type"] for problem in error.errors()} == {"conflicts"}
    return True

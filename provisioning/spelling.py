"""Did you mean …? Foreign variables are left alone; a misspelt setting of ours is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from provisioning.settings import HostSettings, Model, Section, Service

ALIKE = 0.65
"""How alike two words are, at least, where one may have been meant: difflib's own 0.6 takes `help` for `wheels`."""
CLOSE = 0.8
SHORT = 5
"""Letters up to which a word with one other letter is another word: `guild` is no `build`, `vip` no `pip`."""
ORDINARY = frozenset(("modes",))
"""Words that inventories use, and that are one slip away from a setting."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, whatever its case, or None."""
    by_lower = {name.lower(): name for name in known}
    return next((by_lower[close] for close in difflib.get_close_matches(word.lower(), by_lower, 1, ALIKE)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence for people: the nearest known word, else the known ones, else that there are none."""
    names = list(known)
    if close := nearest(word, names):
        return f'Did you mean "{close}"?'
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"Known are {', '.join(names[:12])}{more}." if names else "There are none."


def misspelt(name: str, value: Any) -> str | None:
    """The setting that a variable is a misspelling of; None for a foreign variable, which is none of our business.

    A misspelling is a slip of the fingers (`modles`, `conect_timeout`), or another case. Other words, and longer or
    shorter ones (`compiled`, `connection_timeout`, `service`), are foreign, unless their value is shaped as ours is.
    """
    if name in HostSettings.model_fields or name.startswith("ansible_") or name in ORDINARY:
        return None
    word = name.lower().replace("-", "_")
    if word in HostSettings.model_fields:
        return word
    close = difflib.get_close_matches(word, HostSettings.model_fields, 3, CLOSE)
    return next((known for known in close if _is_slip(word, known) or _is_shaped_like(known, value)), None)


def is_foreign(name: str, value: Any) -> bool:
    """Whether the value of a variable with a setting's name has nothing of that setting in it: it may be another's."""
    schema = HostSettings.model_fields[name].annotation
    if isinstance(schema, type) and issubclass(schema, Section):
        return not _holds_keys_of(schema, value)
    sections: dict[str, type[Section]] = {"models": Model, "services": Service}
    inner = sections.get(name)
    if inner and isinstance(value, Mapping) and value:
        return not any(_holds_keys_of(inner, item) for item in value.values())
    return True


def renaming(names: Iterable[str]) -> str:
    """What to do about variables of one's own that have names of settings; "" for none."""
    if not (found := sorted(set(names))):
        return ""
    what = f"{', '.join(found)}: {'a name' if len(found) == 1 else 'names'} of this project's settings."
    return f"{what} Give a variable of your own another name (README, The inventory)."


def _holds_keys_of(section: type[Section], value: Any) -> bool:
    return isinstance(value, Mapping) and any(nearest(str(key), section.model_fields) for key in value)


def _is_slip(word: str, known: str) -> bool:
    """Whether a letter was left out, doubled, changed or swapped, two in a long name; plural or singular is one."""
    if _is_derived(word, known):
        return False
    slips = min(_distance(word, stem) for stem in (known, known.removesuffix("s")))
    return slips <= (0 if len(known) < SHORT else 1 if len(known) < 2 * SHORT else 2)


def _distance(word: str, known: str) -> int:
    """Letters to insert, delete, replace, or swap with a neighbour. In short words replacing is no slip of one letter,
    and in long ones it counts as two: `contact_timeout` is another word.
    """
    replacing = 1 if SHORT < len(known) < 2 * SHORT else 2
    rows = [list(range(len(known) + 1))]
    for i, letter in enumerate(word, 1):
        row = [i]
        for j, other in enumerate(known, 1):
            same = rows[-1][j - 1] + (0 if letter == other else replacing)
            row.append(min(rows[-1][j] + 1, row[-1] + 1, same))
            if i > 1 and j > 1 and (letter, word[i - 2]) == (known[j - 2], other):
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]


def _is_derived(word: str, known: str) -> bool:
    stems = (known, known.removesuffix("s"))
    return (
        word[:-1] == known[:-1]
        or known.endswith(word)
        or word.endswith(known)
        or any(word.startswith(s) or s.startswith(word) for s in stems)
    )


def _is_shaped_like(known: str, value: Any) -> bool:
    """Whether a mapping of mappings passes for that setting: too much for a coincidence."""
    if not isinstance(value, Mapping) or not any(isinstance(item, Mapping) for item in value.values()):
        return False
    try:
        HostSettings.model_validate({known: value})
    except ValidationError as error:
        return {problem["type"] for problem in error.errors()} == {"conflicts"}
    return True

"""What every method of downloading shares: what it is to bring, and how it says that it cannot."""

import difflib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol


class Unavailable(Exception):  # noqa: N818 - it says how it went with one source, and the next one is tried
    """A source that cannot give what is asked of it; its words say why, and what to do."""


class Transient(Exception):  # noqa: N818 - as above
    """A failure that waiting can mend. `wait` is how many seconds the server asked for."""

    def __init__(self, words: str, wait: float = 0) -> None:
        super().__init__(words)
        self.wait = wait


@dataclass(frozen=True)
class Wanted:
    """A file of a model: bytes (-1 where they are not known yet), and SHA-256 where the source tells it."""

    size: int
    sha256: str = ""
    git_blob: str = ""
    """Its SHA-1 as git counts it, where that is all that the source tells."""
    url: str = ""


@dataclass(frozen=True)
class Listing:
    """What a source has: the commit (or the like), and the files by their relative paths."""

    revision: str
    files: dict[str, Wanted] = field(default_factory=dict)


class Source(Protocol):
    """A method of downloading, told what to bring."""

    shown: str
    """Where from, without a login."""
    proven: dict[str, str]
    """SHA-256 of the files that `fetch` has compared with what was wanted as they came."""

    def listing(self) -> Listing:
        """Ask what there is. Raises `Unavailable`."""

    def fetch(self, files: dict[str, Wanted]) -> None:
        """Bring these files into the folder, whole, going on where it was stopped. Raises `Unavailable`.

        Raises OSError with ENOSPC where the disk is full.
        """

    def partial(self) -> dict[str, int]:
        """Bytes of each file that are here, of those being fetched."""


def listed(source: Source) -> Listing:
    """What a source has. Raises `Unavailable`, also for an answer that has another form than the protocol's."""
    try:
        return source.listing()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise Unavailable(f"what it answers is not understood ({why}): does the server speak this protocol?") from error


def say(text: str) -> None:
    """Print one line of the log."""
    print(text, flush=True)


def safe(name: str) -> bool:
    """Whether a path that a server names stays within the folder, and out of what is kept beside the files."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return "\0" not in name and not {"", ".", "..", ".git", ".vllm-provisioning"} & set(name.split("/"))


def chosen(files: dict[str, Wanted], include: Iterable[str], exclude: Iterable[str]) -> dict[str, Wanted]:
    """The files that the patterns choose: `*.json`, `folder/*`; a pattern that ends in / means all below it.

    A `*` stands for slashes too, and `**/` for any folders or none. Raises `Unavailable` where they choose nothing.
    """
    fits = _matcher(include)
    unfit = _matcher(exclude)
    found = {name: each for name, each in files.items() if (not include or fits(name)) and not unfit(name)}
    if not found:
        raise Unavailable(f"none of its {len(files)} files is chosen by include and exclude")
    return found


def _matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    whole = [f"{each}*" if each.endswith("/") else each for each in patterns]
    either = {shorter for each in whole for shorter in (each, each.replace("**/", ""))}
    return lambda name: any(fnmatchcase(name, pattern) for pattern in either)


def close_names(wanted: str, known: Iterable[str]) -> str:
    """End of a sentence that names what may have been meant, or ""."""
    close = difflib.get_close_matches(wanted, list(dict.fromkeys(known)), 3, 0.5)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def names_instead(wanted: str, known: list[str]) -> str:
    """As `close_names`; where none is close, name what there is."""
    return close_names(wanted, known) or (f"; it has {', '.join(known[:10])}" if known else "")

"""Text files of this machine: whoever reads one sees what it was or what it is to be, never a part."""

from __future__ import annotations

import os
import secrets
from functools import partial
from pathlib import Path


def write_whole(path: Path, text: str, *, mode: int = 0o666, errors: str = "strict") -> None:
    """Write beside, then rename; what a link leads to, and what is no file (/dev/stdout), is written where it is.

    `mode` is what the umask takes its part from; `errors` says what becomes of text that UTF-8 does not have, as in
    `open`. Raises `OSError` where it cannot be written, or `UnicodeError`; then nothing is left beside.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, "utf-8", errors)
        return
    path = path.resolve()
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        with open(beside, "x", encoding="utf-8", errors=errors, opener=partial(os.open, mode=mode)) as file:
            file.write(text)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise

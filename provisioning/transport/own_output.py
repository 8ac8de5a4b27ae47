"""What a command prints, without what the login shell's start files print before it.

sshd hands every command to the login shell. bash as Debian builds it reads ~/.bashrc then, fish its config.fish and
tcsh its ~/.cshrc, and one `echo` in them would stand in every answer, and in every file that is read.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator


class OwnOutput:
    """The output of one command, from its own first byte on."""

    def __init__(self, command: str) -> None:
        """`command` is one for any login shell."""
        mark = secrets.token_hex(8)
        self.command = f"printf '{mark}\\n'; {command}"
        """What to run instead."""
        self._mark = f"{mark}\n".encode()

    def pieces(self, read: Callable[[], bytes]) -> Iterator[bytes]:
        """Give what `read` gives, up to b"", without what comes before the mark.

        Where that never comes the command never began, and all are words of the login shell: they say why.
        """
        before = b""
        while piece := read():
            before, mark, own = (before + piece).partition(self._mark)
            if mark:
                if own:
                    yield own
                yield from iter(read, b"")
                return
        if before:
            yield before

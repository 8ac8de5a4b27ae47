"""Where a person types: lines, or several at once, with what was typed before, and /commands completed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

BLOCK = '"""'
"""Begins and ends a text of several lines, as in Python and in `ollama run`."""
HOW_TO_LEAVE = "Leave with /bye or Ctrl-D."


class Prompt:
    """Reads what a person types at the terminal."""

    def __init__(self, completions: Callable[[], list[str]]) -> None:
        """`completions`: whole lines that may be meant."""
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter

        self._session: PromptSession[str] = PromptSession(
            history=_history(),
            completer=WordCompleter(completions, sentence=True),
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation="... ",
        )

    def read(self, prompt: str) -> str | None:
        """Give what was typed; None where the person leaves (Ctrl-D). Ctrl-C on an empty line says how to leave."""
        while True:
            try:
                return unquoted(self._session.prompt(f"{prompt}> "))
            except KeyboardInterrupt:
                print(HOW_TO_LEAVE)
            except EOFError:
                return None


def unquoted(text: str) -> str:
    """What is meant by a text that may stand between triple quotes."""
    stripped = text.strip()
    if not stripped.startswith(BLOCK):
        return text
    return stripped.removeprefix(BLOCK).removesuffix(BLOCK).strip("\n")


def goes_on(text: str) -> bool:
    """Whether a text has begun with triple quotes that have not ended."""
    return text.lstrip().startswith(BLOCK) and text.count(BLOCK) == 1


def _keys() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        if goes_on(event.current_buffer.text):
            event.current_buffer.insert_text("\n")
        else:
            event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt())

    return keys


def history_file() -> Path:
    """Where typed lines are kept: this person's state folder."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "vllm-provisioning/chat-history"


def _history() -> History:
    """The file, which nobody else can read; where it cannot be written, lines are remembered until the end."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    class Kept(FileHistory):
        def store_string(self, string: str) -> None:
            with suppress(OSError):  # a full disk: the line itself is not lost
                super().store_string(string)

    file = history_file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError:
        return InMemoryHistory()
    return Kept(file)

"""Secrets and confirmations: from the environment, a file, or a person at a terminal; never a command line."""

from __future__ import annotations

import getpass
import os
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provisioning.errors import DeclinedError, ProvisioningError
from provisioning.masking import hide

_one_question_at_a_time = threading.Lock()
_answers: dict[str, str | None] = {}
"""What was typed, for each question; None for Ctrl-D."""
_hiding: list[list[Any]] = []
"""How the terminal was, while a secret is typed."""


def ask_secret(what: str, *, variable: str, fits: Callable[[str], bool] = lambda secret: True) -> str | None:
    """Take a secret from the environment, or ask at the terminal (once a run); None where nobody can answer, or will.

    What is typed and does not fit is asked for again, as ssh does: three times in all.
    """
    if variable in os.environ:
        return hide(os.environ[variable])
    if not sys.stdin.isatty():
        return None
    with _one_question_at_a_time:
        if what not in _answers:
            _answers[what] = _typed(what, fits)
        return _answers[what]


def _typed(what: str, fits: Callable[[str], bool]) -> str | None:
    typed = ""
    for hint in ("", " (that was not it)", " (nor was that)"):
        try:
            typed = hide(_type_hidden(f"{what}{hint}: "))
        except EOFError:
            print(file=sys.stderr)
            return None
        if fits(typed):
            break
    return typed


def _type_hidden(prompt: str) -> str:
    _hiding.append(termios.tcgetattr(sys.stdin))
    try:
        return getpass.getpass(prompt)
    finally:
        _hiding.clear()


def show_typing_again() -> None:
    """Let the terminal show again what is typed, where nobody waits for the end of a question (Ctrl-C)."""
    for before in _hiding:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def read_secret_file(path: str) -> str:
    """Read a secret's first line from a file. Raises ValueError that says why it cannot be had."""
    try:
        content = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except RuntimeError as error:  # whose home `~NAME` is
        raise ValueError(f"{path} cannot be read: there is no account {path[1:].partition('/')[0]!r} here") from error
    try:
        return hide(content.split(b"\n", 1)[0].decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} holds something else than a line of UTF-8 text") from error


def confirm(question: str, *, yes: bool) -> None:
    """Ask for a yes. Raises `DeclinedError` on anything else (Ctrl-D), and where nobody can answer, without `--yes`."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise DeclinedError("Nothing was changed: nobody is here to confirm.", remedy="Say it with --yes.")
    with _one_question_at_a_time:
        try:
            answer = input(f"{question} [y/N] ")
        except EOFError:
            print()
            answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise DeclinedError("Nothing was changed.")


def ask(question: str, default: str, check: Callable[[str], None]) -> str:
    """Ask at the terminal until `check` raises no `ProvisioningError`, whose words are shown; Enter takes the default.

    Raises `DeclinedError` at the end of the input (Ctrl-D).
    """
    while True:
        try:
            with _one_question_at_a_time:
                answer = input(question).strip() or default
            check(answer)
        except EOFError as error:
            print()
            raise DeclinedError("Nothing was changed: the questions were not answered.") from error
        except ProvisioningError as error:
            print("\n".join(f"  {line}" for line in str(error).splitlines()))
        else:
            return answer

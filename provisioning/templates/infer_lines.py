"""The lines to answer: JSON, one object on each, checked without vLLM. What is wrong with one is said in words.

A line is `{"prompt": "…"}` or `{"messages": […]}`, or one of OpenAI's batches, whose `body` has the messages. It may
name itself (`id`, `custom_id`) and have sampling parameters of its own; whatever else it holds is left alone.
Standard library only, Python 3.10 and later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

LONGEST = 16 << 20
"""Bytes of a line that are taken into memory."""
SAMPLING: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("temperature", "top_p", "min_p", "repetition_penalty"), (int, float)),
    **dict.fromkeys(("presence_penalty", "frequency_penalty"), (int, float)),
    **dict.fromkeys(("max_tokens", "top_k", "seed"), (int,)),
    "ignore_eos": (bool,),
}
"""The sampling parameters that a line may have, and what they are: vLLM knows their ranges, but for those of a seed."""
WIDEST = 1 << 63
"""Beyond it a whole number has more than 64 bits: as a seed, torch would take it for the end of all."""
NEWER = "max_completion_tokens"
"""What OpenAI's API has come to call `max_tokens`."""
NAMES = ("id", "custom_id")


class MalformedError(Exception):
    """What is wrong with a line, in words."""


@dataclass(frozen=True)
class Question:
    """What one line asks."""

    line: int
    """Its number, from 1."""
    messages: list[dict[str, str]]
    sampling: dict[str, object] = field(default_factory=dict)
    names: dict[str, object] = field(default_factory=dict)
    content: str = ""
    """The line as it was read."""


@dataclass(frozen=True)
class Malformed:
    """A line that cannot be answered."""

    line: int
    error: str
    content: str

    def result(self) -> dict[str, object]:
        """As it is kept."""
        return {"line": self.line, "error": self.error, "content": self.content}


def read(file: BinaryIO, system: str, after: int = 0) -> Iterator[Question | Malformed]:
    """Give the lines of a file behind the number `after`, each as what it asks or why it cannot; blank ones are not.

    `system` is the system message of those that have none.
    """
    for number, raw in enumerate(_lines(file), 1):
        if number <= after or not raw.strip():
            continue
        content = raw.decode(errors="replace").rstrip("\r\n")
        try:
            yield _question(number, raw, content, system)
        except MalformedError as error:
            yield Malformed(number, str(error), content)


def count(file: BinaryIO) -> int:
    """How many lines `read` gives of a file."""
    return sum(1 for raw in _lines(file) if raw.strip())


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines, of which one that is too long keeps a beginning, longer than is allowed."""
    while line := file.readline(LONGEST + 1):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(LONGEST)):
            pass
        yield line


def _question(number: int, raw: bytes, content: str, system: str) -> Question:
    if len(raw) > LONGEST:
        raise MalformedError(f"it is longer than {LONGEST >> 20} MiB")
    value = _parsed(raw)
    body = value.get("body", value)
    if not isinstance(body, dict):
        raise MalformedError("`body` is not an object")
    messages = _messages(body)
    if system and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    names = {name: value[name] for name in NAMES if name in value}
    return Question(number, messages, _sampling(body), names, content)


def _parsed(raw: bytes) -> dict[str, object]:
    try:
        value = json.loads(raw.decode("utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else "utf-8"))
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"it is not UTF-8 (byte {error.start + 1})") from error
    except UnicodeEncodeError as error:
        raise MalformedError("it holds half a character (a lone surrogate)") from error
    except json.JSONDecodeError as error:
        raise MalformedError(f"it is not JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"it is not JSON that can be taken: {error}") from error
    if not isinstance(value, dict):
        raise MalformedError("it is not a JSON object")
    return value


def _messages(body: dict[str, object]) -> list[dict[str, str]]:
    if ("prompt" in body) == ("messages" in body):
        raise MalformedError("it has both `prompt` and `messages`" if "prompt" in body else "it has no prompt")
    if "prompt" in body:
        return [{"role": "user", "content": _text(body["prompt"], "`prompt`")}]
    given = body["messages"]
    if not isinstance(given, list) or not given:
        raise MalformedError("`messages` is not a list of messages")
    return [_message(message, f"message {number}") for number, message in enumerate(given, 1)]


def _message(message: object, name: str) -> dict[str, str]:
    if not isinstance(message, dict):
        raise MalformedError(f"{name} is not an object")
    role, content = message.get("role"), message.get("content")
    if isinstance(content, list):
        content = "\n".join(_part(part, name) for part in content)
    return {"role": _text(role, f"the role of {name}"), "content": _text(content, f"the content of {name}", least=0)}


def _part(part: object, name: str) -> str:
    """The text of a part; vLLM's server, too, puts each on lines of its own."""
    if not isinstance(part, dict) or part.get("type") != "text":
        raise MalformedError(f"the content of {name} has a part that is no text")
    return _text(part.get("text"), f"a part of {name}", least=0)


def _text(value: object, name: str, least: int = 1) -> str:
    if not isinstance(value, str):
        raise MalformedError(f"{name} is not a text")
    if len(value) < least:
        raise MalformedError(f"{name} is empty")
    return value


def _sampling(body: dict[str, object]) -> dict[str, object]:
    found = {name: body[name] for name in SAMPLING if body.get(name) is not None}
    if body.get(NEWER) is not None:
        found["max_tokens"] = body[NEWER]
    for name, value in found.items():
        if not isinstance(value, SAMPLING[name]) or (isinstance(value, bool) and bool not in SAMPLING[name]):
            kind = (
                "a number"
                if float in SAMPLING[name]
                else "a whole number"
                if int in SAMPLING[name]
                else "true or false"
            )
            raise MalformedError(f"`{name}` is not {kind}")
        if isinstance(value, int) and not -WIDEST <= value < WIDEST:
            raise MalformedError(f"`{name}` is too large a number")
    return {**found, **_stop(body)}


def _stop(body: dict[str, object]) -> dict[str, object]:
    """What ends an answer, if a line says so. Raises MalformedError also for one that wants several answers."""
    if body.get("n") not in (None, 1):
        raise MalformedError("`n` is not 1: a line has one answer")
    if (stop := body.get("stop")) is None:
        return {}
    stops = stop if isinstance(stop, list) else [stop]
    return {"stop": [_text(each, "`stop`") for each in stops]}

"""What the model is told of a conversation as the chat page shows it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COMPLAINT = "⚠️ "
"""What the title of a message of the page's own begins with: it is nobody's turn of the conversation."""

Message = dict[str, Any]


def conversation(system: str, history: Sequence[Message], question: str) -> list[dict[str, str]]:
    """What the model is told: complaints of the page, and questions that nothing was said to, are no part of it."""
    told: list[dict[str, str]] = [{"role": "system", "content": system}] if system.strip() else []
    for message in history:
        if not (message.get("metadata") or {}).get("title", "").startswith(COMPLAINT):
            if told and told[-1]["role"] == message["role"] == "user":
                told.pop()
            told.append({"role": message["role"], "content": plain(message["content"])})
    if told and told[-1]["role"] == "user":
        told.pop()
    return [*told, {"role": "user", "content": question}]


def plain(content: Any) -> str:
    """The text of a message, which Gradio gives in parts."""
    parts = content if isinstance(content, list) else [content]
    return "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in parts)

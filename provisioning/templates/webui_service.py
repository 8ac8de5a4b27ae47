"""A service that the chat page talks to: its answers as they come, and whatever goes wrong in words for people."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONNECT, SILENCE = 10, 600
"""Seconds to wait for a connection, and for the next token."""
LEAST = 16
"""Tokens that an answer must have room for."""
SERVING = ("ready", "busy")

Message = dict[str, str]


class CannotAnswerError(Exception):
    """A service cannot answer: `key` of the words that say so, and what these words name."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key, self.values = key, values


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn."""

    temperature: float
    top_p: float
    repetition_penalty: float
    max_tokens: int


@dataclass
class Service:
    """One service of the inventory."""

    host: str
    name: str
    model: str
    url: str
    """Where it is reached from here, without /v1."""
    api_key: str = "none"
    api_key_file: str = ""
    """Read anew for every question: a key that was generated again takes effect at once."""
    state_file: str = ""
    """What serve.py writes about it, if that can be read from here."""
    _client: Any = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.name} · {self.host}"

    async def answer(self, messages: list[Message], sampling: Sampling) -> AsyncGenerator[str, None]:
        """Give the answer piece by piece. Raises `CannotAnswerError`. Closing this ends the request at the server."""
        import openai

        try:
            client = self._connected()
            tokens = await self._tokens_left(client, messages, sampling.max_tokens)
            stream = await client.chat.completions.create(
                model=self.model,
                messages=messages,
                max_tokens=tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                extra_body={"repetition_penalty": sampling.repetition_penalty},
                stream=True,
            )
            async with stream:
                async for chunk in stream:
                    if chunk.choices and (text := chunk.choices[0].delta.content):
                        yield text
        except CannotAnswerError:
            raise
        except openai.APIConnectionError as error:
            raise self._not_there() from error
        except openai.APIStatusError as error:
            raise self._refusal(error) from error
        except openai.APIError as error:  # vLLM's own words, in the middle of an answer
            raise CannotAnswerError("failed", detail=error.message) from error
        except Exception as error:  # a connection that breaks within an answer is the HTTP library's own error
            raise CannotAnswerError("broken") from error

    def _connected(self) -> Any:
        """The client, made when it is first used: it belongs to the event loop of then."""
        import openai

        if self._client is None:
            self._client = openai.AsyncOpenAI(
                base_url=f"{self.url}/v1",
                api_key="none",
                max_retries=0,
                timeout=openai.Timeout(SILENCE, connect=CONNECT),
                # A proxy for the internet is no way to a service.
                http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
            )
        return self._client.copy(api_key=self._key())

    def _key(self) -> str:
        try:
            return Path(self.api_key_file).read_text().strip() if self.api_key_file else self.api_key
        except OSError as error:
            raise CannotAnswerError("refused") from error

    async def _tokens_left(self, client: Any, messages: list[Message], wanted: int) -> int:
        """As many tokens as are wanted and fit: vLLM refuses to promise more than there is room for."""
        import openai

        plain = client.copy(base_url=self.url)
        try:
            found = await plain.post("/tokenize", body={"model": self.model, "messages": messages}, cast_to=object)
        except openai.APIConnectionError:
            raise
        except openai.APIStatusError as error:
            if error.status_code == 503:
                raise
            return wanted  # a gateway may keep this from us
        count, limit = int(found["count"]), int(found["max_model_len"])
        if limit - count < LEAST:
            raise CannotAnswerError("too_long", count=count, limit=limit)
        return min(wanted, limit - count)

    def _not_there(self) -> CannotAnswerError:
        try:
            phase = str(json.loads(Path(self.state_file).read_text())["phase"]) if self.state_file else ""
        except (OSError, ValueError, KeyError):
            phase = ""
        return absence(phase)

    def _refusal(self, error: Any) -> CannotAnswerError:
        told = error.body if isinstance(error.body, dict) else {}
        if told.get("type") == "tunnel":
            detail = str(told.get("message", ""))
            return CannotAnswerError("unreachable", detail=detail) if detail else absence(str(told.get("code", "")))
        if error.status_code in (401, 403):
            return CannotAnswerError("refused")
        return CannotAnswerError("failed", detail=str(told.get("message", "")) or error.message)


def absence(phase: str) -> CannotAnswerError:
    """Why nobody listens: `phase` is where the service's program says that it stands, if anything says so."""
    between = phase and phase not in (*SERVING, "stopped", "failed", "gave up")
    return CannotAnswerError("starting", phase=phase) if between else CannotAnswerError("down")

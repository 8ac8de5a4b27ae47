"""Snippets that ask a service, for a shell and for Python: to paste, or to pipe into one. Pure.

No key stands in them: they take it from the environment, and curl from a pipe, for its command line shows to everybody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from provisioning.host import quote

Language = Literal["curl", "python"]


@dataclass(frozen=True)
class Endpoint:
    """Where and what to ask."""

    url: str
    """Base URL of the API: `http://HOST:PORT/v1`."""
    model: str
    question: str
    max_tokens: int
    variable: str = ""
    """Environment variable that holds the API key; "" for a service without one."""


@dataclass(frozen=True)
class Snippet:
    """A text to run: by a POSIX shell for curl, by Python for python."""

    title: str
    language: Language
    text: str

    def in_shell(self) -> str:
        """Give it as shell."""
        return self.text if self.language == "curl" else f"python3 - <<'PYTHON'\n{self.text}PYTHON\n"


def snippets(endpoint: Endpoint, languages: Sequence[str]) -> list[Snippet]:
    """Give those of these languages, with the whole answer at once and streamed."""
    found = [
        Snippet("curl", "curl", _curl(endpoint, stream=False)),
        Snippet("curl, streamed", "curl", _curl(endpoint, stream=True)),
        Snippet("Python", "python", _python(endpoint, stream=False)),
        Snippet("Python, streamed", "python", _python(endpoint, stream=True)),
    ]
    return [each for each in found if each.language in languages]


def _curl(endpoint: Endpoint, *, stream: bool) -> str:
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": endpoint.question}],
        "max_tokens": endpoint.max_tokens,
        "temperature": 0,
    }
    if stream:
        body["stream"] = True
    # A proxy for the internet is no way there. `-N`: show each piece as it comes.
    command = f"curl -sS --fail-with-body --noproxy '*' {'-N' if stream else quote('-w') + ' ' + _NEWLINE}"
    key = f"printf 'Authorization: Bearer %s\\n' \"${endpoint.variable}\" |\n  " if endpoint.variable else ""
    headers = ("-H @- " if key else "") + "-H 'Content-Type: application/json'"
    return (
        f"{key}{command} {headers} \\\n"
        f"  {quote(f'{endpoint.url}/chat/completions')} \\\n"
        f"  -d {quote(json.dumps(body, ensure_ascii=False))}\n"
    )


_NEWLINE = r"'\n'"

_CLIENT = """\
import os

import openai

client = openai.OpenAI(
    base_url={url},
    api_key={key},
    http_client=openai.DefaultHttpxClient(trust_env=False),  # past a proxy for the internet
)
answer = client.chat.completions.create(
    model={model},
    messages=[{{"role": "user", "content": {question}}}],
    max_tokens={max_tokens},
    temperature=0,
"""

_WHOLE = """\
)
print(answer.choices[0].message.content)
"""

_STREAMED = """\
    stream=True,
)
for chunk in answer:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
"""


def _python(endpoint: Endpoint, *, stream: bool) -> str:
    key = f"os.environ[{_literal(endpoint.variable)}]" if endpoint.variable else _literal("none")
    text = _CLIENT.format(
        url=_literal(endpoint.url),
        key=key,
        model=_literal(endpoint.model),
        question=_literal(endpoint.question),
        max_tokens=endpoint.max_tokens,
    )
    return (text if endpoint.variable else text.removeprefix("import os\n\n")) + (_STREAMED if stream else _WHOLE)


def _literal(text: str) -> str:
    """A JSON string is a literal of Python's too, with the same meaning."""
    return json.dumps(text, ensure_ascii=False)

"""Asking a service through the OpenAI client: directly, or through an SSH tunnel."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from provisioning.errors import NotReadyError, ProvisioningError
from provisioning.host import Host, quote
from provisioning.resources.api_key import given_api_key
from provisioning.serve_settings import ResolvedService
from provisioning.site import CONFIGURATION

if TYPE_CHECKING:
    import openai

TOO_LONG = re.compile(r"context length|maximum model length", re.IGNORECASE)
"""What vLLM says where a conversation, or the answer that it promises, has no room: vllm/entrypoints, all releases."""


def answer(host: Host, service: ResolvedService, question: str, max_tokens: int) -> Iterator[str]:
    """Give the answer piece by piece, at temperature 0. Raises as `connected` does."""
    told = {"temperature": 0, "max_tokens": length(service, max_tokens)}
    with connected(host, service) as client:
        yield from pieces(client, service.model, [{"role": "user", "content": question}], told)


@contextmanager
def reached(host: Host, service: ResolvedService, local_port: int = 0) -> Iterator[str]:
    """Give `HOST:PORT` of this machine from where a service is reached. Raises `NotReadyError` where nobody answers."""
    try:
        with host.transport.forward(service.own_address, service.port, local_port) as where:
            yield where
    except ConnectionRefusedError as error:
        raise _silent(host, service, str(error)) from error


@contextmanager
def connected(host: Host, service: ResolvedService) -> Iterator[openai.OpenAI]:
    """Give OpenAI's client for a service; what fails inside is raised in a person's words.

    Raises `NotReadyError` where nobody answers, and `ProvisioningError` where the answer is no.
    """
    import openai

    try:
        with reached(host, service) as where:
            yield openai.OpenAI(
                base_url=f"http://{where}/v1",
                api_key=api_key(host, service),
                max_retries=1,
                timeout=600,
                # A proxy for the internet is no way to this machine.
                http_client=openai.DefaultHttpxClient(trust_env=False),
            )
    except openai.AuthenticationError as error:
        raise ProvisioningError(f"{host.name}: {service.name} refuses the API key", cause=_words(error)) from error
    except openai.APIConnectionError as error:
        raise _silent(host, service, str(error.__cause__ or error)) from error
    except openai.APIError as error:
        if TOO_LONG.search(_words(error)):
            raise _too_long(host, service, error) from error
        raise ProvisioningError(f"{host.name}: {service.name} could not answer", cause=_words(error)) from error


def pieces(
    client: openai.OpenAI, model: str, messages: Sequence[Mapping[str, str]], parameters: Mapping[str, Any]
) -> Generator[str, None, str]:
    """Give the answer piece by piece, and at last why it ended (`stop`, `length`); closed before, it is aborted.

    `parameters` go to vLLM as they are, those included that OpenAI's API does not know.
    """
    import openai

    given: Any = list(messages)
    reason = ""
    with client.chat.completions.create(model=model, messages=given, stream=True, extra_body=parameters) as stream:
        try:
            for chunk in stream:
                if chunk.choices:
                    reason = chunk.choices[0].finish_reason or reason
                    if text := chunk.choices[0].delta.content:
                        yield text
        except openai.OpenAIError:
            raise
        except Exception as error:  # of httpx or httpx2, whichever this OpenAI client has: the connection broke
            raise openai.APIConnectionError(request=stream.response.request) from error
    return reason


def length(service: ResolvedService, max_tokens: int) -> int:
    """Leave half of a short context to the question: vLLM refuses to promise more tokens than there is room for."""
    return min(max_tokens, service.max_model_len // 2) if service.max_model_len else max_tokens


def api_key(host: Host, service: ResolvedService) -> str:
    """Give the key that a service wants, or `none`. Raises `ConfigurationError` where a given one cannot be had."""
    if service.api_key == "none":
        return "none"
    if service.api_key != "generate":
        return given_api_key(service)
    return host.run(f"cat {quote(key_file(service))}").stdout.strip()


def key_file(service: ResolvedService) -> str:
    """Where the host keeps the key of a service."""
    return f"{CONFIGURATION}/{service.name}.key"


def _silent(host: Host, service: ResolvedService, cause: str) -> NotReadyError:
    return NotReadyError(
        f"{host.name}: {service.name} does not answer at {service.listen}:{service.port}",
        cause=cause,
        remedy="See `invoke status`; bring it up with `invoke serve`.",
    )


def _too_long(host: Host, service: ResolvedService, error: openai.APIError) -> ProvisioningError:
    return ProvisioningError(
        f"{host.name}: this is too long for {service.name}",
        cause=_words(error),
        remedy="Ask for a shorter answer (max_tokens), or say less; in a conversation /clear begins anew.\n"
        "A longer context, as far as the model has one: `max_model_len` of the service.",
    )


def _words(error: openai.APIError) -> str:
    """The server's own sentence, where it sent one."""
    said = error.body.get("message") if isinstance(error.body, dict) else None
    return str(said or error.message)

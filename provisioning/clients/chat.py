"""Asking a service through the OpenAI client: directly, or through an SSH tunnel."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.errors import NotReadyError, ProvisioningError
from provisioning.host import Host, quote
from provisioning.resources.api_key import given_api_key
from provisioning.serve_settings import ResolvedService
from provisioning.site import CONFIGURATION


def answer(host: Host, service: ResolvedService, question: str, max_tokens: int) -> Iterator[str]:
    """Give the answer piece by piece, at temperature 0. Raises `NotReadyError` where nobody answers."""
    import openai

    try:
        with host.transport.forward(service.own_address, service.port) as where:
            client = openai.OpenAI(
                base_url=f"http://{where}/v1",
                api_key=_api_key(host, service),
                max_retries=1,
                timeout=600,
                # A proxy for the internet is no way to this machine.
                http_client=openai.DefaultHttpxClient(trust_env=False),
            )
            stream = client.chat.completions.create(
                model=service.model,
                messages=[{"role": "user", "content": question}],
                max_tokens=_length(service, max_tokens),
                temperature=0,
                stream=True,
            )
            for chunk in stream:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    yield text
    except openai.AuthenticationError as error:
        raise ProvisioningError(f"{host.name}: {service.name} refuses the API key", cause=error.message) from error
    except (openai.APIConnectionError, ConnectionRefusedError) as error:
        raise NotReadyError(
            f"{host.name}: {service.name} does not answer at {service.listen}:{service.port}",
            cause=str(error.__cause__ or error),
            remedy="See `invoke status`; bring it up with `invoke serve`.",
        ) from error
    except openai.APIError as error:
        raise ProvisioningError(f"{host.name}: {service.name} could not answer", cause=error.message) from error


def _length(service: ResolvedService, max_tokens: int) -> int:
    """Leave half of a short context to the question: vLLM refuses to promise more tokens than there is room for."""
    return min(max_tokens, service.max_model_len // 2) if service.max_model_len else max_tokens


def _api_key(host: Host, service: ResolvedService) -> str:
    if service.api_key == "none":
        return "none"
    if service.api_key != "generate":
        return given_api_key(service)
    return host.run(f"cat {quote(f'{CONFIGURATION}/{service.name}.key')}").stdout.strip()

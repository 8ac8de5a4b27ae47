"""Secrets that the inventory names, in a variable or a file of the controller: API keys, and tokens for models."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from provisioning.inventory import HostEntry, refuse
from provisioning.masking import hide
from provisioning.prompts import read_secret_file
from provisioning.serve_settings import KeyFromFile, KeyFromVariable
from provisioning.settings import HostSettings
from provisioning.yaml_document import KeyPath


def read(source: object) -> str:
    """Read what `{env: NAME}` or `{file: PATH}` names. Raises ValueError that says why it cannot be had."""
    if isinstance(source, KeyFromVariable):
        if not (secret := os.environ.get(source.env, "").strip()):
            raise ValueError(f"the environment variable {source.env} is not set")
        return hide(secret)
    assert isinstance(source, KeyFromFile)
    if not (secret := read_secret_file(source.file).strip()):
        raise ValueError(f"{source.file} is empty")
    return secret


def missing_keys(settings: HostSettings) -> Iterator[tuple[str, KeyPath, str]]:
    """Give each service (the chat page as "") whose given key cannot be had, where that is written, and why not."""
    for name, service in settings.resolved_services().items():
        if service.api_key not in ("none", "generate") and (why := _why_not(service.api_key)):
            its_own = "api_key" in settings.services[name].model_fields_set
            yield name, ("services", name, "api_key") if its_own else ("serve", "api_key"), why
    page = settings.webui
    if page.enabled and page.password not in ("none", "generate") and (why := _why_not(page.password)):
        yield "", ("webui", "password"), why


def missing_tokens(settings: HostSettings) -> Iterator[tuple[KeyPath, str]]:
    """Give each model's token that is named and cannot be had: where that is written, and why it cannot."""
    for name in {service.model for service in settings.services.values()}:
        token = settings.models[name].token
        if token != "none" and (why := _why_not(token)):
            yield ("models", name, "token"), why


def require_api_keys(entries: Sequence[HostEntry], service: str = "") -> None:
    """Raise one `ConfigurationError` with every given key that cannot be had: of all services, or of one."""
    lines = [
        entry.describe(path, words)
        for entry in entries
        for name, path, words in missing_keys(entry.settings)
        if service in ("", name)
    ]
    refuse(lines, "the inventory")


def require_tokens(entries: Sequence[HostEntry]) -> None:
    """Raise one `ConfigurationError` with every token for a model that is named and cannot be had."""
    lines = [entry.describe(path, words) for entry in entries for path, words in missing_tokens(entry.settings)]
    refuse(lines, "the inventory")


def _why_not(source: object) -> str:
    try:
        read(source)
    except ValueError as error:
        return str(error)
    return ""

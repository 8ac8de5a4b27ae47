"""The chat page of a host: its settings."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from provisioning.serve_settings import KeyFromFile, KeyFromVariable, Section
from provisioning.texts import Address, Line


class Webui(Section):
    """A chat page for the services of the host."""

    enabled: bool = Field(default=False, description="Serve a chat page on the host, as vllm-webui.service.")
    listen: Address = Field(
        default="127.0.0.1", description="Address to listen on; beyond 127.0.0.1 user and password are wanted."
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=7860, description="TCP port, 1 to 65535.")
    language: Literal["auto", "en", "zh"] = Field(default="auto", description="en, zh, or auto (the browser's).")
    user: Line | None = Field(default=None, description="Who may log in; null means no login.")
    password: Literal["none", "generate"] | KeyFromVariable | KeyFromFile = Field(
        default="none",
        description="none, generate (kept on the host, 0600), or {env: NAME} or {file: PATH} of the controller.",
    )

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        if (self.user is None) != (self.password == "none"):
            raise PydanticCustomError("conflict", '"user" and "password" go together')
        if self.enabled and self.user is None and not is_loopback(self.listen):
            words = {"listen": self.listen}
            raise PydanticCustomError(
                "conflict", 'needs "user" and "password", for "listen: {listen}" lets others in', words
            )
        return self


def is_loopback(address: str) -> bool:
    """Whether only the machine's own users get there."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"

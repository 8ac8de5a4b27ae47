"""How models are served: the settings of a host's services, and of one service."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from provisioning.masking import holds_login
from provisioning.texts import Address, CpuList, GpuList, Line, Name, Seconds, ServiceVariable, Text, VariableName

FromList = Field(strict=False)  # YAML has lists where a frozen model wants a tuple; the items stay strict


SEE_ENVIRONMENT = "give it to vLLM by a variable, under environment"
SECRETS = {
    "--api-key": "use api_key instead",
    "--hf-token": "use HF_TOKEN under environment instead, or models/NAME/token for the download",
}
"""Arguments of vLLM's server that hold a secret, and where that belongs."""

KEEPERS = re.compile(
    "VLLM_(API_KEY|API_KEY_FILE|ARGUMENTS|FINGERPRINT|GPUS|PRELOAD|PYTHON|SERVED_MODEL|STATE_DIRECTORY|URL)|"
    "HEALTH_(INTERVAL|HANG_TIMEOUT|BUSY_TIMEOUT|START_TIMEOUT)|NOTIFY_SOCKET|WATCHDOG_(USEC|PID)"
)
"""Variables by which serve.py itself is told; with others than ours no service would become ready."""


class Section(BaseModel):
    """A mapping of settings: unknown keys and silent conversions are errors, and nothing changes after loading."""

    # A section is validated as a part of what it is in: to make a validator of its own takes time, and is left to when
    # one is wanted.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class Health(Section):
    """When a server is considered hung and restarted; a generated token is the only proof of life."""

    interval: Seconds = Field(default=15, description="Seconds between two requests for a token.")
    hang_timeout: Seconds = Field(
        default=30, description="Seconds without any progress after which a server is restarted."
    )
    busy_timeout: Seconds = Field(default=900, description="Seconds a server may burn CPU without finishing a token.")
    start_timeout: Seconds = Field(default=1800, description="Seconds a server may take until its first token.")


class KeyFromVariable(Section):
    """An API key taken from an environment variable of the controller."""

    env: VariableName = Field(description="Name of the environment variable.")


class KeyFromFile(Section):
    """An API key taken from a file of the controller."""

    file: Line = Field(description="Path of the file.")


class Serve(Section):
    """How models are served: the defaults of a host's services."""

    listen: Address = Field(
        default="127.0.0.1", description="Address to listen on; 127.0.0.1 is reached from the host alone."
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=8000, description="TCP port, 1 to 65535.")
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] = Field(
        default="auto", description="Type of the weights in memory; auto takes the model's own."
    )
    max_model_len: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Longest context in tokens; null takes the model's own."
    )
    kv_cache_gib: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default="auto", description="Memory of the KV cache in GiB; auto follows from the host's memory."
    )
    threads: CpuList = Field(
        default="auto", description="CPUs to compute on, such as 0-7; auto follows from the host's cores."
    )
    tensor_parallel_size: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default=1, description="Number of devices that share one model; auto takes as many of its GPUs as divide it."
    )
    gpus: GpuList = Field(
        default="auto", description='GPUs to compute on, such as "0,1"; auto shares them out among the services.'
    )
    eager: bool = Field(
        default=False, description="Skip compilation: starts sooner, serves slower, needs no C++ compiler."
    )
    preload: bool = Field(default=True, description="Preload tcmalloc and libiomp5 where the host has them.")
    api_key: Literal["none", "generate"] | KeyFromVariable | KeyFromFile = Field(
        default="none",
        description="none, generate (kept on the host, 0600), or {env: NAME} or {file: PATH} of the controller.",
    )
    arguments: Annotated[tuple[Text, ...], FromList] = Field(
        default=(), description="More arguments for vLLM's server."
    )
    environment: dict[ServiceVariable, Text] = Field(
        default={}, description="More environment variables for vLLM's server."
    )
    enabled: bool = Field(default=True, description="Start when the host boots.")
    health: Health = Field(default=Health(), description="When a server that hangs is restarted.")

    @field_validator("arguments")
    @classmethod
    def _show_no_secret(cls, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """Everybody on the host sees the arguments of a process, and `plan` shows these."""
        for argument in arguments:
            if instead := SECRETS.get(argument.partition("=")[0].replace("_", "-")):
                raise PydanticCustomError(
                    "conflict", "holds a secret, which everybody on the host would see; " + instead
                )
            if holds_login(argument):
                raise PydanticCustomError(
                    "conflict", "holds a URL with a login, which everybody on the host would see; " + SEE_ENVIRONMENT
                )
        return arguments

    @field_validator("environment")
    @classmethod
    def _leave_ours_alone(cls, environment: dict[str, str]) -> dict[str, str]:
        if name := next(filter(KEEPERS.fullmatch, environment), ""):
            instead = "use api_key" if name == "VLLM_API_KEY" else "use the settings of the service"
            words = {"name": name, "instead": instead}
            raise PydanticCustomError("conflict", "cannot hold {name}: {instead} instead", words)
        return environment


class Service(Serve):
    """One service: its model, and what differs from the host's `serve`.

    A field that was not given holds the default of `Serve` here; `ResolvedService` has the host's.
    """

    model: Name = Field(description="Name of a model in models.")


class ResolvedService(Service):
    """A service with the host's `serve` filled in where it gives nothing itself."""

    name: Name = Field(description="Name of the service: its key in services.")

    @property
    def own_address(self) -> str:
        """Where the server is reached from its own host: a server on every address, at the loopback one."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.listen, self.listen)

    @classmethod
    def of(cls, name: str, service: Service, serve: Serve) -> ResolvedService:
        """`health` is filled in field by field; every other field that the service gives replaces the host's."""
        given = {**_given(serve), **_given(service), "name": name}
        given["health"] = Health(**{**_given(serve.health), **_given(service.health)})
        return cls.model_validate(given)


def _given(section: Section) -> dict[str, Any]:
    return {name: getattr(section, name) for name in section.model_fields_set}


def undefined_models(wanted: Mapping[str, str], models: Collection[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The services (`wanted`: each one's model) whose model is not among the host's, as key path and words."""
    for name, model in wanted.items():
        if model not in models:
            close = difflib.get_close_matches(model, models, 1)
            known = f"models has {', '.join(models)}" if models else "models is empty"
            hint = f'did you mean "{close[0]}"?' if close else known
            yield ("services", name, "model"), f'the model "{model}" is not defined; {hint}'


def shared_ports(ports: Mapping[str, int], page: int | None) -> Iterator[tuple[tuple[str, ...], str]]:
    """The services whose port an earlier service of the host has, or the chat `page`, as key path and words."""
    owners: dict[int, str] = {}
    for name, port in ports.items():
        if (owner := owners.setdefault(port, name)) != name:
            yield ("services", name, "port"), f'port {port} is already that of the service "{owner}"'
        elif port == page:
            yield ("services", name, "port"), f"port {port} is already that of the chat page (webui)"

"""Everything a host can be told: typed and frozen, with defaults and units. The JSON schema is made from this."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from provisioning.build_settings import Build
from provisioning.model_settings import Hubs, Model
from provisioning.serve_settings import (
    FromList,
    Health,
    KeyFromFile,
    KeyFromVariable,
    ResolvedService,
    Section,
    Serve,
    Service,
    shared_ports,
    undefined_models,
)
from provisioning.texts import (
    DEFAULT_MINICONDA,
    AccountName,
    AptMirror,
    HostCount,
    HostPath,
    InstallerVersion,
    Line,
    Name,
    PackageName,
    PackagePlace,
    Percentage,
    PipIndex,
    PythonVersion,
    Seconds,
    Url,
)
from provisioning.webui_settings import Webui

__all__ = [
    "DEFAULT_MINICONDA",
    "Apt",
    "Build",
    "Compiler",
    "Conda",
    "Environment",
    "Health",
    "HostSettings",
    "Hubs",
    "KeyFromFile",
    "KeyFromVariable",
    "Miniconda",
    "Model",
    "Pip",
    "ResolvedService",
    "Section",
    "Serve",
    "Service",
    "Webui",
]


class Apt(Section):
    """Debian packages and where they come from."""

    mirror: AptMirror = Field(
        default="none", description="Mirror of the distribution: none (left alone), tuna, or a URL."
    )
    packages: Annotated[tuple[PackageName, ...], FromList] = Field(default=(), description="More Debian packages.")
    lock_timeout: Seconds = Field(default=300, description="Seconds to wait for another program's dpkg lock.")


class Compiler(Section):
    """The C and C++ compilers: they build vLLM, and vLLM compiles with them when it starts."""

    version: Annotated[int, Field(ge=5, le=99)] = Field(default=12, description="Major version of gcc and g++.")
    default: bool = Field(default=True, description="Make them the default gcc and g++, through update-alternatives.")


class Miniconda(Section):
    """Miniconda: where it lies and where its installer comes from."""

    path: HostPath = Field(default="~/miniconda3", description="Folder it is installed into.")
    version: InstallerVersion = Field(
        default=DEFAULT_MINICONDA,
        description="Version of the installer, checked by its SHA-256; latest is not checked.",
    )
    mirrors: Annotated[tuple[Url, ...], FromList, Field(min_length=1)] = Field(
        default=("https://mirrors.tuna.tsinghua.edu.cn/anaconda/miniconda", "https://repo.anaconda.com/miniconda"),
        description="Folders of installers, tried in this order.",
    )
    init: Annotated[tuple[Literal["bash", "zsh"], ...], FromList] = Field(
        default=("bash", "zsh"), description="Shells that conda init sets up."
    )


class Conda(Section):
    """Conda's channels and their terms."""

    condarc: Literal["tuna", "tuna-2024", "none"] | dict[str, Any] = Field(
        default="tuna",
        description="~/.condarc: tuna (Tsinghua's present form), tuna-2024, none (left alone), or its content.",
    )
    accept_terms: bool = Field(default=False, description="Accept Anaconda's terms; otherwise conda-forge is used.")


class Pip(Section):
    """Where Python packages come from."""

    index: PipIndex = Field(
        default="host",
        description="Package index: host (as the host is configured), tuna, a URL, or none (find_links alone).",
    )
    extra_indexes: Annotated[tuple[Url, ...], FromList] = Field(default=(), description="URLs of further indexes.")
    find_links: Annotated[tuple[PackagePlace, ...], FromList] = Field(
        default=(), description="Folders on the host, or URLs of pages, that hold packages."
    )


class Environment(Section):
    """The Python environment that vLLM lives in."""

    manager: Literal["auto", "conda", "uv"] = Field(
        default="auto", description="What makes it: auto (conda where it can be had, else uv), conda, or uv."
    )
    name: Name = Field(default="vLLM", description="Name of the environment.")
    python: PythonVersion = Field(default="3.10", description="Version of Python, in quotes.")
    site_packages: Annotated[tuple[HostPath, ...], FromList] = Field(
        default=(), description="Folders of Python packages that are on the host and count behind its own."
    )


class HostSettings(Section):
    """Everything one host can be told. Raises pydantic's ValidationError, also where settings contradict each other."""

    account: AccountName = Field(
        default="auto", description="Account that serves; auto is the user who connects, vllm for root."
    )
    host_keys: Literal["strict", "accept-new"] = Field(
        default="strict", description="Unknown SSH host keys: strict refuses them, accept-new adds them."
    )
    connect_timeout: Seconds = Field(default=10, description="Seconds that one attempt to connect may take.")
    connect_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        default=4, description="Attempts to connect, with growing waits between them."
    )
    look_timeout: Seconds = Field(default=20, description="Seconds that looking at one thing on a host may take.")
    silence_timeout: Seconds = Field(
        default=120, description="Seconds without a sign of life after which a command on a host is given up."
    )
    become_password_file: Line | None = Field(
        default=None, description="File of the controller that holds sudo's password."
    )
    serial: HostCount | Annotated[tuple[HostCount, ...], FromList, Field(min_length=1)] | None = Field(
        default=None,
        description="Hosts at a time: a number, a percentage, or a list of both (the last repeats); null: all.",
    )
    max_fail: Annotated[int, Field(ge=0)] | Percentage | None = Field(
        default=None,
        description="Hosts of a batch that may fail before the rest is left alone; null: all but one.",
    )
    apt: Apt = Field(default=Apt(), description="Debian packages and their mirror.")
    compiler: Compiler = Field(default=Compiler(), description="The C and C++ compilers.")
    miniconda: Miniconda = Field(default=Miniconda(), description="Miniconda and its mirrors.")
    conda: Conda = Field(default=Conda(), description="Conda's channels.")
    pip: Pip = Field(default=Pip(), description="Indexes of Python packages.")
    environment: Environment = Field(default=Environment(), description="The Python environment.")
    build: Build = Field(default=Build(), description="Release and device of vLLM.")
    hubs: Hubs = Field(default=Hubs(), description="The servers that models are downloaded from.")
    models: dict[Name, Model] = Field(default={}, description="Models by name.")
    serve: Serve = Field(default=Serve(), description="Defaults of all services of the host.")
    services: dict[Name, Service] = Field(
        default={}, description="Services by name; each is the unit vllm@NAME.service."
    )

    webui: Webui = Field(default=Webui(), description="A chat page for the services of the host.")

    def resolved_services(self) -> dict[str, ResolvedService]:
        """Every service by name, with what it does not give itself taken from `serve`."""
        return {name: ResolvedService.of(name, service, self.serve) for name, service in self.services.items()}

    @model_validator(mode="after")
    def _without_conflicts(self) -> Self:
        wanted = {name: service.model for name, service in self.services.items()}
        ports = {name: service.port for name, service in self.resolved_services().items()}
        if found := [
            *undefined_models(wanted, self.models),
            *shared_ports(ports, self.webui.port if self.webui.enabled else None),
        ]:
            words = "; ".join(f"{'/'.join(path)}: {problem}" for path, problem in found)
            raise PydanticCustomError("conflicts", "{words}", {"words": words})
        return self

"""Where a model's weights come from, and how they get to hosts: the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from posixpath import normpath
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from provisioning.errors import ConfigurationError
from provisioning.serve_settings import FromList, KeyFromFile, KeyFromVariable, Section
from provisioning.texts import HostPath, Line, ModelId, Name, Rate, RelativePath, Revision, Sha256, WebUrl

DOWNLOADS = ("git", "sdk", "cli", "huggingface", "url", "auto")
"""The methods that bring a model from elsewhere."""
AUTO = ("git", "sdk", "huggingface")
"""What `auto` tries, in this order."""
OF_HUBS = (*AUTO, "cli", "auto")


class ModelFile(Section):
    """One file of a model that is given by URLs."""

    url: WebUrl = Field(description="Where it lies.")
    sha256: Sha256 = Field(description="Its SHA-256.")
    path: RelativePath | None = Field(default=None, description="Its name in the model's folder; null takes the URL's.")


class Hubs(Section):
    """The servers that models are downloaded from."""

    modelscope: WebUrl = Field(default="https://www.modelscope.cn", description="Server for git, sdk and cli.")
    huggingface: Annotated[tuple[WebUrl, ...], FromList, Field(min_length=1)] = Field(
        default=("https://huggingface.co", "https://hf-mirror.com"),
        description="Servers for huggingface, tried in this order.",
    )


class Model(Section):
    """Where a model's weights come from."""

    method: Literal["git", "sdk", "cli", "huggingface", "url", "path", "demo", "auto"] = Field(
        default="git",
        description="git (LFS), sdk, cli, huggingface, url, auto (one after another), path, or demo (trained here).",
    )
    id: ModelId | None = Field(default=None, description="The model's name on its server, such as Qwen/Qwen2-7B.")
    revision: Revision | None = Field(default=None, description="Branch, tag or commit; null takes the default branch.")
    endpoint: WebUrl | None = Field(default=None, description="Server of this model; null takes that of hubs.")
    include: Annotated[tuple[Line, ...], FromList] = Field(
        default=(), description="Patterns of the files to take, such as *.json; none means all."
    )
    exclude: Annotated[tuple[Line, ...], FromList] = Field(default=(), description="Patterns of files to leave out.")
    files: Annotated[tuple[ModelFile, ...], FromList] = Field(
        default=(), description="The files, for url: each with url, sha256, and perhaps path."
    )
    token: Literal["none"] | KeyFromVariable | KeyFromFile = Field(
        default="none", description="Token for private models: none, or {env: NAME} or {file: PATH} of the controller."
    )
    path: HostPath | None = Field(default=None, description="Folder of the weights; null means ~/ModelSpace/NAME.")
    distribute: Literal["each", "once"] = Field(
        default="each",
        description="each (every host downloads it), or once (one does, and the others copy it over SSH).",
    )
    download_on: Name = Field(
        default="auto",
        description="With once, who downloads: a host, controller (this machine), or auto (the first that needs it).",
    )

    limit_rate: Rate | None = Field(
        default=None, description='Bytes a second that the download takes at most, such as "5M"; null means no limit.'
    )

    @model_validator(mode="before")
    @classmethod
    def _a_path_alone_is_a_method(cls, given: Any) -> Any:
        if isinstance(given, dict) and "path" in given and not {"method", "id", "files"} & given.keys():
            return {**given, "method": "path"}
        return given

    @field_validator("files")
    @classmethod
    def _different_files(cls, files: tuple[ModelFile, ...]) -> tuple[ModelFile, ...]:
        names = [name_of(each) for each in files]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise PydanticCustomError("conflict", "two files are called {name}", {"name": twice or '""'})
        return files

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for problem in _problems(self):
            raise PydanticCustomError("conflict", "{words}", {"words": problem})
        return self

    @property
    def is_downloaded(self) -> bool:
        """Whether it is brought from elsewhere."""
        return self.method in DOWNLOADS


def path_of(name: str, model: Model) -> str:
    """A model's folder, with `~` as it is written."""
    return model.path or f"~/ModelSpace/{name}"


def require_own_folders(host: str, folders: Mapping[str, str]) -> None:
    """Raise `ConfigurationError` where two models would be brought into one folder: each would spoil the other."""
    owners: dict[str, str] = {}
    for name, folder in folders.items():
        if (owner := owners.setdefault(normpath(folder), name)) != name:
            raise ConfigurationError(
                f"{host}: the models {owner} and {name} would both be brought into {folder}",
                remedy=f"Give models/{name} a path of its own; if it is the same model, let services name {owner}.",
            )


def name_of(file: ModelFile) -> str:
    """A file's path in the model's folder."""
    return file.path or unquote(file.url.partition("?")[0].rpartition("/")[2])


def _problems(model: Model) -> Iterator[str]:
    """What does not go together."""
    if model.method in OF_HUBS and model.id is None:
        yield f'needs "id: OWNER/NAME" for method {model.method}, or "path: FOLDER", or "method: demo"'
    if model.method == "path" and model.path is None:
        yield 'needs "path: FOLDER" or "method: demo"'
    if model.method == "url" and not model.files:
        yield 'needs "files" for method url'
    if model.method != "url" and model.files:
        yield '"files" goes with method url'
    if model.method == "auto" and model.endpoint:
        yield '"endpoint" goes with one method; for auto, name servers in hubs'

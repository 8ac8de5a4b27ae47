"""What is said in a conversation, to whom, and how answers are to be made; and the files that keep it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from provisioning.errors import ConfigurationError
from provisioning.spelling import did_you_mean
from provisioning.whole_file import write_whole


class Parameters(BaseModel):
    """How an answer is made: vLLM's sampling parameters, preset as in the tutorial; None is the server's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.8
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.05
    max_tokens: Annotated[int, Field(ge=1)] = 512
    top_k: int | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    ignore_eos: bool | None = None

    def told(self) -> dict[str, Any]:
        """Those that have a value."""
        return self.model_dump(exclude_none=True)

    def changed(self, name: str, value: str) -> Parameters:
        """Give them with another value; "" takes the preset. Raises `ConfigurationError` for what cannot be set."""
        if name not in Parameters.model_fields:
            raise ConfigurationError(
                f"there is no parameter {name!r}", cause=did_you_mean(name, list(Parameters.model_fields))
            )
        others = self.model_dump(exclude={name})
        try:
            return Parameters.model_validate({**others, name: value} if value else others)
        except ValidationError as error:
            raise ConfigurationError(
                f"{name}: {error.errors()[0]['msg'].removeprefix('Input ')}, not {value!r}"
            ) from error


class Message(BaseModel):
    """What one of them said, as OpenAI's API has it."""

    role: Literal["user", "assistant"]
    content: str


class Dialogue(BaseModel):
    """A conversation so far."""

    service: str = ""
    """`HOST/SERVICE` that answered last."""
    model: str = ""
    system: str = ""
    parameters: Parameters = Parameters()
    messages: list[Message] = []

    def sent(self) -> list[dict[str, str]]:
        """Everything as it goes to the server."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *(message.model_dump() for message in self.messages)]

    def exchange(self, question: str, answer: str) -> None:
        """Keep a question with its answer."""
        self.messages += [Message(role="user", content=question), Message(role="assistant", content=answer)]

    def markdown(self) -> str:
        """The conversation for people to read."""
        parts = [f"# {self.model} ({self.service})"]
        if self.system:
            parts.append("\n".join(f"> {line}" for line in self.system.splitlines()))
        names = {"user": "You", "assistant": self.model}
        parts += [f"## {names[message.role]}\n\n{message.content}" for message in self.messages]
        return "\n\n".join(parts) + "\n"

    def save(self, path: Path) -> None:
        """Write it, for its owner alone: Markdown where the name ends so, else JSON. Raises `ConfigurationError`."""
        text = self.markdown() if path.suffix.lower() in (".md", ".markdown") else self.model_dump_json(indent=2) + "\n"
        try:
            write_whole(path, text, mode=0o600)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written", cause=error.strerror or str(error)) from error


def load(path: Path) -> Dialogue:
    """Read a conversation that was saved as JSON. Raises `ConfigurationError` for anything else."""
    try:
        return Dialogue.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", cause=error.strerror or str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise ConfigurationError(
            f"{path} is no conversation that /save wrote as JSON", cause=f"{where}: {first['msg']}".removeprefix(": ")
        ) from error

"""What serve.py is told, and what it tells vLLM: read from the environment, checked, passed on.

Standard library only, Python 3.9 and later: the system's interpreter runs it, not the environment's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUPERVISOR = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # not for the server: it would speak for us
OWN = (  # vLLM warns of every VLLM_ variable that it does not know
    *("VLLM_PYTHON", "VLLM_ARGUMENTS", "VLLM_URL", "VLLM_SERVED_MODEL", "VLLM_API_KEY_FILE", "VLLM_PRELOAD"),
    *("VLLM_FINGERPRINT", "VLLM_STATE_DIRECTORY", "VLLM_GPUS"),
)
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")  # as config.json calls them, by family of models
KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")


class ConfigurationError(Exception):
    """The service's environment is wrong: a restart would find it wrong again."""


@dataclass(frozen=True)
class Settings:
    """One service, checked. Times are in seconds."""

    command: tuple[str, ...]
    url: str
    model: str
    api_key: str
    interval: float
    hang_timeout: float
    busy_timeout: float
    start_timeout: float

    @property
    def look(self) -> float:
        """Seconds between two looks at counters and processes, which cost the server next to nothing."""
        return min(self.interval, 5.0)


def read(variables: Mapping[str, str]) -> Settings:
    """The settings in an environment."""
    return Settings(
        command=(_text(variables, "VLLM_PYTHON"), "-m", "vllm.entrypoints.openai.api_server", *_command(variables)),
        url=_text(variables, "VLLM_URL"),
        model=_text(variables, "VLLM_SERVED_MODEL"),
        api_key=_api_key(variables),
        interval=_seconds(variables, "HEALTH_INTERVAL", 10),
        hang_timeout=_seconds(variables, "HEALTH_HANG_TIMEOUT", 30),
        busy_timeout=_seconds(variables, "HEALTH_BUSY_TIMEOUT", 300),
        start_timeout=_seconds(variables, "HEALTH_START_TIMEOUT", 3600),
    )


def environment(variables: Mapping[str, str], api_key: str) -> dict[str, str]:
    """What vLLM's process gets. The key is in no other process's environment, and on no command line."""
    passed = {name: value for name, value in variables.items() if name not in SUPERVISOR + OWN}
    preload = [path for path in variables.get("VLLM_PRELOAD", "").split(":") if os.path.exists(path)]
    if preload:
        passed["LD_PRELOAD"] = ":".join(preload)
    if api_key:
        passed["VLLM_API_KEY"] = api_key
    return passed


def _text(variables: Mapping[str, str], name: str) -> str:
    if not variables.get(name):
        raise ConfigurationError(f"{name} is not set: the service's environment file is incomplete")
    return variables[name]


def _seconds(variables: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(variables.get(name) or default)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise ConfigurationError(f"{name} should be a number of seconds, not {variables[name]!r}")
    return value


def _command(variables: Mapping[str, str]) -> list[str]:
    """vLLM's arguments; what is found out here comes first, so that whatever the user gives wins."""
    arguments = _arguments(variables)
    if not variables.get("VLLM_GPUS"):
        return arguments
    visible = variables.get("CUDA_VISIBLE_DEVICES")
    gpus = len(visible.split(",")) if visible else int(variables["VLLM_GPUS"])
    if gpus < 2:
        return arguments
    size = tensor_parallel_size(Path(arguments[arguments.index("--model") + 1]), gpus)
    return ["--tensor-parallel-size", str(size), *arguments]


def tensor_parallel_size(model: Path, gpus: int) -> int:
    """The largest power of two of these GPUs that a model's attention heads can be shared out among.

    Heads of keys and values are shared out too; of fewer than there are GPUs each is given to as many.
    """
    try:
        content = json.loads((model / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read the number of the model's attention heads: {error}") from error
    content = content if isinstance(content, dict) else {}
    parts = [part for part in (content.get("text_config"), content) if isinstance(part, dict)]
    heads, of_keys = (_first_number(parts, names) for names in (HEADS, KV_HEADS))
    if not heads:
        raise ConfigurationError(
            f"{model}/config.json does not name the model's attention heads: set tensor_parallel_size to a number"
        )
    size = 1
    while size * 2 <= gpus and heads % (size * 2) == 0:
        size *= 2
    while of_keys % size and size % of_keys:
        size //= 2
    return size


def _first_number(parts: list[dict[str, Any]], names: tuple[str, ...]) -> int:
    return next((part[name] for part in parts for name in names if isinstance(part.get(name), int)), 0)


def _arguments(variables: Mapping[str, str]) -> list[str]:
    try:
        arguments = json.loads(_text(variables, "VLLM_ARGUMENTS"))
    except ValueError as error:
        raise ConfigurationError(f"VLLM_ARGUMENTS should be a JSON list: {error}") from error
    if not isinstance(arguments, list):
        raise ConfigurationError("VLLM_ARGUMENTS should be a JSON list")
    return [str(argument) for argument in arguments]


def _api_key(variables: Mapping[str, str]) -> str:
    path = variables.get("VLLM_API_KEY_FILE")
    try:
        return Path(path).read_text(encoding="utf-8").strip() if path else ""
    except OSError as error:
        raise ConfigurationError(f"cannot read the API key: {error}") from error

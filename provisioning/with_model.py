"""`--model`: another model for a service, without editing the inventory."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from provisioning.errors import ConfigurationError
from provisioning.inventory import HostEntry
from provisioning.serve_settings import Service
from provisioning.settings import HostSettings, Model
from provisioning.spelling import did_you_mean
from provisioning.validation import check

ID = r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*"
"""A model's name on its server."""


def with_model(entry: HostEntry, model: str, service: str = "") -> HostEntry:
    """Serve `model` (a name of `models`, `demo`, OWNER/NAME, or a folder) with `service`, or with the first.

    A host without services gets one, named after the model. Raises `ConfigurationError` for unknown names.
    """
    settings = entry.settings
    models, services = dict(settings.models), dict(settings.services)
    name = define(model, models)
    if service and service not in services:
        raise ConfigurationError(
            f"{entry.name}: there is no service {service!r} (--service)", cause=did_you_mean(service, services)
        )
    target = service or next(iter(services), name)
    if target in services:
        services[target] = services[target].model_copy(update={"model": name})
    else:
        services[target] = Service(model=name)
    checked = HostSettings.model_validate({**dict(settings), "models": models, "services": services})
    return replace(entry, settings=checked)


def define(model: str, models: dict[str, Model]) -> str:
    """Give the name of a model, defining it in `models` where it is the demo, a folder, or OWNER/NAME."""
    if model in models:
        return model
    if model == "demo":
        models[model] = Model(method="demo")
        return model
    if model.startswith(("/", "~/")):
        for _, words in check({"models": {"model": {"path": model}}}):
            raise ConfigurationError(f"--model: {words}")
        folder = Model(method="path", path=model)
        name = _name_of(model, [name for name, known in models.items() if known != folder])
        models[name] = folder
        return name
    if re.fullmatch(ID, model):
        name = _name_of(model, list(models))
        models[name] = Model(id=model)
        return name
    raise ConfigurationError(
        f"--model: {model!r} is not defined under models",
        cause=did_you_mean(model, models),
        remedy="Name a model of the inventory, `demo`, one to download such as Qwen/Qwen2-0.5B-Instruct, or a folder "
        "on the host such as '~/ModelSpace/Qwen2-7B'.",
    )


def _name_of(path: str, taken: Collection[str]) -> str:
    """Name a model after its folder; with a number, where another service may serve another model of that name."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.rstrip("/").rpartition("/")[2]).strip("-._") or "model"
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    return next(free for free in names if free not in taken)

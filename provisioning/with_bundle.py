"""`--offline FOLDER`: hosts take all that they need from a bundle, without editing the inventory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from provisioning.bundle import COMPILED, MODELS, Bundle
from provisioning.inventory import HostEntry
from provisioning.local_path import local_path
from provisioning.offline import OFFLINE, Offline
from provisioning.screen import console
from provisioning.settings import HostSettings
from provisioning.wheel_store import Store

SPOKEN_OF = 5 * 10**9
"""Bytes of a bundle from which on it takes a while to hash them."""


def with_bundle(entries: Sequence[HostEntry], folder: str) -> list[HostEntry]:
    """Let hosts take all that they need from the bundle in a folder of this machine, for this run.

    Raises `ConfigurationError`, before any host is asked, where it is no bundle, or is not as its manifest says.
    """
    bundle = Bundle.read(local_path(folder).resolve())
    if (size := sum(file.size for file in bundle.files.values())) > SPOKEN_OF:
        console(stderr=True).print(f"comparing the hashes of {bundle.folder}: {size / 1e9:.0f} GB", style="dim")
    bundle.verify()
    _take_wheels(bundle)
    return [_prepared(entry, bundle) for entry in entries]


def _take_wheels(bundle: Bundle) -> None:
    """Put wheels that were compiled into this machine's store, where hosts take them from."""
    known = {wheel.name for wheel in Store().wheels()}
    if any(wheel.name not in known for wheel in Store(bundle.folder / COMPILED).wheels()):
        Store().take(bundle.folder / COMPILED)


def _prepared(entry: HostEntry, bundle: Bundle) -> HostEntry:
    in_place = entry.ssh.connection == "local" and _everybody_can_read(bundle)
    folder = str(bundle.folder) if in_place else f"{OFFLINE}/bundle"
    settings: Mapping[str, Any] = dict(entry.settings)
    if entry.settings.environment.manager == "auto":
        told = {name: getattr(entry.settings.environment, name) for name in entry.settings.environment.model_fields_set}
        settings = {**settings, "environment": {**told, "manager": bundle.needs.manager}}
    # Nobody is asked for a model, so nobody needs its token.
    models = {name: model.model_copy(update={"token": "none"}) for name, model in entry.settings.models.items()}
    settings = {**settings, "models": models}
    return replace(entry, settings=HostSettings.model_validate(settings), offline=Offline(bundle, folder, in_place))


def _everybody_can_read(bundle: Bundle) -> bool:
    """Whether every account can, and every program takes the path as it is: apt and pip part theirs at spaces."""
    folder, files = bundle.folder, [bundle.folder / path for path in bundle.without((COMPILED, MODELS))]
    folders = {folder, *(file.parent for file in files)}
    return (
        re.fullmatch(r"[\w./+@-]+", str(folder)) is not None
        and all(each.stat().st_mode & 0o1 for each in folder.parents)
        and all(each.stat().st_mode & 0o5 == 0o5 for each in folders)
        and all(each.stat().st_mode & 0o4 for each in files)
    )

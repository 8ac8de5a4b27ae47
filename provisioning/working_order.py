"""Who works for others comes before them: who waits takes a place among those at work, and may be in a later batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provisioning.errors import ConfigurationError
from provisioning.inventory import HostEntry


def helpers_first(entries: Sequence[HostEntry]) -> list[HostEntry]:
    """Order hosts so that each comes after those that compile or download for it, and else as they are given."""
    by_name, found = {entry.name: entry for entry in entries}, dict[str, HostEntry]()
    for entry in entries:
        _add(entry, by_name, found, set())
    return list(found.values())


def _add(entry: HostEntry, by_name: Mapping[str, HostEntry], found: dict[str, HostEntry], above: set[str]) -> None:
    """Add a host to those found, after its helpers; one that helps them in turn is added as it comes."""
    for helper in _helpers(entry):
        if helper in by_name and helper not in above:
            _add(by_name[helper], by_name, found, {*above, entry.name})
    found.setdefault(entry.name, entry)


def require_in_time(batches: Sequence[Sequence[HostEntry]]) -> None:
    """Raise `ConfigurationError` where a host would wait for one of a later batch, which waits for its own to end."""
    batch_of = {entry.name: number for number, group in enumerate(batches) for entry in group}
    for number, group in enumerate(batches):
        for entry in group:
            late = [name for name in _helpers(entry) if batch_of.get(name, number) > number]
            if late:
                raise ConfigurationError(
                    f"{entry.name} and {late[0]} work for each other, and would be in different batches",
                    cause='build."on", and download_on of their models, say so.',
                    remedy="Let one of them do it by itself, or make the batch larger (serial).",
                )


def _helpers(entry: HostEntry) -> list[str]:
    """The hosts that it waits for, where they are in the same run."""
    settings = entry.settings
    served = [settings.models[service.model] for service in settings.services.values()]
    downloads = [model.download_on for model in served if model.distribute == "once"]
    return [name for name in (settings.build.on, *downloads) if name not in ("auto", "controller", entry.name)]

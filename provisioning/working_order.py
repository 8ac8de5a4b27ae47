"""Who works for others, and that it comes to an end: who waits takes a place among those at work, perhaps in a batch.

A host waits for another in two places: for the wheel of vLLM (`build."on"`), and after that for models (`download_on`).
Who compiles for others has no builder, and each host gets the models that it downloads by itself before those that it
waits for. So hosts may work for each other, as long as all of them are at work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from provisioning.copies.wanted import CONTROLLER
from provisioning.errors import ConfigurationError
from provisioning.inventory import HostEntry
from provisioning.model_settings import Model
from provisioning.spelling import did_you_mean
from provisioning.yaml_document import KeyPath


def problems(entries: Sequence[HostEntry], known: Collection[str]) -> list[str]:
    """A line for each helper that no host of the inventory is, or that would wait for another one itself."""
    by_name = {entry.name: entry for entry in entries}
    return [
        entry.describe(path, why)
        for entry in entries
        for path, name, model in _helpers(entry)
        if (why := _unknown(name, known) or (_in_vain(entry, by_name[name], model) if name in by_name else ""))
    ]


def _unknown(name: str, known: Collection[str]) -> str:
    return "" if name in known else f'no host is called "{name}". {did_you_mean(name, known)}'


def _in_vain(entry: HostEntry, helper: HostEntry, model: Model | None) -> str:
    """Why a helper of the same run would not do it; "" where it would."""
    if model is None:
        on = helper.settings.build.on
        return "" if on in ("auto", helper.name) else f"{helper.name} does not compile either: its own says {on}"
    same = [each for each in _served(helper).values() if _asked(helper, each) == _asked(entry, model)]
    if not same:
        return f"{helper.name} serves no such model, and so downloads none"
    on = next((each.download_on for each in same if each.distribute == "once"), "auto")
    does = on in ("auto", CONTROLLER, helper.name)
    return "" if does else f"{helper.name} does not download it either: its own says {on}"


def _asked(entry: HostEntry, model: Model) -> object:
    """What decides whether two hosts have one and the same model: see the step `model`."""
    what = model.id, model.revision, model.include, model.exclude, model.files
    return *what, model.method, model.endpoint, entry.settings.hubs


def _served(entry: HostEntry) -> dict[str, Model]:
    return {each.model: entry.settings.models[each.model] for each in entry.settings.services.values()}


def _helpers(entry: HostEntry) -> Iterator[tuple[KeyPath, str, Model | None]]:
    """The hosts that it waits for: where that is written, which one, and for which model (None: for vLLM)."""
    if entry.settings.build.on not in ("auto", entry.name):
        yield ("build", "on"), entry.settings.build.on, None
    for name, model in _served(entry).items():
        if model.distribute == "once" and model.download_on not in ("auto", CONTROLLER, entry.name):
            yield ("models", name, "download_on"), model.download_on, model


def helpers_first(entries: Sequence[HostEntry]) -> list[HostEntry]:
    """Order hosts so that each comes after those that compile or download for it, and else as they are given."""
    by_name, found = {entry.name: entry for entry in entries}, dict[str, HostEntry]()
    begun: set[str] = set()
    ahead = [*reversed(entries)]
    while ahead:
        entry = ahead[-1]
        if entry.name in begun:  # and so are its helpers; one that it helps in turn comes as it does
            found.setdefault(entry.name, ahead.pop())
            continue
        begun.add(entry.name)
        ahead += [by_name[name] for _, name, _ in _helpers(entry) if name in by_name and name not in begun]
    return list(found.values())


def require_in_time(batches: Sequence[Sequence[HostEntry]], at_once: int) -> None:
    """Raise `ConfigurationError` where a host would wait for one that is begun only when the first has ended."""
    batch_of = {entry.name: number for number, group in enumerate(batches) for entry in group}
    for number, group in enumerate(batches):
        helpers = {entry.name: [name for _, name, _ in _helpers(entry)] for entry in group}
        for entry in group:
            if late := [name for name in helpers[entry.name] if batch_of.get(name, number) > number]:
                raise _too_late(entry.name, late[0], "in different batches", "make the batch larger (serial)")
        mutual = [name for name in helpers if name in _reached(name, helpers)]
        if len(mutual) > at_once:
            raise _too_late(mutual[0], mutual[1], "waited for before they begin", f"say --parallel {len(mutual)}")


def _reached(name: str, helpers: Mapping[str, Sequence[str]]) -> set[str]:
    """All that a host waits for, also by way of others."""
    found: set[str] = set()
    ahead = [*helpers[name]]
    while ahead:
        if (each := ahead.pop()) not in found:
            found.add(each)
            ahead += helpers.get(each, ())
    return found


def _too_late(one: str, other: str, would_be: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(
        f"{one} and {other} work for each other, and would be {would_be}",
        cause='build."on", and download_on of their models, say so.',
        remedy=f"Let one of them do it by itself, or {remedy}.",
    )

"""`wheels` and `releases`: what was compiled, and what could be."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from invoke.context import Context
from rich.table import Column, Table
from rich.text import Text

from provisioning import fleet, releases
from provisioning.commands import load
from provisioning.converge import survey
from provisioning.errors import ConfigurationError, ExitCode, ProvisioningError
from provisioning.local_path import local_path
from provisioning.report import Report
from provisioning.screen import console, print_table
from provisioning.wheel_store import Store, Wheel


def wheels(ctx: Context, *, export: str, to: str, take: str, prune: str) -> ExitCode:
    """List the store, copy wheels out of it or into it, or delete old ones; with Invoke's --dry, only say which."""
    store, dry = Store(), ctx.config.run.dry
    if sum(map(bool, (export, take, prune))) > 1:
        raise ConfigurationError("--export, --take and --prune exclude one another")
    if bool(export) != bool(to):
        raise ConfigurationError("--export NAMES and --to FOLDER go together", remedy="--export all takes every wheel.")
    if export:
        names = [] if export == "all" else export.split(",")
        copied = store.named(names) if dry else _written(to, store.export, names, local_path(to))
        return _tell("would copy" if dry else "copied", copied, f" to {to}")
    if take:
        folder = local_path(take)
        took = Store(folder).wheels() if dry else _written(take, store.take, folder)
        return _tell("would take" if dry else "took", took)
    if prune:
        keep = _count(prune)
        gone = store.beyond(keep) if dry else _written(str(store.folder), store.prune, keep)
        return _tell("would delete" if dry else "deleted", gone)
    return _show(store.wheels(), store.folder)


def _written(place: str, write: Callable[..., list[Wheel]], *arguments: Any) -> list[Wheel]:
    """What `write` gives; what the file system says against it, for people."""
    try:
        return write(*arguments)
    except OSError as error:
        where = error.filename or place
        raise ConfigurationError(f"the wheels cannot be copied or deleted: {where}: {error.strerror}") from error


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ConfigurationError(f"--prune takes how many wheels of each kind to keep, not {text!r}")
    return int(text)


def _tell(what: str, found: Sequence[Wheel], where: str = "") -> ExitCode:
    for wheel in found:
        print(f"{what} {wheel.name} {wheel.file.name}{where}")
    if not found:
        print("nothing to do")
    return ExitCode.OK


def _table(*names: str) -> Table:
    # On a narrow terminal a cell takes more lines: what is cut off helps nobody.
    return Table(*(Column(name, overflow="fold") for name in names), box=None)


def _show(found: Sequence[Wheel], folder: Path) -> ExitCode:
    if not found:
        print(f"no wheel has been compiled yet ({folder})")
        return ExitCode.OK
    table = _table("name", "vLLM", "Python", "torch", "g++", "oneDNN", "runs with", "MB", "compiled")
    for wheel in found:
        table.add_row(*map(Text, _row(wheel)))
    print_table(console(), table)
    return ExitCode.OK


def _row(wheel: Wheel) -> list[str]:
    about: dict[str, Any] = wheel.manifest
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(about["made"]))
    runs_with = ", ".join([about["architecture"], f"glibc {about['glibc']}", *about["cpu_flags"]])
    onednn = about.get("onednn", {}).get("version", "none")
    built = f"{made} on {about['host']}, {about['seconds']} s"
    megabytes = f"{about['size'] / 1e6:.0f}"
    built_with = (about["version"], about["python"], about["torch"], about["compilers"]["cxx"], onednn)
    return [wheel.name, *built_with, runs_with, megabytes, built]


def show_releases(path: str, hosts: str) -> ExitCode:
    """Print every release, and which of them the hosts of the inventory would take."""
    entries = load(path, hosts)
    found = fleet.on_each(entries, lambda host, entry: survey(host, entry).release.version)
    taken: dict[str, list[str]] = {}
    errors = []
    for entry, result in zip(entries, found, strict=True):
        if isinstance(result, ProvisioningError):
            errors.append((entry.name, result))
        else:
            taken.setdefault(result, []).append(entry.name)
    table = _table("vLLM", "Python", "torch (CPU)", "gcc", "oneDNN", "CPU requirements", "CPU wheel", "taken by")
    for release in releases.load():
        style = "bold green" if release.version in taken else ""
        table.add_row(*_about(release), ", ".join(taken.get(release.version, [])), style=style)
    print_table(console(), table)
    for name, error in errors:
        Report(stderr=True).error(error, name)
    return fleet.common_code(error.exit_code for _, error in errors)


def _about(release: releases.Release) -> list[str]:
    gcc = f"{release.gcc_min}{'' if release.gcc_required else ' (fewer kernels below)'}" if release.gcc_min else "-"
    wheel = f"yes, {'/'.join(release.wheel.pythons)}" if release.wheel else "-"
    return [
        release.version,
        str(release.pythons),
        release.torch_cpu or "-",
        gcc,
        release.onednn or "-",
        release.cpu_requirements or "-",
        wheel,
    ]

"""`bundle`: takes a host to where only services are missing, and packs what it has into a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from importlib import metadata
from typing import Any

from invoke.context import Context

from provisioning import commands, converge, fitting, fleet, job, lock, uv
from provisioning.accounts import as_account
from provisioning.bundle import Bundle
from provisioning.bundle_folder import Folder, Source
from provisioning.errors import CommandError, ConfigurationError, ExitCode, ProvisioningError
from provisioning.fetching import Fetching
from provisioning.host import Host, quote
from provisioning.inventory import HostEntry
from provisioning.inventory_file import PROJECT
from provisioning.local_path import local_path
from provisioning.needs import Needs
from provisioning.outcome import Outcome
from provisioning.progress import Sending
from provisioning.report import Report
from provisioning.site import TOOLS, Site
from provisioning.steps import compile as compilation
from provisioning.templates import load, text
from provisioning.wheel_store import Store, Target, Wheel

UPDATE = "apt-get update -q || echo 'warning: apt-get update failed; packing by the lists that are here'\n"


def bundle(ctx: Context, path: str, hosts: str, to: str, *, models: bool) -> ExitCode:
    """Pack what one host has into the folder `to`, for hosts of its kind; that host is converged first.

    With `models` the models that lie in folders of their own (`path`) are packed too.
    """
    if not to:
        raise ConfigurationError("--to FOLDER is missing", remedy="It names the folder to pack into.")
    entries = commands.load(path, hosts)
    if len(entries) != 1:
        raise ConfigurationError(
            f"{len(entries)} hosts are chosen, and a bundle is packed on one",
            remedy="Name one of the kind that the bundle is for, with network: --hosts HOST",
        )
    folder = Folder(local_path(to).absolute())
    _require_supported(entries[0])
    for task in ("build", "download"):
        if code := commands.converge(ctx, task, path, hosts):
            return code
    if ctx.config.run.dry:
        print(f"would pack what {entries[0].name} has into {folder.path}")
        return ExitCode.OK
    report = Report()
    outcomes = fleet.outcomes(entries, partial(_pack, folder=folder, models=models, report=report), report)
    report.failures(outcomes)
    return fleet.exit_code(outcomes)


def _pack(host: Host, entry: HostEntry, outcome: Outcome, *, folder: Folder, models: bool, report: Report) -> Outcome:
    site = converge.survey(host, entry)
    packed = packed_models(site, with_paths=models)
    with lock.locked(host, "bundle"), report.change(host.name, "bundle", str(folder.path), f"pack into {folder.path}"):
        tell = partial(report.tell, host.name)
        folder.begin()
        job.run(host, job.Job("bundle", script(site, packed)), Fetching(tell))
        sources = [*_packed(host, site)]
        sending = Sending(tell, sum(source.file.size for source in sources))
        for source in sources:
            with sending.file(source.path, source.file.size) as on_fetched:
                folder.fetch(host, source, on_fetched)
        files = {source.path: source.file for source in sources}
        if site.compiles:
            files |= folder.keep(_compiled(site))
        folder.keep_only(files)
        made = {"at": datetime.now(timezone.utc).isoformat(timespec="seconds"), "on": site.facts.os_name}
        Bundle(folder.path, made, _needs(site, packed), files).write()
    size = sum(file.size for file in files.values())
    report.line(
        host.name, f"{folder.path} holds {len(files)} files, {size / 1e6:.0f} MB, for hosts of this kind", "green"
    )
    return outcome


def _require_supported(entry: HostEntry) -> None:
    """Raise `ConfigurationError` for what a bundle cannot hold, before anything is changed."""
    (found,) = fleet.on_each([entry], converge.survey)
    if isinstance(found, ProvisioningError):
        raise found
    site = found
    if site.manager == "uv" and not site.interpreter.startswith("/"):
        raise ConfigurationError(
            f"{site.name}: uv would fetch Python {site.python}, which is not the host's own, and a bundle holds none",
            remedy="Leave environment.python out, install that Python as the system's, or let conda bring it: "
            "environment: {manager: conda}.",
        )
    if site.settings.webui.enabled:
        raise ConfigurationError(
            f"{site.name}: a bundle holds no chat page", remedy="Leave webui.enabled out of what hosts take from it."
        )
    if site.settings.build.wheel:
        raise ConfigurationError(
            f"{site.name}: build.wheel names one place, and a bundle holds wheels by name and version",
            remedy="Put it into a folder that pip.find_links names, and say its version: build: {vllm: …}.",
        )


def work_folder(site: Site) -> str:
    """Where the account packs: kept, so that packing again fetches what is new only."""
    return f"{site.home}/.cache/vllm-provisioning/bundle"


def packed_models(site: Site, *, with_paths: bool) -> tuple[str, ...]:
    """The models to pack: those that were downloaded and, if told, those whose folder the inventory names."""
    return tuple(
        name
        for name, model in site.served_models.items()
        if model.is_downloaded or (with_paths and model.method == "path")
    )


def script(site: Site, models: Sequence[str]) -> str:
    """Root shell that packs there what can be downloaded."""
    build = site.settings.build
    packs = load("pack.sh").render(
        quote=quote,
        folder=work_folder(site),
        python=site.environment_python,
        controller="\n".join(own_requirements()),
        constraints=(PROJECT / "constraints.txt").read_text(),
        models=[(name, site.model_path(name)) for name in models],
        packages=fitting.needs_of(site).packages,
        torch_indexes=build.torch_indexes if build.device == "cpu" and site.settings.pip.index != "none" else [],
        program=text("pack_wheels.py"),
        tools=TOOLS,
        **_conda(site),
    )
    return UPDATE + uv.script(site, packs)


def _conda(site: Site) -> dict[str, Any]:
    """What packing takes where conda makes the environment; else `conda` is empty."""
    if site.manager != "conda":
        return {"conda": ""}
    return {
        "conda": f"{site.miniconda_path}/bin/conda",
        "conda_program": text("pack_conda.py"),
        "environment": site.environment,
        "installer": site.installer,
        "urls": site.miniconda_urls,
    }


def own_requirements() -> list[str]:
    """What `./run` installs of this program's own packages, and what it builds itself with; not what tests take."""
    wanted = metadata.requires("vllm-provisioning") or []
    return [*(one for one in wanted if "extra ==" not in one), "setuptools>=77"]


def _needs(site: Site, packed: Sequence[str]) -> Needs:
    """What the bundle gives: what this host needs, and models that another host has not by itself."""
    needs = fitting.needs_of(site)
    paths = [name for name in packed if site.settings.models[name].method == "path"]
    return replace(needs, models=(*needs.models, *paths))


def _packed(host: Host, site: Site) -> Iterator[Source]:
    """What the job has left, as it lists it."""
    folder = work_folder(site)
    listing = host.run(as_account(site.account, site.home, f"cat {quote(folder)}/list")).stdout
    for line in filter(None, listing.split("\n")):
        yield Source.read(line, folder, site.account, site.home)


def _compiled(site: Site) -> Wheel:
    """The wheel of vLLM that was compiled for this host."""
    facts = site.facts
    wheel, obstacle = Store().find(compilation.key(site), Target(facts.architecture, facts.glibc, facts.cpu_flags))
    if wheel is None:
        raise CommandError(
            f"{site.name}: the wheel of vLLM that was compiled is not in this machine's store",
            cause=obstacle and f"that which is there {obstacle}",
            remedy="Run invoke build first, with this inventory.",
        )
    return wheel

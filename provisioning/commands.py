"""The tasks that take hosts to their desired state, or say how far they are from it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from invoke.context import Context

from provisioning import batches, fleet, inventory, steps
from provisioning import converge as engine
from provisioning.builders import BUILDERS
from provisioning.distribution import DISTRIBUTION
from provisioning.errors import ConfigurationError, ExitCode, ProvisioningError
from provisioning.failed_hosts import FailedHosts
from provisioning.given_secrets import require_api_keys, require_tokens
from provisioning.inventory import HostEntry
from provisioning.inventory_file import inventory_file
from provisioning.outcome import Outcome
from provisioning.parallel import HOSTS
from provisioning.report import Report
from provisioning.verbosity import QUIET, VERBOSITY
from provisioning.with_bundle import with_bundle
from provisioning.with_model import with_model
from provisioning.working_order import helpers_first, problems, require_in_time


def load(
    path: str, hosts: str, overrides: Mapping[str, Any] | None = None, failed: FailedHosts | None = None
) -> list[HostEntry]:
    """Load and check the inventory, and choose hosts: of those that `failed` before, if given.

    Raises `ConfigurationError` before any connection is made.
    """
    known = inventory.load(inventory_file(path), overrides)
    chosen = failed.choose(known, hosts) if failed else known.select(hosts or None)
    inventory.refuse(problems(chosen, {*known.hosts, *inventory.LOCALHOST}), "the inventory")
    return chosen


Remember = Callable[[Sequence[HostEntry], Sequence[Outcome], Sequence[str]], None]
"""Takes the hosts of a run, how it went, and the lines that it said in the end."""


def converge(
    ctx: Context,
    task: str,
    path: str,
    hosts: str,
    *,
    retry_failed: bool = False,
    verify: bool = False,
    remember: Remember = lambda entries, outcomes, lines: None,
    **options: str,
) -> ExitCode:
    """Take hosts through the steps of a task; with Invoke's --dry, say what would change.

    `up` are the steps of `serve`; afterwards each changed service answers a question. `verify` hashes models again.
    """
    if verify and options.get("offline"):
        raise ConfigurationError(
            "--verify and --offline exclude one another: models are sent from a bundle, and not hashed where they are",
            remedy="Leave --offline out: a host without network hashes by its records.",
        )
    failed = FailedHosts(path, task, verify=verify, **options)
    entries = _entries(path, hosts, failed if retry_failed else None, **options)
    if verify:
        entries = [replace(entry, verification=secrets.token_hex(8)) for entry in entries]
    outcomes, code = _converge(ctx, entries, "SERVE" if task == "up" else task.upper(), failed)
    if ctx.config.run.dry:
        return code
    lines: list[str] = []
    if task == "up" and VERBOSITY.get() != QUIET:
        from provisioning.conversation import introduce

        lines = introduce(entries, outcomes)
    remember(entries, outcomes, lines)
    return code


def plan(path: str, hosts: str, *, as_json: bool = False, detailed_exitcode: bool = False, **options: str) -> ExitCode:
    """Say what differs on each host; with `detailed_exitcode` every error ends with 1, as Terraform's do."""
    try:
        return _plan_all(path, hosts, as_json=as_json, detailed_exitcode=detailed_exitcode, **options)
    except ProvisioningError as error:
        if not detailed_exitcode:
            raise
        Report(stderr=True).error(error)
        return ExitCode.FAILED


def _plan_all(path: str, hosts: str, *, as_json: bool, detailed_exitcode: bool, **options: str) -> ExitCode:
    entries, rollout = _in_order(_entries(path, hosts, **options))
    require_api_keys(entries)
    require_tokens(entries)
    outcomes = fleet.outcomes(entries, partial(_plan, task=steps.SERVE))
    show(outcomes, [*rollout.batches(entries)], as_json=as_json)
    code = fleet.exit_code(outcomes)
    if detailed_exitcode:
        changes = any(outcome.status == "changed" for outcome in outcomes)
        return ExitCode.FAILED if code else ExitCode.CHANGES if changes else ExitCode.OK
    return code


def _plan(host: Any, entry: HostEntry, outcome: Outcome, *, task: tuple[str, ...]) -> Outcome:
    return engine.plan(host, entry, steps.of(task, entry.settings), outcome, forecast=True)


def _converge(
    ctx: Context, entries: Sequence[HostEntry], steps_of: str, failed: FailedHosts
) -> tuple[list[Outcome], ExitCode]:
    chosen = getattr(steps, steps_of)
    if "service" in chosen:
        require_api_keys(entries)
    if "model" in chosen:
        require_tokens(entries)
    entries, rollout = _in_order(entries)
    if ctx.config.run.dry:
        outcomes = fleet.outcomes(entries, partial(_plan, task=chosen))
        show(outcomes, [*rollout.batches(entries)], as_json=False)
        return outcomes, fleet.exit_code(outcomes)
    BUILDERS.expect([entry.name for entry in entries])
    DISTRIBUTION.expect({entry.name: partial(fleet.open_host, entry) for entry in entries})
    report = Report()
    work = partial(_apply, task=chosen, report=report, run_id=secrets.token_hex(4))
    outcomes = fleet.outcomes(entries, work, report, rollout)
    report.summary(outcomes, planned=False)
    failed.conclude(outcomes, report)
    return outcomes, fleet.exit_code(outcomes)


def _in_order(entries: Sequence[HostEntry]) -> tuple[list[HostEntry], batches.Rollout]:
    """Order hosts as they are worked on, and give their batches.

    Who works for others begins first: those who wait for it take places of the pool, or are in a later batch. Raises
    `ConfigurationError` where some would wait for ever.
    """
    entries = helpers_first(entries)
    rollout = batches.rollout(entries, leave=_finish)
    require_in_time([batch.entries for batch in rollout.batches(entries)], HOSTS.get())
    return entries, rollout


def _apply(
    host: Any, entry: HostEntry, outcome: Outcome, *, task: tuple[str, ...], report: Report, run_id: str
) -> Outcome:
    DISTRIBUTION.begin(entry.name)
    try:
        return engine.apply(host, entry, steps.of(task, entry.settings), outcome, report=report, run_id=run_id)
    finally:
        _finish(entry.name)


def _finish(host: str) -> None:
    BUILDERS.finish(host)
    DISTRIBUTION.finish(host)


def show(outcomes: Sequence[Outcome], planned: Sequence[batches.Batch], *, as_json: bool) -> None:
    """Print what was found on each host, batch after batch."""
    found = {outcome.host: outcome for outcome in outcomes}
    if as_json:
        hosts = {host: as_object(outcome) for host, outcome in found.items()}
        names = [[entry.name for entry in batch.entries] for batch in planned]
        print(json.dumps({"hosts": hosts, "batches": names}, ensure_ascii=False, indent=2))
        return
    report = Report()
    for batch in planned:
        if len(planned) > 1:
            report.answer(f"{batch.title}:", batch.names)
        for entry in batch.entries:
            report.plan(found[entry.name])
    report.summary(list(outcomes), planned=True)


def as_object(outcome: Outcome) -> dict[str, Any]:
    """Give a host's outcome as --json shows it."""
    changes = [{"step": each.step, "resource": each.resource, "diff": each.diff} for each in outcome.changes]
    return {"status": outcome.status, "changes": changes, "error": str(outcome.error) if outcome.error else None}


def _entries(
    path: str,
    hosts: str,
    failed: FailedHosts | None = None,
    /,
    *,
    model: str = "",
    service: str = "",
    offline: str = "",
    serial: str = "",
    max_fail: str = "",
    **build: str,
) -> list[HostEntry]:
    given = {key: value for key, value in build.items() if value}
    overrides = {**({"build": given} if given else {}), **batches.overrides(serial, max_fail)}
    entries = load(path, hosts, overrides, failed)
    if service and not model:
        raise ConfigurationError("--service goes with --model", remedy="It names the service whose model is replaced.")
    if model:
        entries = [with_model(entry, model, service) for entry in entries]
    return with_bundle(entries, offline) if offline else entries


def doctor(path: str, hosts: str, report: str | None = None) -> ExitCode:
    """Show a table of findings for each host; fails when one of them is an error.

    With `report`, write a file for a bug report instead: the name of one, or "" for one of today.
    """
    from provisioning import doctor as checks

    entries = load(path, hosts)
    if report is not None:
        from provisioning import bug_report

        return bug_report.report(entries, report)
    results = fleet.on_each(entries, checks.examine)
    return checks.show(entries, results)

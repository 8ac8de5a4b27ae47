"""`remove`: takes back what this project made on hosts, from the records written when it was made."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from invoke.context import Context

from provisioning import fleet, job, lock, made
from provisioning.commands import load
from provisioning.converge import survey
from provisioning.errors import CommandError, ExitCode
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.outcome import Change, Outcome
from provisioning.places import STATE
from provisioning.prompts import confirm
from provisioning.report import Report
from provisioning.resources import packages
from provisioning.resources.base import Tell

STEP = "remove"

# Those whose lock is held.
_JOBS = f'for d in {job.JOBS}/*; do [ ! -e "$d/lock" ] || flock -n "$d/lock" true || echo "${{d##*/}}"; done'


def remove(ctx: Context, path: str, hosts: str, *, yes: bool, keep_models: bool) -> ExitCode:
    """Show what was made, ask, and remove it, newest first."""
    entries = load(path, hosts)
    report = Report()
    seen = fleet.outcomes(entries, partial(_look, keep_models=keep_models))
    report_made(report, seen)
    if ctx.config.run.dry or not any(outcome.changes for outcome in seen):
        return fleet.exit_code(seen)
    confirm("Remove all of this?", yes=yes)
    outcomes = fleet.outcomes(entries, partial(_remove, keep_models=keep_models, report=report), report)
    for outcome in outcomes:
        if not outcome.error:
            report.line(outcome.host, f"removed {len(outcome.changes)} things", "green")
    report.failures(outcomes)
    return fleet.exit_code(outcomes)


def report_made(report: Report, outcomes: Sequence[Outcome]) -> None:
    """Print what this project made on each host."""
    for outcome in outcomes:
        if not outcome.error and not outcome.changes:
            report.answer(outcome.host, "nothing here was made by this project", "green")
        for change in outcome.changes:
            report.answer(outcome.host, f"remove {change.resource}", "yellow")
    report.failures(outcomes)


def _chosen(host: Host, keep_models: bool) -> list[made.Record]:
    # Models that stay keep their folder, and the account that they belong to.
    kept = ("model ", "account ", "directory ") if keep_models else ()
    return [record for record in made.read(host) if not (kept and record.name.startswith(kept))]


def _look(host: Host, entry: HostEntry, outcome: Outcome, *, keep_models: bool) -> Outcome:
    survey(host, entry)
    outcome.changes = [Change(STEP, record.name, "") for record in _chosen(host, keep_models)]
    return outcome


def _remove(host: Host, entry: HostEntry, outcome: Outcome, *, keep_models: bool, report: Report) -> Outcome:
    survey(host, entry)
    with lock.locked(host, "remove"):
        end_jobs(host, partial(report.tell, host.name))
        for record in _chosen(host, keep_models):
            report.tell(host.name, f"removing {record.name}")
            with host.echo.to(partial(report.command, host.name)):
                result = host.run(f"({record.undo}\n) 2>&1", timeout=900, check=False)
            if result.exit_code:
                raise CommandError(f"{host.name}: {record.name} could not be removed", cause=result.words)
            host.run(f"rm -f {record.file}")
            outcome.changes.append(Change(STEP, record.name, ""))
            report.count(host.name)
        if not made.read(host):
            host.run(f"rm -rf {STATE}")
    return outcome


def end_jobs(host: Host, tell: Tell) -> None:
    """Let nothing go on that a run left behind and that makes what is to be removed; dpkg comes to its end."""
    for name in host.run(_JOBS).stdout.splitlines():
        tell(f"ending the job {name}")
        if name == packages.JOB:
            job.run(host, job.Job(name, ":", interruptible=False), tell)
        else:
            job.stop(host, name)

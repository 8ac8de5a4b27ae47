"""The tasks that start, stop and restart services; with Invoke's --dry they look, and say what they would do."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial

from invoke.context import Context

from provisioning import batches, converge, fleet
from provisioning.commands import load
from provisioning.errors import ExitCode, NotConvergedError, ProvisioningError
from provisioning.failed_hosts import FailedHosts
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.lock import locked
from provisioning.outcome import Outcome
from provisioning.probe import ask
from provisioning.report import Report
from provisioning.resources.service import probed_state
from provisioning.services import Kept, named


def control(
    ctx: Context,
    path: str,
    hosts: str,
    service: str,
    verb: str,
    *,
    serial: str = "",
    max_fail: str = "",
    retry_failed: bool = False,
) -> ExitCode:
    """Start, stop or restart services, under each host's lock."""
    failed = FailedHosts(path, verb, service=service, serial=serial, max_fail=max_fail)
    entries = load(path, hosts, batches.overrides(serial, max_fail), failed if retry_failed else None)
    rollout, report = batches.rollout(entries), Report()
    if ctx.config.run.dry:
        for batch in rollout.batches(entries):
            if len(batch.entries) < len(entries):
                report.answer(f"{batch.title}:", batch.names)
        outcomes = fleet.outcomes(entries, partial(_tell, service=service, verb=verb, report=report))
    else:
        work = partial(_control, service=service, verb=verb, report=report, run_id=secrets.token_hex(4))
        outcomes = fleet.outcomes(entries, work, report, rollout)
    report.failures(outcomes)
    if not ctx.config.run.dry:
        failed.conclude(outcomes, report)
    return fleet.exit_code(outcomes)


def differing(host: Host, services: Sequence[Kept], verb: str, report: Report) -> list[Kept]:
    """Look (one round trip), and give the services that `verb` changes; say which are so already.

    Raises `ProvisioningError` where one of them is not there.
    """
    answers = ask(host, [each.probe() for each in services]) if services else []
    found = [probed_state(answer.require(host.name, each.name)) for each, answer in zip(services, answers, strict=True)]
    for each, state in zip(services, found, strict=True):
        if not each.is_there(state):
            raise ProvisioningError(
                f"{host.name}: the service {each.service} is not there yet", remedy="Bring it with `invoke serve`."
            )
    so_already = [_so_already(each, state, verb) for each, state in zip(services, found, strict=True)]
    for each, words in zip(services, so_already, strict=True):
        if words:
            report.line(host.name, f"{each.service}: {words}")
    return [each for each, words in zip(services, so_already, strict=True) if not words]


def _so_already(service: Kept, state: dict[str, str], verb: str) -> str:
    if verb == "start" and service.serves(state):
        return "serves already"
    return "is stopped already" if verb == "stop" and service.is_stopped(state) else ""


def _services(host: Host, entry: HostEntry, name: str, report: Report) -> list[Kept]:
    services = named(converge.survey(host, entry), name)
    if not services:
        report.line(host.name, "nothing to do: it has no service")
    return services


def _tell(host: Host, entry: HostEntry, outcome: Outcome, *, service: str, verb: str, report: Report) -> Outcome:
    for each in differing(host, _services(host, entry, service, report), verb, report):
        report.answer(host.name, f"would {verb} {each.service}", "yellow")
    return outcome


def _control(
    host: Host, entry: HostEntry, outcome: Outcome, *, service: str, verb: str, report: Report, run_id: str
) -> Outcome:
    services = differing(host, _services(host, entry, service, report), verb, report)
    if not services:
        return outcome
    with locked(host, run_id):
        # Another run may have ended in between: what it left counts.
        for each in differing(host, services, verb, report):
            if verb == "stop":
                with host.echo.to(partial(report.command, host.name)):
                    _stop(host, each)
                report.count(host.name)
                report.line(host.name, f"{each.service}: stopped")
            else:
                framed = report.change(host.name, verb, f"service {each.service}", f"wait for {each.waits_for}")
                with framed, host.echo.to(partial(report.command, host.name)):
                    host.run(each.register())
                    each.restart(host, partial(report.tell, host.name))
                report.line(host.name, f"{each.service}: serving at {each.url}", "green")
    return outcome


def _stop(host: Host, service: Kept) -> None:
    """Stop a service, and look: raises where it runs still, whatever the exit code said."""
    host.run(service.stop())
    with host.echo.instead():
        (answer,) = ask(host, [service.probe()])
    state = probed_state(answer.require(host.name, service.name))
    if not service.is_stopped(state):
        raise NotConvergedError(
            f"{host.name}: the service {service.service} was stopped without complaint and still runs",
            cause=f"It is {state.get('active')}.",
        )

"""The task `status`: how hosts and their services fare, and how far they are from the inventory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from provisioning import converge, fleet, probe, service_status, steps
from provisioning.commands import as_object, load
from provisioning.errors import ExitCode, ProvisioningError, UnreachableError
from provisioning.given_secrets import require_api_keys
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.outcome import Outcome
from provisioning.profile import PROFILE
from provisioning.report import Report
from provisioning.resources.chat_page import ChatPage
from provisioning.screen import print_table
from provisioning.service_status import ServiceStatus
from provisioning.services import Kept, kept_by
from provisioning.site import Site

PATIENCE = 45
"""Seconds of silence after which a host does not answer: its probes are cheap, and each has a timeout of its own."""


@dataclass
class Fared:
    """How the look at a host went, and what was seen of its services."""

    outcome: Outcome
    services: list[ServiceStatus] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Its name."""
        return self.outcome.host

    @property
    def is_well(self) -> bool:
        """Whether it could be looked at, is as the inventory wants it, and all its services serve."""
        return self.outcome.status == "ok" and all(service.serves for service in self.services)


def status(path: str, hosts: str, *, as_json: bool, every: int = 0) -> ExitCode:
    """Show services, and what differs; again and again where `every` is a number of seconds.

    Fails where a host cannot be looked at or a service does not serve; what is shown until Ctrl-C ends well.
    """
    entries = load(path, hosts)
    require_api_keys(entries)
    if every:
        from provisioning.status_watch import watch

        return watch(entries, every, as_json=as_json)
    seen = {entry.name: Fared(Outcome(entry.name)) for entry in entries}
    outcomes = fleet.outcomes(entries, partial(_look, seen=seen))
    fared = [Fared(outcome, seen[outcome.host].services) for outcome in outcomes]
    if as_json:
        print(json.dumps(as_objects(fared), ensure_ascii=False, indent=2))
    else:
        show(fared)
    down = any(not service.serves for each in fared for service in each.services)
    return fleet.exit_code(outcomes) or (ExitCode.NOT_READY if down else ExitCode.OK)


def _look(host: Host, entry: HostEntry, outcome: Outcome, *, seen: dict[str, Fared]) -> Outcome:
    seen[host.name] = fared = Fared(outcome)
    look(host, entry, fared)
    return outcome


def look(host: Host, entry: HostEntry, fared: Fared) -> Site:
    """Look at a host and its services: one round trip where it was seen before, else two (see `Ahead`).

    Raises what keeps the look from its end; what was seen until then stands in `fared`.
    """
    outcome, ahead = fared.outcome, converge.ahead_of(entry, steps.SERVE, _questions)
    with PROFILE.phase(host.name, "facts"):
        outcome.site = site = converge.survey(host, entry, ahead=ahead)

    def ask(host: Host, probes: Sequence[probe.Probe]) -> list[probe.Probed]:
        questions = _questions(site)
        answers = ahead.ask(host, [*questions, *probes])
        fared.services = _answers(site, answers[: len(questions)])
        return answers[len(questions) :]

    try:
        with PROFILE.phase(host.name, "look"):
            outcome.changes = converge.differences(converge.look(host, site, steps.SERVE, ask=ask))
    except UnreachableError:
        raise
    except ProvisioningError:
        # Services run on where what the inventory wants cannot work.
        if not fared.services and _questions(site):
            ask(host, [])
        raise
    outcome.status = "changed" if outcome.changes else "ok"
    return site


def look_at_services(host: Host, site: Site) -> list[ServiceStatus]:
    """Look at the services alone: one round trip, also where there is none, for it tells whether the host is there."""
    return _answers(site, probe.ask(host, _questions(site), timeout=PATIENCE))


def _questions(site: Site) -> list[probe.Probe]:
    return [probe.Probe(part) for each in kept_by(site) for part in (each.probe(), _details(each))]


def _details(each: Kept) -> str:
    return each.details() if isinstance(each, ChatPage) else service_status.details(each.service)


def _answers(site: Site, answers: Sequence[probe.Probed]) -> list[ServiceStatus]:
    return [
        _parse(site, each, probed.output, detailed.output)
        for each, probed, detailed in zip(kept_by(site), answers[::2], answers[1::2], strict=True)
    ]


def _parse(site: Site, each: Kept, probed: str, detailed: str) -> ServiceStatus:
    if isinstance(each, ChatPage):
        return service_status.parse_page(each, probed, detailed)
    return service_status.parse(each.service, each.url, site.settings.services[each.service].model, probed, detailed)


def as_objects(fared: Sequence[Fared]) -> dict[str, Any]:
    """Give what --json shows."""
    return {"hosts": {each.host: _as_object(each) for each in fared}}


def _as_object(fared: Fared) -> dict[str, Any]:
    outcome = fared.outcome
    return {
        **as_object(outcome),
        "reachable": None if outcome.status == "connecting" else outcome.status not in ("unreachable", "silent"),
        "converged": not outcome.changes if outcome.status in ("ok", "changed") else None,
        "services": [asdict(service) for service in fared.services],
    }


def show(fared: Sequence[Fared]) -> None:
    """Print a table, and below it each error in full."""
    from provisioning.status_table import table

    report = Report()
    screen = report.screen.console
    print_table(screen, table(fared, screen.width if screen.is_terminal else None))
    report.failures([each.outcome for each in fared])

"""Look, diff, apply, verify: takes one host to its desired state. `fleet.py` does many hosts side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from provisioning import facts, probe
from provisioning.ahead import Ahead
from provisioning.errors import IncompatibleError, NotConvergedError, ProvisioningError
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.lock import Lock, locked
from provisioning.model_settings import path_of
from provisioning.outcome import Change, Outcome
from provisioning.phases import phase
from provisioning.profile import PROFILE
from provisioning.retry import connecting
from provisioning.site import Site
from provisioning.steps import STEPS

if TYPE_CHECKING:
    from provisioning.report import Report
    from provisioning.resources import Difference, Resource

BROKEN_CONNECTIONS = 5
"""Attempts at one host when its connection breaks in the middle, and can be made again (see `retry`)."""

Ask = Callable[[Host, Sequence[probe.Probe]], Sequence[probe.Probed]]
"""Runs probes on a host and gives an answer for each, as `probe.ask` does."""


@dataclass(frozen=True)
class Looked:
    """A resource, and what was found."""

    step: str
    resource: Resource
    actual: str
    difference: Difference | None


def survey(host: Host, entry: HostEntry, *, ahead: Ahead | None = None) -> Site:
    """Gather the facts and derive what follows from them: one round trip, two on a host with a choice to make."""
    settings = entry.settings
    paths = [path_of(name, model) for name, model in settings.models.items() if model.is_downloaded]
    asked: dict[str, Any] = {"ask": ahead.facts} if ahead else {}
    with phase(host, "while its facts were gathered"):
        found = facts.gather(
            host, account=settings.account, conda_path=settings.miniconda.path, model_paths=paths, **asked
        )
    site = _site(entry, found)
    if site.must_look_for_downloads:
        # An installer that nobody knows is refused where it is wanted: who only looks is to see all the rest.
        with suppress(IncompatibleError):
            site = replace(site, facts=facts.look_for_downloads(host, found, site.miniconda_urls))
    return site


def _site(entry: HostEntry, found: facts.Facts) -> Site:
    return Site(entry.name, entry.settings, found, entry.verification, entry.offline)


def ahead_of(
    entry: HostEntry, steps: Sequence[str], more: Callable[[Site], list[probe.Probe]] = lambda site: []
) -> Ahead:
    """Give what asks along with the facts what these steps would look at, and `more` before it; see `Ahead`."""

    def follow(answers: Sequence[probe.Probed]) -> tuple[str, list[probe.Probe]] | None:
        # What was recorded may be of another version of this program, or name versions that do not fit any more.
        with suppress(ProvisioningError, LookupError, ValueError):
            found = facts.recalled(answers, entry.ssh.become is not False)
            if found and not (site := _site(entry, found)).must_look_for_downloads:
                return found.sudo, [*more(site), *(resource.question() for _, resource in _resources(site, steps))]
        return None

    return Ahead(entry, follow)


def _resources(site: Site, steps: Sequence[str]) -> list[tuple[str, Resource]]:
    return [(step, resource) for step in steps for resource in STEPS[step](site)]


def survey_to_change(host: Host, entry: HostEntry, *, ahead: Ahead | None = None) -> Site:
    """As `survey`; raises `IncompatibleError`, before anything is installed, where versions or a bundle do not fit."""
    site = survey(host, entry, ahead=ahead)
    from provisioning import fitting, gpu_sharing

    gpu_sharing.require(site)
    site.require_compatible()
    fitting.require(site)
    return site


def look(host: Host, site: Site, steps: Sequence[str], *, ask: Ask = probe.ask) -> list[Looked]:
    """Probe all resources of the steps and compare: one round trip. `ask` may ask for more in the same one."""
    resources = _resources(site, steps)
    with phase(host, "while its state was looked at"):
        answers = ask(host, [resource.question() for _, resource in resources])
    looked = []
    for (step, resource), answer in zip(resources, answers, strict=True):
        actual = answer.require(host.name, resource.name)
        looked.append(Looked(step, resource, actual, resource.difference(actual)))
    return looked


def differences(looked: Sequence[Looked], *, forecast: bool = False) -> list[Change]:
    """Give the changes that would be made."""
    return [
        Change(each.step, each.resource.name, f"{each.difference.text}{_forecast(each) if forecast else ''}")
        for each in looked
        if each.difference
    ]


def _forecast(looked: Looked) -> str:
    said = looked.resource.forecast()
    return f": {said}" if said else ""


def plan(host: Host, entry: HostEntry, steps: Sequence[str], outcome: Outcome, *, forecast: bool = False) -> Outcome:
    """Say what differs; change nothing. With `forecast`, ask servers what it will take, such as a download's size."""
    from provisioning.distribution import DISTRIBUTION

    ahead = ahead_of(entry, steps)
    with PROFILE.phase(host.name, "facts"):
        outcome.site = survey_to_change(host, entry, ahead=ahead)
    with PROFILE.phase(host.name, "look"):
        looked = look(host, outcome.site, steps, ask=ahead.ask)
    DISTRIBUTION.seen(host.name)
    outcome.looked = ahead.looked
    outcome.changes = differences(looked, forecast=forecast)
    outcome.status = "changed" if outcome.changes else "ok"
    return outcome


def apply(
    host: Host, entry: HostEntry, steps: Sequence[str], outcome: Outcome, *, report: Report, run_id: str
) -> Outcome:
    """Take the host to its desired state. A connection that breaks is made again, and the work goes on."""
    if not plan(host, entry, steps, outcome).changes:
        return outcome
    outcome.changes = []
    policy = connecting(
        BROKEN_CONNECTIONS, on_retry=lambda _: report.tell(host.name, "connection lost; connecting again")
    )
    with PROFILE.phase(host.name, "apply"):
        policy(_apply_locked, host, entry, steps, report, run_id, outcome)
    outcome.status = "changed" if outcome.changes else "ok"
    return outcome


def _apply_locked(
    host: Host, entry: HostEntry, steps: Sequence[str], report: Report, run_id: str, outcome: Outcome
) -> None:
    with locked(host, run_id) as lock:
        remaining = list(steps)
        # What one step changes may decide what the next wants, so facts and states are read again after each.
        while remaining:
            outcome.site = survey_to_change(host, entry)
            differing = [each for each in look(host, outcome.site, remaining) if each.difference]
            if not differing:
                return
            step = differing[0].step
            _apply_step(host, [each for each in differing if each.step == step], report, outcome, lock)
            remaining = remaining[remaining.index(step) + 1 :]


def _apply_step(host: Host, differing: Sequence[Looked], report: Report, outcome: Outcome, lock: Lock) -> None:
    from provisioning import made

    made.write(host, [(each.resource, each.actual) for each in differing])
    for each in differing:
        assert each.difference is not None
        doing = phase(host, f"during {each.step}: {each.resource.name}")
        framed = report.change(host.name, each.step, each.resource.name, each.difference.text)
        with doing, framed, host.echo.to(partial(report.command, host.name)):
            each.resource.apply(host, each.actual, lambda line: report.tell(host.name, line))
        outcome.changes.append(Change(each.step, each.resource.name, each.difference.text))
        lock.require()
    _verify(host, [each.resource for each in differing])


def _verify(host: Host, resources: Sequence[Resource]) -> None:
    """Probe again: a resource that still differs has failed, whatever the exit code said."""
    answers = probe.ask(host, [resource.question() for resource in resources])
    for resource, answer in zip(resources, answers, strict=True):
        if difference := resource.difference(answer.require(host.name, resource.name)):
            raise NotConvergedError(
                f"{host.name}: {resource.name} was changed without complaint and still differs", cause=difference.text
            )

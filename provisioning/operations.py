"""The tasks that ask services that are there: status, logs, chat."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from rich.table import Table
from rich.text import Text

from provisioning import converge, fleet, steps
from provisioning.clients import chat as client
from provisioning.commands import as_object, load
from provisioning.converge import Outcome
from provisioning.errors import ConfigurationError, ExitCode
from provisioning.failed_hosts import DONE
from provisioning.given_secrets import require_api_keys
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.probe import ask
from provisioning.report import Report, console
from provisioning.resources.service import ABSENT, Service, probed_state
from provisioning.server_environment import url
from provisioning.site import Site
from provisioning.spelling import did_you_mean
from provisioning.steps.service import supervised

FIRST_QUESTION = "天空为什么是蓝色的？"


def services_of(site: Site, name: str = "") -> list[Service]:
    """Give the services of a host, or the one with this name. Raises `ConfigurationError` if there is no such one."""
    found = [supervised(site, service) for service in site.settings.resolved_services().values()]
    if name and name not in (service.service for service in found):
        raise ConfigurationError(
            f"{site.name}: there is no service {name!r} (--service)",
            cause=did_you_mean(name, [service.service for service in found]),
        )
    return [service for service in found if name in ("", service.service)]


def status(path: str, hosts: str, *, as_json: bool) -> ExitCode:
    """Show services, and what differs. Fails where a host cannot be looked at or a service does not serve."""
    entries = load(path, hosts)
    require_api_keys(entries)
    found: dict[str, list[dict[str, Any]]] = {}
    outcomes = fleet.outcomes(entries, partial(_status, found=found))
    if as_json:
        objects = {each.host: {**as_object(each), "services": found.get(each.host, [])} for each in outcomes}
        print(json.dumps({"hosts": objects}, ensure_ascii=False, indent=2))
    else:
        _show_status(outcomes, found)
    down = any(service["phase"] not in ("ready", "busy") for services in found.values() for service in services)
    return fleet.exit_code(outcomes) or (ExitCode.NOT_READY if down else ExitCode.OK)


def _status(host: Host, entry: HostEntry, outcome: Outcome, *, found: dict[str, list[dict[str, Any]]]) -> Outcome:
    outcome.site = converge.survey(host, entry)
    services = services_of(outcome.site)
    details = "cat /run/vllm/{0}/state.json 2>/dev/null; echo; stat -c %Y /run/vllm/{0}/state.json 2>/dev/null; :"
    answers = ask(host, [part for s in services for part in (s.probe(), details.format(s.service))]) if services else []
    found[host.name] = [
        _state_of(service, answers[2 * n].output, answers[2 * n + 1].output) for n, service in enumerate(services)
    ]
    # Last: services run on where what the inventory wants cannot work.
    outcome.changes = converge.differences(converge.look(host, outcome.site, steps.SERVE))
    outcome.status = "changed" if outcome.changes else "ok"
    return outcome


def _state_of(service: Service, probed: str, details: str) -> dict[str, Any]:
    rows = probed_state(probed)
    try:
        state = json.loads(details.partition("\n")[0])
    except ValueError:
        state = {}
    running = rows.get("active") == "active" or rows.get("active") == "activating"
    return {
        "name": service.service,
        "active": rows.get("active", ABSENT),
        "phase": state.get("phase", "not started") if running else "stopped",
        "since": state.get("since") if running else None,
        "restarts": state.get("restarts", 0),
        "message": state.get("message", ""),
        "url": service.url,
    }


def _show_status(outcomes: Sequence[Outcome], found: dict[str, list[dict[str, Any]]]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("HOST", "SERVICE", "STATE", "RESTARTS", "URL (on the host)", "INVENTORY"):
        table.add_column(title, no_wrap=True)
    for outcome in outcomes:
        count = len(outcome.changes)
        differs = f"{count} change{'s' if count != 1 else ''} to make: see plan" if count else "as it should be"
        rows = found.get(outcome.host) or [{}]
        for row in rows:
            last = outcome.status if outcome.error else differs
            table.add_row(
                outcome.host,
                row.get("name", "-"),
                _phase(row),
                str(row.get("restarts", "-")),
                row.get("url", "-"),
                last,
            )
    report = Report()
    report.console.print(table)
    for outcome in outcomes:
        if outcome.error:
            report.error(outcome.error, outcome.host)


def _phase(row: dict[str, Any]) -> Text:
    phase = str(row.get("phase", "-"))
    colour = {"ready": "green", "busy": "green", "stopped": "red", "hung": "red"}.get(phase, "yellow")
    return Text(phase, style=colour)


def logs(path: str, hosts: str, service: str, *, follow: bool, lines: int) -> ExitCode:
    """Print the last lines of services' logs, and go on if told."""
    entries = load(path, hosts)
    screen = console()
    one_at_a_time = threading.Lock()
    several = len(entries) > 1

    def work(host: Host, entry: HostEntry, outcome: Outcome) -> Outcome:
        site = converge.survey(host, entry)
        names = services_of(site, service)
        pending: list[bytes] = [b""]

        def on_output(chunk: bytes) -> None:
            *complete, pending[0] = (pending[0] + chunk.replace(b"\0", b"")).split(b"\n")
            with one_at_a_time:
                for line in complete:
                    text = line.decode(errors="replace")
                    screen.print(f"{host.name} | {text}" if several else text)

        # Several followed at once run side by side; a closed connection ends them, for nobody reads them then.
        script = "".join(f"{each.recent(lines, follow)} {'&' if follow else ''}\n" for each in names)
        script += "wait\n" if follow else ""
        beat = "trap 'kill 0' EXIT; while sleep 15; do printf '\\000' || exit; done &\n" if follow else ""
        host.run(beat + script, timeout=60, on_output=on_output, check=False)
        return outcome

    outcomes = fleet.outcomes(entries, work)
    for outcome in outcomes:
        if outcome.error:
            Report(stderr=True).error(outcome.error, outcome.host)
    return fleet.exit_code(outcomes)


def chat(path: str, hosts: str, service: str, question: str, max_tokens: int) -> ExitCode:
    """Ask one service of one host, and stream its answer to standard output."""
    entries = load(path, hosts)
    able = [
        entry for entry in entries if service in entry.settings.services or (not service and entry.settings.services)
    ]
    if not able:
        known = sorted({name for entry in entries for name in entry.settings.services})
        raise ConfigurationError(
            f"no chosen host has the service {service!r}" if service else "no chosen host has a service",
            cause=did_you_mean(service, known) if known else "The inventory defines none.",
        )
    entry = able[0]
    require_api_keys([entry], service or next(iter(entry.settings.services)))
    if len(able) > 1:
        print(f"asking {entry.name} (choose with --hosts)", file=sys.stderr)
    for text in ask_service(entry, service, question, max_tokens):
        print(text, end="", flush=True)
    print()
    return ExitCode.OK


def ask_service(entry: HostEntry, service: str, question: str, max_tokens: int) -> Iterator[str]:
    """Give the answer of a service of a host as it comes; the first service if none is named."""
    resolved = entry.settings.resolved_services()
    chosen = resolved[service or next(iter(resolved))]
    host = fleet.open_host(entry)
    try:
        yield from client.answer(host, chosen, question, max_tokens)
    finally:
        host.close()


def introduce(entries: Sequence[HostEntry], outcomes: Sequence[Outcome]) -> None:
    """Let each host that was changed answer a question: the proof that a person believes."""
    screen = console()
    # Who worked for others came first, so the order is another one.
    by_host = {outcome.host: outcome for outcome in outcomes}
    for entry in entries:
        outcome = by_host[entry.name]
        if outcome.status not in DONE:
            continue
        services = entry.settings.resolved_services()
        for name, service in services.items():
            where = f"{url(service)}/v1"
            screen.print(f"{entry.name}: {name} serves {service.model} at {where}", style="green")
            if outcome.status == "changed":
                screen.print(f"  ? {FIRST_QUESTION}\n  ", end="")
                for text in ask_service(entry, name, FIRST_QUESTION, 200):
                    screen.print(text, end="")
                screen.print()

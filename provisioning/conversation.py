"""Asking services questions: the task `chat`, and what `up` asks at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from provisioning import fleet
from provisioning.clients import chat as client
from provisioning.commands import load
from provisioning.errors import ConfigurationError, ExitCode
from provisioning.failed_hosts import DONE
from provisioning.given_secrets import require_api_keys
from provisioning.inventory import HostEntry
from provisioning.outcome import Outcome
from provisioning.report import console
from provisioning.server_environment import url
from provisioning.spelling import did_you_mean

FIRST_QUESTION = "天空为什么是蓝色的？"


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

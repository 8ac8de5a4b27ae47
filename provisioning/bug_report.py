"""`doctor --report`: one file with all that a bug report wants to know, and nothing that it must not."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from provisioning import doctor, fleet, job, log_entries, probe, settings_shown, status
from provisioning.errors import ConfigurationError, ExitCode, ProvisioningError
from provisioning.findings import Finding
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.local_path import local_path
from provisioning.outcome import Outcome
from provisioning.placeholders import Placeholders
from provisioning.report import Report
from provisioning.services import services_of
from provisioning.site import Site
from provisioning.status import Fared
from provisioning.whole_file import write_whole

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("vllm-provisioning", "invoke", "fabric", "paramiko", "pydantic", "rich", "openai")
FACTS = (
    *("os_id", "os_version", "architecture", "kernel", "cores", "memory", "memory_available", "systemd", "pythons"),
    *("manager", "compilers", "versioned_compilers", "gpus", "gpu_complaint", "glibc", "sudo", "conda_present"),
    *("conda_unreachable", "account_exists", "uid"),
)
"""Facts that are shown; the others name people and folders."""
LINES = 40
"""Lines of each log, at most, and characters of each line."""
WIDTH = 400
INTRODUCTION = f"""# Report for a bug

Written by `invoke doctor --report`, to be attached to a bug report. Look through it first: such reports are public.
Names of hosts and users, addresses and unknown servers are placeholders (host1, user1, …), the same throughout. Of the
inventory it has numbers, switches and chosen words; other texts are `(given)`. Secrets that this machine knows of are
`***`. Of each log it has the last {LINES} lines.
"""


@dataclass
class Seen:
    """What was seen of a host, and what went wrong meanwhile."""

    fared: Fared
    findings: list[Finding] = field(default_factory=list)
    logs: dict[str, list[str]] = field(default_factory=dict)
    problems: list[ProvisioningError] = field(default_factory=list)


def report(entries: Sequence[HostEntry], name: str) -> ExitCode:
    """Look at the hosts, and write the file: `name`, or one of today in this folder. Changes nothing on any host.

    Raises `ConfigurationError` where there is such a file already, or it cannot be written.
    """
    file = local_path(name or f"vllm-provisioning-report-{datetime.now():%Y-%m-%d-%H%M%S}.md")
    if file.exists() or file.is_symlink():
        raise ConfigurationError(f"--report: {file} is there already", remedy="Name another file, or none.")
    hidden = Placeholders(entries)
    seen = fleet.on_each(entries, _look)
    for each in seen:
        if isinstance(each, Seen) and (site := each.fared.outcome.site):
            hidden.name("user", site.facts.user)
            hidden.name("user", site.account)
    _write(file, hidden.clean("\n".join(_text(entries, seen, hidden))) + "\n")
    Report().answer("wrote", str(file))
    Report().hint("Look through it before you attach it: it is meant to hold no secret, and no name of yours.")
    return ExitCode.OK


def _look(host: Host, entry: HostEntry) -> Seen:
    """Look at all there is; what cannot be seen keeps nothing else from it. Raises where nothing can."""
    seen = Seen(Fared(Outcome(entry.name)))
    try:
        status.look(host, entry, seen.fared)
    except ProvisioningError as error:
        if not seen.fared.outcome.site:
            raise
        seen.problems.append(error)
    site = seen.fared.outcome.site
    assert site
    try:
        answers = probe.ask(host, doctor.probes(site), as_root=False)
        seen.findings = doctor.findings(site, [each.output for each in answers])
    except ProvisioningError as error:
        seen.problems.append(error)
    try:
        seen.logs = dict(_logs(host, site))
    except ProvisioningError as error:
        seen.problems.append(error)
    return seen


def _logs(host: Host, site: Site) -> Iterator[tuple[str, list[str]]]:
    """The ends of the logs of jobs and services, by name."""
    ends = f'for d in {job.JOBS}/*/; do [ -f "$d/log" ] || continue; '
    ends += 'printf "\\001%s (exit %s)\\n" "$(basename "$d")" "$(cat "$d/status" 2>/dev/null)"; '
    ends += f'tail -c 50000 "$d/log" | tail -n {LINES}; echo; done'
    for part in host.run(ends).stdout.split("\x01")[1:]:
        title, *lines = part.replace("\r", "\n").rstrip().splitlines()
        yield f"job {title}", lines
    for service in services_of(site):
        entries = (log_entries.parse(line.encode()) for line in host.run(service.entries(LINES)).stdout.splitlines())
        yield f"service {service.service}", [row for entry in entries if entry for row in entry.lines]


def _text(
    entries: Sequence[HostEntry], seen: Sequence[Seen | ProvisioningError], hidden: Placeholders
) -> Iterator[str]:
    yield INTRODUCTION
    yield from _block("Versions", _versions())
    for entry, each in zip(entries, seen, strict=True):
        yield f"## {hidden.name('host', entry.name)}\n"
        yield from _block("Settings", json.dumps(settings_shown.shown(entry.settings), indent=1).splitlines())
        if isinstance(each, ProvisioningError):
            yield from _block("It cannot be looked at", str(each).splitlines())
        else:
            yield from _host(each)


def _versions() -> list[str]:
    commit = subprocess.run(
        ["git", "-C", PROJECT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    packages = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    here = f"{platform.system()} {platform.release()} {platform.machine()}"
    return [f"commit {commit or 'unknown'}", *packages, f"Python {platform.python_version()} on {here}"]


def _host(seen: Seen) -> Iterator[str]:
    outcome = seen.fared.outcome
    assert outcome.site
    facts = {name: getattr(outcome.site.facts, name) for name in FACTS}
    yield from _block("Facts", [f"{name}: {value}" for name, value in facts.items()])
    found = [f"{each.level} {each.topic}: {each.text} {each.remedy}".rstrip() for each in seen.findings]
    yield from _block("doctor", found)
    changes = Counter(change.step for change in outcome.changes)
    yield from _block("What `up` would change", [f"{step}: {count}" for step, count in changes.items()])
    services = [json.dumps(asdict(service), default=str) for service in seen.fared.services]
    yield from _block("Services", services)
    for name, lines in seen.logs.items():
        yield from _block(f"Log of {name}", lines[-LINES:])
    problems = [row for each in seen.problems for row in str(each).splitlines()]
    yield from _block("What went wrong while looking", problems)


def _block(title: str, lines: Sequence[str]) -> Iterator[str]:
    """A heading, and lines as they are: indented, so that nothing in them is markup."""
    yield f"### {title}\n"
    yield from (f"    {line[:WIDTH]}{'…' * (len(line) > WIDTH)}" for line in lines or ["(nothing)"])
    yield ""


def _write(file: Path, text: str) -> None:
    """For its owner alone; whole or not at all."""
    try:
        write_whole(file, text, mode=0o600, errors="replace")
    except OSError as error:
        raise ConfigurationError(f"--report: {file} cannot be written", cause=error.strerror or str(error)) from error

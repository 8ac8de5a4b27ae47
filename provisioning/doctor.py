"""`doctor`: looks for what would go wrong, before anything is changed. Findings come with what to do about them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from provisioning import doctor_disks, doctor_gpus, probe
from provisioning.becoming import NO_SUDO
from provisioning.converge import survey
from provisioning.doctor_mirrors import mirrors
from provisioning.errors import ExitCode, IncompatibleError, ProvisioningError
from provisioning.findings import ERROR, GIB, OK, WARNING, Finding
from provisioning.fleet import common_code
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.report import Report
from provisioning.screen import console, print_table
from provisioning.site import Site
from provisioning.steps.vllm import requirements
from provisioning.verbosity import QUIET, VERBOSITY

MEMORY_FOR_VLLM = 4 * GIB
CLOCK_SKEW = 300
"""Seconds by which a clock may be wrong before certificates and signatures are refused."""

STYLES = {OK: "green", WARNING: "yellow", ERROR: "bold red"}


def examine(host: Host, entry: HostEntry) -> list[Finding]:
    """Look at a host: two round trips, nothing changed."""
    site = survey(host, entry)
    return findings(site, [each.output for each in probe.ask(host, probes(site), as_root=False)])


def probes(site: Site) -> list[str]:
    """Give read-only shell for what the facts do not hold."""
    return [
        doctor_disks.probe(site),
        "date +%s",
        "dpkg --audit 2>&1 | head -n 5; command -v apt-get >/dev/null || echo no-apt",
        *(mirror.probe for mirror in mirrors(site)),
    ]


def findings(site: Site, answers: Sequence[str]) -> list[Finding]:
    """Judge the facts, and what `probes` printed. Pure but for this machine's clock."""
    disks, clock, packages, *reached = answers
    return [
        *_machine(site),
        *_python(site),
        *_rights(site),
        *doctor_disks.findings(site, disks),
        _clock(clock),
        _packages(site, packages),
        *(mirror.judge(answer) for mirror, answer in zip(mirrors(site), reached, strict=True)),
    ]


def _machine(site: Site) -> Iterator[Finding]:
    facts, device = site.facts, site.settings.build.device
    known = facts.os_id in ("debian", "ubuntu")
    yield Finding(OK if known else ERROR, "system", facts.os_name, "" if known else "Debian and Ubuntu are supported.")
    if facts.architecture == "x86_64":
        names = {"avx2": "AVX2", "avx512f": "AVX512", "avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX"}
        found = [name for flag, name in names.items() if flag in facts.cpu_flags]
        level = ERROR if device == "cpu" and "AVX2" not in found else OK
        yield Finding(
            level,
            "processor",
            f"x86_64, {facts.cores} cores, {', '.join(found) or 'no AVX2'}",
            "vLLM needs AVX2 at least." if level == ERROR else "",
        )
    else:
        level = OK if facts.architecture == "aarch64" else ERROR
        yield Finding(level, "processor", f"{facts.architecture}, {facts.cores} cores")
    enough = facts.memory >= MEMORY_FOR_VLLM
    text = f"{facts.memory / GIB:.1f} GiB, {facts.memory_available / GIB:.1f} GiB available"
    yield Finding(OK if enough else WARNING, "memory", text, "" if enough else "Serve a small model; add swap.")
    version = facts.systemd
    yield Finding(
        OK, "supervisor", f"systemd {version}" if version else "no systemd as PID 1: supervisord serves instead"
    )
    yield from doctor_gpus.findings(site)


def _python(site: Site) -> Iterator[Finding]:
    compilers = ", ".join(f"{name} {version or 'missing'}" for name, version in site.facts.compilers.items())
    fits = all(version.startswith(f"{site.settings.compiler.version}.") for version in site.facts.compilers.values())
    remedy = (
        "" if fits else f"`invoke provision` installs gcc-{site.settings.compiler.version} and makes it the default."
    )
    yield Finding(OK if fits else WARNING, "compilers", compilers, remedy)
    yield Finding(OK, "environment", f"{site.environment}, by {site.manager}: {site.manager_reason}")
    if site.manager == "conda":
        yield from _installer(site)
    try:
        yield Finding(OK, "vLLM", f"{', '.join(requirements(site))} with Python {site.python}")
    except ProvisioningError as error:
        yield Finding(ERROR, "vLLM", error.message, error.remedy)


def _installer(site: Site) -> Iterator[Finding]:
    try:
        _ = site.installer
    except IncompatibleError as error:
        yield Finding(ERROR, "Miniconda", error.message, error.remedy)


def _rights(site: Site) -> Iterator[Finding]:
    texts = {"none": "no need of sudo", "free": "sudo, without a password", "password": "sudo, with a password"}
    if text := texts.get(site.facts.sudo):
        yield Finding(OK, "rights", f"{site.facts.user}: {text}")
    else:
        why, remedy = NO_SUDO[site.facts.sudo]
        yield Finding(ERROR, "rights", f"{site.facts.user}: {why}", remedy)
    yield Finding(OK, "account", f"{site.account} serves, with home {site.home}")


def _clock(output: str) -> Finding:
    skew = int(output.strip()) - int(time.time())
    if abs(skew) < CLOCK_SKEW:
        return Finding(OK, "clock", "agrees with this machine's")
    return Finding(
        ERROR,
        "clock",
        f"{abs(skew)} s {'ahead of' if skew > 0 else 'behind'} this machine's",
        "Certificates will be refused: timedatectl set-ntp true",
    )


def _packages(site: Site, output: str) -> Finding:
    if "no-apt" in output:
        return Finding(ERROR, "packages", "there is no apt-get", "Debian and Ubuntu are supported.")
    if output.strip():
        return Finding(WARNING, "packages", "dpkg was interrupted", "`invoke provision` finishes what it began.")
    return Finding(
        OK, "packages", f"apt, {'its own mirrors' if site.settings.apt.mirror == 'none' else site.settings.apt.mirror}"
    )


def show(entries: Sequence[HostEntry], results: Sequence[list[Finding] | ProvisioningError]) -> ExitCode:
    """Print a table for each host. An error in it is an error of the command."""
    screen = console()
    failures = []
    for entry, result in zip(entries, results, strict=True):
        if isinstance(result, ProvisioningError):
            Report().error(result, entry.name)
            failures.append(result.exit_code)
            continue
        screen.print(entry.name, style="bold")
        table = Table(box=None, pad_edge=True, show_header=False)
        for finding in result:
            if finding.level == OK and VERBOSITY.get() == QUIET:
                continue
            level = Text(finding.level, STYLES[finding.level])
            table.add_row(level, finding.topic, Text(finding.text))
            if finding.remedy:
                table.add_row("", "", Text(f"→ {finding.remedy}"), style="cyan")
        print_table(screen, table)
        if any(finding.level == ERROR for finding in result):
            failures.append(ExitCode.FAILED)
    return common_code(failures)

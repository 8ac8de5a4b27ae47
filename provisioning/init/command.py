"""The task `init`, from its flags to the inventory and what to do with it next."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke.context import Context

from provisioning import doctor, fleet, inventory, streams
from provisioning.errors import ConfigurationError, ExitCode, ProvisioningError
from provisioning.findings import OK
from provisioning.init import place, proposal, questions, text
from provisioning.init.ansible import from_ansible
from provisioning.init.found import Found, named
from provisioning.init.looking import Seen, look
from provisioning.init.place import Draft
from provisioning.init.ssh_names import from_ssh_config
from provisioning.inventory_file import PLACES, label_of
from provisioning.local_path import local_path
from provisioning.report import Report
from provisioning.screen import console

Looked = dict[str, Seen | ProvisioningError]
ONCE = {"connect_attempts": 1}
"""A host that is off is told at once; nothing waits for it yet."""


@dataclass(frozen=True)
class Flags:
    """What was said on the command line; "" for nothing. `asks`: what was not is asked for."""

    hosts: str
    device: str
    model: str
    mirrors: str
    ssh_config: str | bool
    ansible: str
    asks: bool

    def check(self) -> None:
        """Raise ConfigurationError for a value that is none, and for hosts from two places."""
        told = ((questions.DEVICE, self.device), (questions.MODEL, self.model), (questions.MIRROR, self.mirrors))
        for question, value in told:
            if value:
                question.refuse(value)
        if sum(map(bool, (self.hosts, self.ssh_config, self.ansible))) > 1:
            raise ConfigurationError("--hosts, --from-ssh-config and --from-ansible exclude each other")


def init(ctx: Context, output: str, *, yes: bool, **told: Any) -> ExitCode:
    """Ask, look, write. With Invoke's --dry, the text is printed and no file is left."""
    flags = Flags(**told, asks=sys.stdin.isatty() and not yes)
    flags.check()
    target = place.choose(output)
    streams.end_as_by_ctrl_c()  # and leave no draft
    found = _found(flags)
    for note in found.notes:
        console().print(note, style="yellow")
    with place.draft(target) as draft:
        looked = _look(draft, found)
        written = text.inventory(decided(flags, found, looked))
        draft.write(written)
        _examine(draft, looked)
        if ctx.config.run.dry:
            console().print(f"{written}would write {label_of(target)}")
            return ExitCode.OK
        draft.put()
    console().print(f"wrote {label_of(target)}", style="green")
    _say_what_is_next(target)
    return ExitCode.OK


def _found(flags: Flags) -> Found:
    if flags.ansible:
        return from_ansible(local_path(flags.ansible))
    if flags.ssh_config:
        return from_ssh_config("*" if flags.ssh_config is True else str(flags.ssh_config))
    return named(questions.HOSTS.settle(flags.hosts, "localhost", asks=flags.asks))


def _look(draft: Draft, found: Found) -> Looked:
    """Look at all hosts, and say what was seen."""
    draft.write(text.inventory(text.Draft(found)))
    entries = list(inventory.load(draft.path, ONCE).hosts.values())
    report = Report()
    looked: Looked = {}
    for entry, seen in zip(entries, fleet.on_each(entries, look), strict=True):
        looked[entry.name] = seen
        if isinstance(seen, ProvisioningError):
            report.error(seen, entry.name)
        else:
            report.line(entry.name, str(seen))
    return looked


def decided(flags: Flags, found: Found, looked: Looked) -> text.Draft:
    """Settle what was not told, by what was seen."""
    seen = {name: each for name, each in looked.items() if isinstance(each, Seen)}
    on = questions.DEVICE.settle(flags.device, "auto", asks=flags.asks)
    devices = {name: proposal.device(seen.get(name)) if on == "auto" else on for name in found.hosts}
    mirrors = _mirrors(flags, seen)
    kinds = []
    for device in dict.fromkeys(devices.values()):
        hosts = tuple(name for name in found.hosts if devices[name] == device)
        of_kind = [seen[name] for name in hosts if name in seen]
        proposed, why = proposal.model(of_kind, device)
        about = f", on {device}" if len(set(devices.values())) > 1 else ""
        model = questions.MODEL.settle(flags.model, proposed, asks=flags.asks, about=about, why=why)
        kinds.append(text.Kind(_free(device, found), hosts, proposal.settings(device, model, mirrors, of_kind)))
    remarks = {name: str(each) for name, each in seen.items()}
    failed = {name: each for name, each in looked.items() if isinstance(each, ProvisioningError)}
    warnings = {name: f"It could not be looked at: {each.message}" for name, each in failed.items()}
    return text.Draft(found, proposal.common(mirrors), tuple(kinds), remarks, warnings)


def _mirrors(flags: Flags, seen: Mapping[str, Seen]) -> str:
    told = questions.MIRROR.settle(flags.mirrors, "auto", asks=flags.asks)
    if told != "auto":
        return told
    mirrors, why = proposal.mirrors(seen.values())
    console().print(f"mirrors: {why}" if mirrors == "auto" else f"mirrors: {mirrors}, for {why}")
    return mirrors


def _free(name: str, found: Found) -> str:
    """A group's name that nothing else has."""
    taken = {*found.groups, *found.hosts}
    names = (name, *(f"{name}_{number}" for number in range(2, len(taken) + 3)))
    return next(free for free in names if free not in taken)


def _examine(draft: Draft, looked: Looked) -> None:
    """Load what was written, and say what `doctor` says against it. Raises ConfigurationError where it is not valid."""
    entries = [entry for entry in inventory.load(draft.path).select() if isinstance(looked[entry.name], Seen)]
    report = Report()
    for entry, result in zip(entries, fleet.on_each(entries, doctor.examine), strict=True):
        if isinstance(result, ProvisioningError):
            report.error(result, entry.name)
            continue
        for finding in result:
            if finding.level != OK:
                remedy = f" → {finding.remedy}" if finding.remedy else ""
                report.line(entry.name, f"{finding.level}: {finding.topic}: {finding.text}{remedy}", "yellow")


def _say_what_is_next(target: Path) -> None:
    taken = next(filter(Path.exists, PLACES), None)
    option = "" if taken and taken.samefile(target) else f" --inventory {shlex.quote(label_of(target))}"
    for task, words in (("doctor", "what would go wrong"), ("plan", "what would change"), ("up", "do it")):
        console().print(f"  → invoke {task}{option}  # {words}", style="cyan")

"""A command typed again: hosts are asked what they were asked the last time, when nothing was to do.

What a command does follows from what it reads (this program, the inventory, the environment) and from what the hosts
answer. Where all of that is what it was, so is the result, and neither settings nor steps need be made again: to import
what makes them takes longer than the hosts do. Anything else, and the command goes its whole way.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from provisioning import ahead, becoming, reads
from provisioning.accounts import network_environment
from provisioning.data_folder import data_folder
from provisioning.errors import ExitCode
from provisioning.facts import Asked
from provisioning.host import Host
from provisioning.masking import masked
from provisioning.outcome import Outcome
from provisioning.parallel import all_succeed
from provisioning.probe import OnDisk, Probe
from provisioning.profile import PROFILE
from provisioning.transport.base import Transport
from provisioning.transport.local import LocalTransport
from provisioning.verbosity import VERBOSITY
from provisioning.whole_file import write_whole

if TYPE_CHECKING:
    from invoke.context import Context

    from provisioning.inventory import HostEntry

FOLDER = "nothing-to-do"
PATIENCE = 3.0
"""Seconds without an answer of any host, after which the whole way is gone: it knows how to wait."""
_OF_THE_TERMINAL = {"_", "COLUMNS", "LINES", "OLDPWD", "SHLVL", "TERM", "WINDOWID"}
"""Variables that decide nothing, and differ from one terminal to the next."""


def _hash(*told: object) -> str:
    return hashlib.sha256(repr(told).encode(errors="surrogateescape")).hexdigest()


def converge(ctx: Context, task: str, path: str, hosts: str, **options: Any) -> ExitCode:
    """Do as `commands.converge` does: by the short way, where it leads to the same end."""
    # What is to be done once more is no question of what hosts answer.
    if ctx.config.run.dry or options.get("verify") or options.get("retry_failed"):
        return _whole_way(ctx, task, path, hosts, **options)
    memory = Memory(path, task, hosts, options)
    if memory.is_as_it_was():
        return ExitCode.OK
    memory.begin()
    return _whole_way(ctx, task, path, hosts, **options, remember=memory.end)


def _whole_way(*arguments: Any, **options: Any) -> ExitCode:
    from provisioning import commands

    return commands.converge(*arguments, **options)


class Memory:
    """What is remembered of one command."""

    def __init__(self, path: str, *command: Any) -> None:
        """`path` names the inventory, as a person did or not at all; `command` is all else that was typed."""
        self._path = path
        name = _hash(os.getcwd(), path, command, VERBOSITY.get())[:32]
        self._file = data_folder(FOLDER) / f"{name}.json"
        self._environment = _hash(
            sorted(each for each in os.environ.items() if each[0] not in _OF_THE_TERMINAL), os.geteuid()
        )
        self._began = time.time_ns()
        self._reads: reads.Reads | None = None

    def is_as_it_was(self) -> bool:
        """Whether all that is read is as it was, and every host answers as it did; says so, if it is."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            found: Any = json.loads(self._file.read_text("utf-8"))
            if found["environment"] == self._environment and reads.state(found["paths"]).digest == found["read"]:
                PROFILE.mark("hosts")
                if any(host["target"] for host in found["hosts"]):
                    import fabric  # noqa: F401 - once, before many threads would wait for one another to do it
                if all_succeed(_answers_as_it_did, found["hosts"], PATIENCE):
                    _say([Outcome(host["name"]) for host in found["hosts"]], found["lines"])
                    return True
        return False

    def begin(self) -> None:
        """Forget the last time, and take note of what is read from now on."""
        with suppress(OSError):
            self._file.unlink()
        self._reads = reads.Reads()

    def end(self, entries: Sequence[HostEntry], outcomes: Sequence[Outcome], lines: Sequence[str]) -> None:
        """Remember a run that found nothing to do, and said these lines in the end."""
        looked = {outcome.host: outcome.looked for outcome in outcomes if outcome.status == "ok"}
        hosts = [_told(entry, looked.get(entry.name)) for entry in entries]
        text = json.dumps(hosts)
        # A script may hold the password of a mirror: it is not written down a second time.
        if self._reads is None or not all(hosts) or masked(text) != text:
            return
        paths = self._paths(self._reads)
        state = reads.state(paths)
        if state.changed_at >= self._began:
            return  # perhaps after it was read
        record: dict[str, Any] = {"environment": self._environment, "paths": paths, "read": state.digest}
        record |= {"hosts": hosts, "lines": list(lines)}
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._file, json.dumps(record), mode=0o600)

    def _paths(self, read: reads.Reads) -> list[str]:
        """What the result depends on: all that was read but own records, and the places of an inventory's files."""
        from provisioning.inventory_file import PLACES, inventory_file

        beside = (inventory_file(self._path).parent / name for name in ("group_vars", "host_vars"))
        own = (str(data_folder(FOLDER)), str(data_folder("facts")))
        paths = {os.path.abspath(place) for place in (*PLACES, *beside)}
        return sorted(paths | {path for path in read.paths() if not path.startswith(own)})


def _told(entry: HostEntry, looked: tuple[ahead.Question, str] | None) -> dict[str, Any]:
    """A host as it is remembered; nothing where it cannot be: what a password opens is not written down."""
    if looked is None or entry.offline or looked[0].asked.prefix != becoming.check(None):
        return {}
    if looked[0].sudo == "password":  # typed by a person: nobody would know it the next time
        return {}
    target: dict[str, Any] | None = None
    if entry.ssh.connection != "local":
        from provisioning.fleet import target_of

        target = asdict(target_of(entry))
        if target["password"] is not None:
            return {}
    question, answers = looked
    return {
        "name": entry.name,
        "target": target,
        "look_timeout": entry.settings.look_timeout,
        "silence_timeout": entry.settings.silence_timeout,
        "facts": [asdict(each) for each in question.asked.probes],
        "sudo": question.sudo,
        "probes": [asdict(each) for each in question.probes],
        "answers": answers,
    }


def _answers_as_it_did(host: Mapping[str, Any]) -> bool:
    transport, environment = _way_to(host)
    limits = {name: host[name] for name in ("look_timeout", "silence_timeout")}
    reached = Host(host["name"], transport, environment=environment, **limits)
    asked = Asked(tuple(map(_probe, host["facts"])), becoming.check(None))
    try:
        with PROFILE.phase(host["name"], "look"):
            facts, states = ahead.Question(asked, host["sudo"], tuple(map(_probe, host["probes"]))).put(reached)
    except Exception:  # whatever it is, the whole way meets it again, and tells
        return False
    finally:
        reached.close()
    return bool(facts and states) and ahead.digest([*facts, *states]) == host["answers"]


def _probe(told: Mapping[str, Any]) -> Probe:
    return Probe(told["script"], tuple(OnDisk(**each) for each in told["unless"]), told["isolated"])


def _way_to(host: Mapping[str, Any]) -> tuple[Transport, str]:
    if host["target"] is None:
        return LocalTransport(), network_environment()
    from provisioning.ssh_arguments import Proxy
    from provisioning.transport.connect import open_connection
    from provisioning.transport.ssh import SshTransport
    from provisioning.transport.target import SshTarget

    proxy = Proxy(**{**host["target"]["proxy"], "jumps": tuple(host["target"]["proxy"]["jumps"])})
    target = SshTarget(**{**host["target"], "proxy": proxy})

    def connect() -> Any:
        with PROFILE.phase(host["name"], "connect"):
            return open_connection(target)

    return SshTransport(host["name"], connect, reconnect=connect), ""


def _say(outcomes: Sequence[Outcome], lines: Sequence[str]) -> None:
    from provisioning.report import Report

    report = Report()
    report.summary(outcomes, planned=False)
    for line in lines:
        report.screen.print(line, style="green")

"""Looking in one round trip: what a host is decides what is looked at, and it mostly is what it was the last time.

So what would be looked at if it were goes along with the question what it is. Once that is known, what is to be looked
at is worked out anew: answers count where they are to those very questions, and otherwise it is asked again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from provisioning import probe
from provisioning.data_folder import data_folder
from provisioning.errors import ProbeError
from provisioning.facts import Asked
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.whole_file import write_whole

Questions = Callable[[Sequence[probe.Probed]], "tuple[str, list[str]] | None"]
"""From what answered the questions for facts: how root is become, and the probes that follow; None if they do not."""


class Ahead:
    """Asks one host, once: first for its facts, then what follows from them. Both work as `probe.ask` does."""

    def __init__(self, entry: HostEntry, follow: Questions) -> None:
        self._follow = follow
        self._record = _Record(entry)
        self._known: dict[str, probe.Probed] = {}

    def facts(self, host: Host, asked: Asked) -> list[probe.Probed]:
        """Ask for facts, and along with them what followed from the last ones."""
        before = self._record.read(asked.probes)
        following = self._follow(before) if before else None
        answers = self._together(host, asked, *following) if following else None
        answers = answers or probe.ask(host, asked.probes, as_root=False, prefix=asked.prefix)
        if not any(answer.exit_code for answer in answers):
            self._record.write(asked.probes, answers)
        return answers

    def _together(self, host: Host, asked: Asked, sudo: str, probes: Sequence[str]) -> list[probe.Probed] | None:
        """Ask both, and keep what answered the second; None where the first was not answered."""
        tags, limit = (probe.new_tag(), probe.new_tag()), host.look_timeout
        first = asked.prefix + probe.together(asked.probes, tags[0], limit)
        script = f"{first}\n{host.inner(probe.together(probes, tags[1], limit), sudo)}"
        output = host.run(script, as_root=False, check=False).stdout
        with suppress(ProbeError):
            found = probe.parse(output, tags[1], len(probes), limit)
            self._known = {text: answer for text, answer in zip(probes, found, strict=True) if not answer.exit_code}
        with suppress(ProbeError):
            return probe.parse(output, tags[0], len(asked.probes), limit)
        return None

    def ask(self, host: Host, probes: Sequence[str]) -> list[probe.Probed]:
        """Give the answers that are known already, if every one of them is; else ask."""
        known, self._known = self._known, {}
        return [known[each] for each in probes] if known.keys() >= set(probes) else probe.ask(host, probes)


class _Record:
    """What a host answered when it was last asked for facts: on this machine, for its own user."""

    def __init__(self, entry: HostEntry) -> None:
        reached = (entry.name, entry.ssh.connection, entry.ssh.address, entry.ssh.port, entry.ssh.user)
        name = hashlib.sha256(repr(reached).encode(errors="surrogateescape")).hexdigest()[:32]
        self._file = data_folder("facts") / f"{name}.json"

    def read(self, questions: Sequence[str]) -> list[probe.Probed]:
        """The answers to these questions; none where there is no record of them."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            found: Any = json.loads(self._file.read_text("utf-8"))
            if found["questions"] == _digest(questions):
                return [probe.Probed(0, str(answer)) for answer in found["answers"]]
        return []

    def write(self, questions: Sequence[str], answers: Sequence[probe.Probed]) -> None:
        """Note what was answered. Where that cannot be written the next look takes a round trip more."""
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            text = json.dumps({"questions": _digest(questions), "answers": [answer.output for answer in answers]})
            write_whole(self._file, text, mode=0o600)


def _digest(questions: Sequence[str]) -> str:
    return hashlib.sha256(repr(list(questions)).encode()).hexdigest()

"""Looking in one round trip: what a host is decides what is looked at, and it mostly is what it was the last time.

So what would be looked at if it were goes along with the question what it is. Once that is known, what is to be looked
at is worked out anew: answers count where they are to those very questions, and otherwise it is asked again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from provisioning import probe
from provisioning.data_folder import data_folder
from provisioning.errors import ProbeError
from provisioning.facts import Asked
from provisioning.host import Host
from provisioning.whole_file import write_whole

if TYPE_CHECKING:
    from provisioning.inventory import HostEntry

Questions = Callable[[Sequence[probe.Probed]], "tuple[str, list[probe.Probe]] | None"]
"""From what answered the questions for facts: how root is become, and the probes that follow; None if they do not."""


@dataclass(frozen=True)
class Question:
    """What a look asks a host: what it is, as the connecting user, and then its state, as root."""

    asked: Asked
    sudo: str
    """How root is become, as a host says it (`Host.sudo`)."""
    probes: tuple[probe.Probe, ...]

    def put(self, host: Host) -> tuple[list[probe.Probed], list[probe.Probed]]:
        """Ask both in one round trip. What was not answered is empty: it went wrong."""
        parts = [self.asked.probes, self.probes]
        if self.sudo == "none":  # one shell does for both
            parts = [parts[0] + parts[1]]
        tags, limit = [probe.new_tag() for _ in parts], host.look_timeout
        first, *second = (probe.together(part, tag) for part, tag in zip(parts, tags, strict=True))
        script = "\n".join([self.asked.prefix + first, *(host.inner(each, self.sudo, limit) for each in second)])
        output = host.run(script, as_root=False, limit=limit * len(parts), check=False).stdout
        found: list[list[probe.Probed]] = []
        for tag, part in zip(tags, parts, strict=True):
            try:
                found.append(probe.parse(output, tag, len(part), limit))
            except ProbeError:
                found.append([])
        count = len(self.asked.probes)
        return (found[0], found[1]) if len(found) == 2 else (found[0][:count], found[0][count:])


class Ahead:
    """Asks one host, once: first for its facts, then what follows from them. Both work as `probe.ask` does."""

    def __init__(self, entry: HostEntry, follow: Questions) -> None:
        self.looked: tuple[Question, str] | None = None
        """All that was asked, be it in one round trip or in two, and the digest of the answers."""
        self._facts: tuple[Asked, Sequence[probe.Probed]] | None = None
        self._follow = follow
        self._record = _Record(entry)
        self._known: dict[probe.Probe, probe.Probed] = {}

    def facts(self, host: Host, asked: Asked) -> list[probe.Probed]:
        """Ask for facts, and along with them what followed from the last ones."""
        before = self._record.read(asked.probes)
        following = self._follow(before) if before else None
        question = Question(_known(asked, before), following[0], tuple(following[1])) if following else None
        answers = self._together(host, question) if question else []
        answers = answers or probe.ask(host, asked.probes, as_root=False, prefix=asked.prefix)
        if not any(answer.exit_code for answer in answers):
            self._record.write(asked.probes, answers)
        self._facts = _known(asked, answers), answers
        return answers

    def _together(self, host: Host, question: Question) -> list[probe.Probed]:
        """Ask both, and keep what answered the second; nothing where the first was not answered."""
        facts, states = question.put(host)
        answered = zip(question.probes, states, strict=True) if states else ()
        self._known = {each: answer for each, answer in answered if not answer.exit_code}
        return facts

    def ask(self, host: Host, probes: Sequence[probe.Probe]) -> list[probe.Probed]:
        """Give the answers that are known already, if every one of them is; else ask."""
        known, self._known = self._known, {}
        answers = [known[each] for each in probes] if known.keys() >= set(probes) else probe.ask(host, probes)
        if self._facts:
            asked, facts = self._facts
            known_probes = tuple(_knowing(probes, answers, _keys(facts)))
            self.looked = Question(asked, host.sudo, known_probes), digest([*facts, *answers])
        return answers


def _keys(facts: Sequence[probe.Probed]) -> dict[str, str]:
    """What decides the answers of some probes (`Probe.while_same`): the first fact names them, a line each."""
    return dict(re.findall(r"^(\w+)=(.+)$", facts[0].output, re.MULTILINE)) if facts else {}


def _knowing(
    probes: Sequence[probe.Probe], answers: Sequence[probe.Probed], keys: dict[str, str]
) -> Iterator[probe.Probe]:
    """The same questions, of which some need no look while that is the same which decides their answers."""
    for each, answer in zip(probes, answers, strict=True):
        yield each.known(keys[each.while_same], answer.output) if keys.get(each.while_same) else each


def _known(asked: Asked, answers: Sequence[probe.Probed]) -> Asked:
    return replace(asked, probes=tuple(_knowing(asked.probes, answers, _keys(answers))) if answers else asked.probes)


_FLEETING = re.compile(r"^(?:MemAvailable:|hardware=|software=|accounts=|services=).*$", re.MULTILINE)
"""What decides nothing that a host is converged to: memory that is another at every look, and what answers hung on."""


def digest(answers: Sequence[probe.Probed]) -> str:
    """What tells whether a host answers as it did."""
    said = [(answer.exit_code, _FLEETING.sub("", answer.output)) for answer in answers]
    return hashlib.sha256(repr(said).encode(errors="surrogateescape")).hexdigest()


class _Record:
    """What a host answered when it was last asked for facts: on this machine, for its own user."""

    def __init__(self, entry: HostEntry) -> None:
        reached = (entry.name, entry.ssh.connection, entry.ssh.address, entry.ssh.port, entry.ssh.user)
        name = hashlib.sha256(repr(reached).encode(errors="surrogateescape")).hexdigest()[:32]
        self._file = data_folder("facts") / f"{name}.json"

    def read(self, questions: Sequence[probe.Probe]) -> list[probe.Probed]:
        """The answers to these questions; none where there is no record of them."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            found: Any = json.loads(self._file.read_text("utf-8"))
            if found["questions"] == _digest(questions):
                return [probe.Probed(0, str(answer)) for answer in found["answers"]]
        return []

    def write(self, questions: Sequence[probe.Probe], answers: Sequence[probe.Probed]) -> None:
        """Note what was answered. Where that cannot be written the next look takes a round trip more."""
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            text = json.dumps({"questions": _digest(questions), "answers": [answer.output for answer in answers]})
            write_whole(self._file, text, mode=0o600)


def _digest(questions: Sequence[probe.Probe]) -> str:
    return hashlib.sha256(repr(list(questions)).encode()).hexdigest()

"""The task `infer`: a model answers one question, or every line of a file, on a host and without a server."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke.context import Context

from provisioning import fleet, sending
from provisioning.asking import Askable, askable, question
from provisioning.clients.dialogue import Parameters
from provisioning.commands import load
from provisioning.converge import survey
from provisioning.errors import ConfigurationError, ExitCode, Interrupted
from provisioning.host import Host
from provisioning.inference import ending
from provisioning.inference.ending import Ending
from provisioning.inference.files import Files, Run, files
from provisioning.inference.on_host import LINES, RESULT, Inference, job_name
from provisioning.inventory import HostEntry
from provisioning.outcome import Outcome
from provisioning.progress import Sending
from provisioning.report import Report
from provisioning.resources.base import Tell
from provisioning.screen import to_output
from provisioning.transfer import Said
from provisioning.wheel_store import sha256_of
from provisioning.with_model import with_model

BATCH = {"cpu": 16, "cuda": 256}
"""Lines that are asked at once, and saved together. As many as keep a GPU busy; on a CPU fewer, for at a few hundred
tokens a second a person who waits wants to see that it moves, and a kill should not cost many minutes."""


@dataclass(frozen=True)
class Wanted:
    """Whom to ask, and how."""

    asked: Askable
    model: str
    """What was given as --model."""
    system: str
    sampling: dict[str, Any]
    batch: int

    @property
    def task(self) -> dict[str, Any]:
        """What the host's program is told of every question."""
        return {"system": self.system, "sampling": self.sampling}

    def key(self, input: Path) -> str:
        """Hash of an input and of all that the answers depend on, the host included."""
        entry, service = self.asked.entry, self.asked.service
        settings = [service.model_dump_json(), entry.settings.models[service.model].model_dump_json()]
        parts = [sha256_of(input), entry.name, *settings, json.dumps(self.task, sort_keys=True)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def infer(
    ctx: Context,
    path: str,
    hosts: str,
    *,
    prompt: str = "",
    input: str = "",
    output: str = "",
    service: str = "",
    model: str = "",
    system: str = "",
    batch: int = 0,
    stop: bool = False,
    **sampling: str,
) -> ExitCode:
    """Answer with the service's model, or another one (`model`), as its server would; `stop` ends what goes on."""
    if not stop:
        _require_one(prompt, input, output)
    parameters = Parameters()
    for name, value in sampling.items():
        parameters = parameters.changed(name, value)
    asked = _asked(load(path, hosts), service, model)
    if stop:
        ended = ending.stop(asked, *(job_name(asked.service.name, single=single) for single in (True, False)))
        print(f"{asked.name}: {'stopped' if ended else 'nothing to do: nothing is answered there'}")
        return ExitCode.OK
    device = asked.entry.settings.build.device
    wanted = Wanted(asked, model, system, parameters.told(), batch or BATCH[device])
    dry = bool(ctx.config.run.dry)
    if input:
        with files(input, output) as its:
            return _file(wanted, its, dry=dry)
    return _prompt(wanted, question(prompt, 'invoke infer "Why is the sky blue?"'), dry=dry)


def _require_one(prompt: str, input: str, output: str) -> None:
    if bool(input) != bool(output) or (input and prompt):
        raise ConfigurationError(
            "what is asked is either a question, or --input with --output",
            remedy="For instance: invoke infer --input questions.jsonl --output answers.jsonl",
        )


def _asked(entries: list[HostEntry], service: str, model: str) -> Askable:
    """The first service of the name that the chosen hosts have."""
    found = askable([with_model(entry, model, service) for entry in entries] if model else entries, service)
    if len({each.entry.name for each in found}) > 1:
        print(f"asking {found[0].entry.name} (choose with --hosts)", file=sys.stderr)
    return found[0]


def _prompt(wanted: Wanted, prompt: str, *, dry: bool) -> ExitCode:
    """Print the answer, and nothing else, to standard output."""
    log = _on_host(
        wanted,
        "one question",
        lambda host, inference, tell: inference.run(host, {**wanted.task, "prompt": prompt}, tell),
        single=True,
        dry=dry,
    )
    if not dry:
        result = next(line for line in log.splitlines() if line.startswith(RESULT))
        answer = json.loads(result.removeprefix(RESULT))
        if "error" in answer:
            raise ConfigurationError(f"the question cannot be answered: {answer['error']}")
        print(to_output(answer["answer"]))
    return ExitCode.OK


def _file(wanted: Wanted, its: Files, *, dry: bool) -> ExitCode:
    its.require()
    key = wanted.key(its.input)
    if its.finished(key):
        print(f"nothing to do: {its.output} has the answers", file=sys.stderr)
        its.conclude()
        return ExitCode.OK
    asked = f"{wanted.asked.name}, {wanted.asked.service.model}"
    run = Run(key=key, input=its.name, asked=asked)

    def work(host: Host, inference: Inference, tell: Tell) -> str:
        folder = inference.folder(key)
        if not inference.make_folder(host, key):
            tell("sending the lines")
            _send(host, its, f"{folder}/{LINES}", inference.site.account, tell)
        inference.run(host, {**wanted.task, "folder": folder, "batch": wanted.batch}, tell)
        tell("fetching the results")
        with its.taking(run) as take:
            inference.fetch(host, key, take)
        inference.clear(host, key)
        return ""

    _on_host(wanted, f"the lines of {its.name}", work, single=False, dry=dry)
    if not dry:
        print(f"{its.conclude().answered} answers are in {its.output}", file=sys.stderr)
    return ExitCode.OK


def _send(host: Host, its: Files, path: str, account: str, tell: Tell) -> None:
    length = its.input.stat().st_size
    with Sending(tell, length).file(its.name, length) as on_sent:
        sending.send(host, its.input, path, account=account, on_sent=on_sent)


def _on_host(
    wanted: Wanted, what: str, work: Callable[[Host, Inference, Tell], str], *, single: bool, dry: bool
) -> str:
    """Look whether it can be done, and do it; give what `work` gives. Progress goes to standard error."""
    report, asked, given = Report(stderr=True), wanted.asked, [""]
    watched = Ending(asked, job_name(asked.service.name, single=single))

    def on_host(host: Host, entry: HostEntry, outcome: Outcome) -> Outcome:
        def tell(said: Said) -> None:
            watched.check()
            report.tell(host.name, said)

        inference = Inference(survey(host, entry), asked.service)
        inference.require(host, wanted.model)
        words = f"answer {what} with {asked.service.model}, as {asked.service.name} would"
        if dry:
            report.line(host.name, f"would {words}", "yellow")
            return outcome
        with report.change(host.name, "infer", asked.service.name, words), watched.guarding():
            inference.prepare(host, tell)
            given[0] = work(host, inference, tell)
        return outcome

    try:
        (outcome,) = fleet.outcomes([asked.entry], on_host, report)
    except KeyboardInterrupt:
        saved = "" if single else "The same command goes on behind the last line that was saved."
        raise Interrupted(*filter(None, (watched.end(), saved))) from None
    if outcome.error:
        raise outcome.error
    return given[0]

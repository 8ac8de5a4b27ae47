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

from provisioning import fleet, job, sending
from provisioning.asking import Askable, askable, question
from provisioning.clients.dialogue import Parameters
from provisioning.commands import load
from provisioning.converge import survey
from provisioning.errors import ConfigurationError, ExitCode
from provisioning.host import Host
from provisioning.inference.files import Files, Run
from provisioning.inference.on_host import RESULT, Inference, job_name
from provisioning.inventory import HostEntry
from provisioning.local_path import local_path
from provisioning.outcome import Outcome
from provisioning.report import Report
from provisioning.resources.base import Tell
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
        return _stop(asked)
    device = asked.entry.settings.build.device
    wanted = Wanted(asked, model, system, parameters.told(), batch or BATCH[device])
    dry = bool(ctx.config.run.dry)
    if input:
        return _file(wanted, Files(local_path(input), local_path(output)), dry=dry)
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
        dry=dry,
    )
    if not dry:
        result = next(line for line in log.splitlines() if line.startswith(RESULT))
        answer = json.loads(result.removeprefix(RESULT))
        if "error" in answer:
            raise ConfigurationError(f"the question cannot be answered: {answer['error']}")
        print(answer["answer"])
    return ExitCode.OK


def _file(wanted: Wanted, files: Files, *, dry: bool) -> ExitCode:
    files.require()
    key = wanted.key(files.input)
    if files.finished(key):
        print(f"nothing to do: {files.output} has the answers", file=sys.stderr)
        files.conclude()
        return ExitCode.OK
    asked = f"{wanted.asked.name}, {wanted.asked.service.model}"
    run = Run(key=key, input=str(files.input), asked=asked)

    def work(host: Host, inference: Inference, tell: Tell) -> str:
        inference.make_folder(host, key)
        folder = inference.folder(key)
        tell("sending the lines")
        sending.send(host, files.input, f"{folder}/input.jsonl", account=inference.site.account)
        inference.run(host, {**wanted.task, "folder": folder, "batch": wanted.batch}, tell)
        tell("fetching the results")
        with files.taking(run) as take:
            inference.fetch(host, key, take)
        inference.clear(host, key)
        return ""

    _on_host(wanted, f"the lines of {files.input}", work, dry=dry)
    if not dry:
        print(f"{files.conclude().answered} answers are in {files.output}", file=sys.stderr)
    return ExitCode.OK


def _on_host(wanted: Wanted, what: str, work: Callable[[Host, Inference, Tell], str], *, dry: bool) -> str:
    """Look whether it can be done, and do it; give what `work` gives. Progress goes to standard error."""
    report, asked, given = Report(stderr=True), wanted.asked, [""]

    def on_host(host: Host, entry: HostEntry, outcome: Outcome) -> Outcome:
        inference = Inference(survey(host, entry), asked.service)
        inference.require(host, wanted.model)
        words = f"answer {what} with {asked.service.model}, as {asked.service.name} would"
        if dry:
            report.line(host.name, f"would {words}", "yellow")
            return outcome
        with report.change(host.name, "infer", asked.service.name, words):
            given[0] = work(host, inference, lambda said: report.tell(host.name, said))
        return outcome

    try:
        (outcome,) = fleet.outcomes([asked.entry], on_host, report)
    except KeyboardInterrupt as interrupted:
        words = f"to end what goes on there: invoke infer --stop --hosts {asked.entry.name}"
        raise KeyboardInterrupt(*interrupted.args, f"{words} --service {asked.service.name}") from None
    if outcome.error:
        raise outcome.error
    return given[0]


def _stop(asked: Askable) -> ExitCode:
    """End what answers on the host; what was saved is gone on with by the same command."""
    host = fleet.open_host(asked.entry)
    try:
        stopped = [job.stop(host, job_name(asked.service.name, single=single)) for single in (True, False)]
    finally:
        host.close()
    print(f"{asked.name}: {'stopped' if any(stopped) else 'nothing to do: nothing is answered there'}")
    return ExitCode.OK

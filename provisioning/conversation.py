"""Asking services questions: the task `chat`, and what `up` asks at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from provisioning.asking import Askable, OpenHosts, askable
from provisioning.asking import question as asked_for
from provisioning.clients import chat as client
from provisioning.commands import load
from provisioning.errors import ExitCode, ProvisioningError
from provisioning.given_secrets import require_api_keys
from provisioning.inventory import HostEntry
from provisioning.outcome import DONE, Outcome
from provisioning.screen import console, harmless, to_output
from provisioning.server_environment import url

FIRST_QUESTION = "天空为什么是蓝色的？"


def chat(path: str, hosts: str, service: str, question: str, max_tokens: int) -> ExitCode:
    """Ask one service of one host, and stream its answer to standard output.

    Without a question it is a conversation, at a terminal; elsewhere, and for `-`, the question is standard input.
    """
    talking = not question and sys.stdin.isatty() and sys.stdout.isatty()
    if not talking:
        question = asked_for(question, 'invoke chat "Why is the sky blue?"')
    entries = load(path, hosts)
    found = askable(entries, service)
    first = found[0]
    require_api_keys([first.entry], first.service.name)
    if talking:
        return _talk([first, *(each for each in askable(entries) if each != first)], max_tokens)
    if len({each.entry.name for each in found}) > 1:
        print(f"asking {first.entry.name} (choose with --hosts)", file=sys.stderr)
    said = False
    try:
        for text in _answer(first, question, max_tokens):
            said = True
            print(to_output(text), end="", flush=True)
    except ProvisioningError:
        if said:
            print()  # what is wrong is not to stand behind half an answer
        raise
    print()
    return ExitCode.OK


def _talk(services: Sequence[Askable], max_tokens: int) -> ExitCode:
    """Talk until the person leaves; what fails meanwhile is shown, and the conversation goes on."""
    from provisioning.clients import slash
    from provisioning.clients.dialogue import Dialogue, Parameters
    from provisioning.clients.prompt import Prompt
    from provisioning.clients.talk import Talk

    with OpenHosts(patient=False) as hosts:  # somebody waits, who may ask again
        talk = Talk(services, hosts, Dialogue(parameters=Parameters(max_tokens=max_tokens)))
        prompt = Prompt(lambda: slash.completions(talk))
        talk.say(f"asking {talk.dialogue.model} ({talk.asked.name}); /help says what else there is")
        while (text := prompt.read(talk.dialogue.model)) is not None:
            try:
                if text.startswith("/"):
                    if not slash.obey(talk, text):
                        break
                elif text.strip():
                    talk.ask(text.strip())
            except KeyboardInterrupt:
                print()
            except ProvisioningError as error:
                talk.fail(error)
    return ExitCode.OK


def _answer(asked: Askable, question: str, max_tokens: int) -> Iterator[str]:
    with OpenHosts() as hosts:
        yield from client.answer(hosts.of(asked), asked.service, question, max_tokens)


def introduce(entries: Sequence[HostEntry], outcomes: Sequence[Outcome]) -> list[str]:
    """Say what is served where, and give those lines.

    Each host that was changed answers a question: the proof that a person believes.
    """
    screen, lines = console(), list[str]()
    # Who worked for others came first, so the order is another one.
    by_host = {outcome.host: outcome for outcome in outcomes}
    for entry in entries:
        outcome = by_host[entry.name]
        if outcome.status not in DONE or not entry.settings.services:
            continue
        for asked in askable([entry]):
            where = f"{url(asked.service)}/v1"
            lines.append(f"{entry.name}: {asked.service.name} serves {asked.service.model} at {where}")
            screen.print(lines[-1], style="green")
            if outcome.status == "changed":
                screen.print(f"  ? {FIRST_QUESTION}\n  ", end="")
                for text in _answer(asked, FIRST_QUESTION, 200):
                    screen.print(harmless(text), end="")
                screen.print()
    return lines

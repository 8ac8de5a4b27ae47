"""The commands of a conversation: `/model`, `/system`, `/save` and the like. Each docstring is its line of `/help`."""

from __future__ import annotations

import re
import shutil
import textwrap
import time
from collections.abc import Callable, Iterator

from provisioning.asking import Askable
from provisioning.clients.dialogue import Parameters
from provisioning.clients.dialogue import load as load_dialogue
from provisioning.clients.talk import Talk
from provisioning.errors import ConfigurationError
from provisioning.local_path import local_path
from provisioning.prompts import confirm
from provisioning.spelling import did_you_mean


def help_(talk: Talk, _: str) -> None:
    """Show these lines."""
    width = max(40, shutil.get_terminal_size().columns - 1)
    lines = [f"/{name:<8} {command.__doc__}" for name, command in COMMANDS.items()]
    for line in (*lines, 'Alt-Enter begins a new line, and """ begins and ends several. Ctrl-C stops an answer.'):
        talk.say(textwrap.fill(line, width, subsequent_indent=" " * 10))


def model(talk: Talk, name: str) -> None:
    """[NAME] Ask another service (HOST/SERVICE) or model from now on; without a name, list them."""
    if not name:
        for line in _listed(talk):
            talk.say(line)
        return
    found = _meant(talk, name)
    if found:
        talk.turn_to(found[0])
    elif name in talk.models():
        talk.turn_to(talk.asked, name)
    else:
        known = [*(each.name for each in talk.services), *talk.models()]
        raise ConfigurationError(f"there is no service or model {name!r}", cause=did_you_mean(name, known))
    talk.say(f"asking {talk.dialogue.model} ({talk.asked.name})")


def _listed(talk: Talk) -> Iterator[str]:
    """The services, and then the other models of the present one: where it is down, others to turn to are known."""
    yield from (f"{' *'[each is talk.asked]} {each.name:<24} {each.service.model}" for each in talk.services)
    yield from (f"  {talk.asked.name:<24} {name}" for name in talk.models() if name != talk.asked.service.model)


def _meant(talk: Talk, name: str) -> list[Askable]:
    """The service that a name means: HOST/SERVICE, else a service's name, else its model's, if one alone has it."""
    called: tuple[Callable[[Askable], str], ...] = (
        lambda each: each.name,
        lambda each: each.service.name,
        lambda each: each.service.model,
    )
    for its_name in called:
        found = [each for each in talk.services if its_name(each) == name]
        if len(found) > 1:
            raise ConfigurationError(
                f"{name!r} is on several hosts", cause=f"Say which: {', '.join(each.name for each in found)}."
            )
        if found:
            return found
    return []


def system(talk: Talk, text: str) -> None:
    """[TEXT] Tell the model how to behave; without a text, show it; with "" there is none."""
    if text:
        talk.dialogue.system = "" if text == '""' else text
    talk.say(f"system: {talk.dialogue.system}" if talk.dialogue.system else "There is no system message.")


def set_(talk: Talk, text: str) -> None:
    """[NAME VALUE] Change a parameter (temperature 0.7); without a value, its preset; without a name, show them."""
    name, _, value = re.sub(r"\s*=\s*|\s+", " ", text).partition(" ")
    if name:
        talk.dialogue.parameters = talk.dialogue.parameters.changed(name, value)
    talk.say(", ".join(f"{name} {value}" for name, value in talk.dialogue.parameters.told().items()))


def save(talk: Talk, name: str) -> None:
    """[FILE] Save the conversation: Markdown where the name ends in .md, else JSON."""
    path = local_path(name or time.strftime("chat-%Y%m%d-%H%M%S.json"))
    if path.exists():
        confirm(f"{path} is there already. Replace it?", yes=False)
    talk.dialogue.save(path)
    talk.say(f"saved as {path}")


def load(talk: Talk, name: str) -> None:
    """FILE Go on with a conversation that was saved as JSON, with the present service."""
    if not name:
        raise ConfigurationError("which file?", remedy="For instance: /load chat.json")
    talk.dialogue = load_dialogue(local_path(name))
    talk.turn_to(talk.asked)
    talk.say(f"{len(talk.dialogue.messages)} messages")


def clear(talk: Talk, _: str) -> None:
    """Forget what was said; the system message and the parameters stay."""
    talk.dialogue.messages.clear()
    talk.say("Forgotten.")


COMMANDS: dict[str, Callable[[Talk, str], None]] = {
    command.__name__.rstrip("_"): command for command in (help_, model, system, set_, save, load, clear)
}
LEAVE = ("bye", "exit", "quit")


def completions(talk: Talk) -> list[str]:
    """Lines that may be meant."""
    services = [f"/model {each.name}" for each in talk.services]
    return [f"/{name}" for name in (*COMMANDS, "bye")] + services + [f"/set {name}" for name in Parameters.model_fields]


def obey(talk: Talk, line: str) -> bool:
    """Do what a line that begins with / says; False where it says to leave. Raises `ConfigurationError`, in words."""
    name, _, argument = line[1:].partition(" ")
    if name in LEAVE:
        return False
    if not (command := COMMANDS.get(name)):
        raise ConfigurationError(
            f"there is no command /{name}",
            cause=did_you_mean(f"/{name}", [f"/{each}" for each in (*COMMANDS, "bye")]),
            remedy="/help lists them. A space before it makes it a question.",
        )
    command(talk, argument.strip())
    return True

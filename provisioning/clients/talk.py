"""A conversation with a service at the terminal: questions and answers; `slash.py` has its commands."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from provisioning.asking import Askable, OpenHosts
from provisioning.clients import chat
from provisioning.clients.dialogue import Dialogue
from provisioning.errors import ProvisioningError
from provisioning.report import Report
from provisioning.screen import harmless


class Talk:
    """A conversation, and the service that it is with at present."""

    def __init__(self, services: Sequence[Askable], hosts: OpenHosts, dialogue: Dialogue) -> None:
        """Begin with the first of `services`."""
        self.services = services
        self.dialogue = dialogue
        self.report = Report()
        self._hosts = hosts
        self.turn_to(services[0])

    def turn_to(self, asked: Askable, model: str = "") -> None:
        """Ask this service from now on, and this model of it."""
        self.asked = asked
        self.dialogue.service, self.dialogue.model = asked.name, model or asked.service.model

    def ask(self, question: str) -> None:
        """Show the answer as it comes. What has come is kept, also where Ctrl-C or a fault ends it."""
        said: list[str] = []
        try:
            reason = self._stream(question, said)
            if reason == "length":
                limit = self.parameters()["max_tokens"]
                self.say(f"(cut off after {limit} tokens: /set max_tokens, or ask it to go on)")
            elif not said:
                self.say("(an empty answer)")
        except KeyboardInterrupt:
            self.say("(stopped; what has come is kept)" if said else "(stopped)")
        finally:
            if said:
                self.dialogue.exchange(question, "".join(said))

    def _stream(self, question: str, said: list[str]) -> str:
        messages = [*self.dialogue.sent(), {"role": "user", "content": question}]
        reason = ""
        try:
            with chat.connected(self._hosts.of(self.asked), self.asked.service) as client:
                answer = chat.pieces(client, self.dialogue.model, messages, self.parameters())
                with closing(answer):
                    while True:
                        try:
                            piece = next(answer)
                        except StopIteration as end:
                            reason = str(end.value)
                            break
                        said.append(piece)
                        print(harmless(piece), end="", flush=True)
        finally:
            if said:
                print()
        return reason

    def parameters(self) -> dict[str, object]:
        """What is asked of the server: no longer an answer than there is room for."""
        told = self.dialogue.parameters.told()
        return {**told, "max_tokens": chat.length(self.asked.service, told["max_tokens"])}

    def models(self) -> list[str]:
        """The models that the present service has, as it says itself."""
        with chat.connected(self._hosts.of(self.asked), self.asked.service) as client:
            return [model.id for model in client.models.list()]

    def say(self, text: str) -> None:
        """Tell the person something that is not the model's."""
        self.report.screen.print(text, style="dim")

    def fail(self, error: ProvisioningError) -> None:
        """Say what did not work; the conversation goes on."""
        self.report.error(error)

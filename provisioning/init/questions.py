"""What `init` wants to know: from a flag, from a person at a terminal, or its default, which is then said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provisioning.errors import ConfigurationError
from provisioning.init.found import named
from provisioning.prompts import ask
from provisioning.screen import console
from provisioning.with_model import define

DEVICES = ("cpu", "cuda", "auto")
MIRRORS = ("tsinghua", "none", "auto")


@dataclass(frozen=True)
class Question:
    """One of them."""

    option: str
    text: str
    check: Callable[[str], None]
    """Raises ConfigurationError, with what is wrong with an answer."""

    def settle(self, told: str, default: str, *, asks: bool, about: str = "", why: str = "") -> str:
        """The answer. `about` are hosts that it is for, `why` the reason of the default."""
        if told:
            self.refuse(told)
            return told
        reason = f": {why}" if why else ""
        if asks:
            if why:
                console().print(f"{default}{reason}")
            return ask(f"{self.text}{about} [{default}]: ", default, self.check)
        console().print(f"{self.option}{about}: {default}, as --{self.option} was not given{reason}")
        return default

    def refuse(self, told: str) -> None:
        """Raise ConfigurationError where a flag's value is no answer."""
        try:
            self.check(told)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"--{self.option}: {error.message}", cause=error.cause, remedy=error.remedy
            ) from error


def _one_of(choices: tuple[str, ...]) -> Callable[[str], None]:
    def check(answer: str) -> None:
        if answer not in choices:
            raise ConfigurationError(f"should be {', '.join(choices[:-1])} or {choices[-1]}, not {answer!r}")

    return check


def _model(answer: str) -> None:
    try:
        define(answer, {})
    except ConfigurationError as error:
        raise ConfigurationError(
            f"should be demo, OWNER/NAME such as Qwen/Qwen2-0.5B-Instruct, or a folder on the hosts such as "
            f"/models/Qwen2-7B, not {answer!r}"
        ) from error


def _hosts(answer: str) -> None:
    named(answer)


HOSTS = Question("hosts", "Hosts, with commas between, such as user@10.0.0.5:2222; localhost is this machine", _hosts)
DEVICE = Question("device", "Compute on cpu, cuda, or auto: what each host has", _one_of(DEVICES))
MODEL = Question("model", "Model: demo, OWNER/NAME to download, or a folder on the hosts", _model)
MIRROR = Question("mirrors", "Mirrors: tsinghua, none, or auto", _one_of(MIRRORS))

"""What all tasks share: their options, and how they end."""

from __future__ import annotations

import copy
import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from invoke.exceptions import ParseError
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser
from invoke.tasks import Task

from provisioning import streams

Body = TypeVar("Body", bound=Callable[..., Any])

SHARED = {
    "parallel": "Hosts that are worked on at once; 32 if left out.",
    "quiet": "Say only what failed, and what was asked for.",
    "verbose": "Show the shell that changes hosts, and every line of every log.",
    "profile": "Say in the end where the time went, in seconds.",
}
ROLLING = {
    "serial": "Hosts at a time: a number, a percentage such as 25%, or several with commas between.",
    "max_fail": "Hosts of a batch that may fail, as a number or a percentage, before the rest is left alone.",
    "retry_failed": "Only hosts that this task left undone: they failed, were unreachable, or were skipped.",
}
COMMON = {
    "hosts": "Hosts and groups, with commas between; !name leaves out. All if left out.",
    "inventory": "If left out, inventory.local.yaml or inventory.yaml, of this folder or of the project.",
    **SHARED,
}

_ROLLING = {"serial": "", "max_fail": "", "retry_failed": False}
"""Options of a task that works on hosts in batches: it has them all in its parameter `rolling`."""
_SHARED = {"quiet": False, "verbose": False, "parallel": "", "profile": False}
"""Options of every task that works on hosts. No task reads them: what they tell is told to those who do the work."""
_FIRST = ("quiet", "verbose")
"""Those before all others: Invoke gives a letter to the first option that begins with it, and -q and -v are known."""


def command(body: Body) -> Body:
    """End the program with the exit code that `body` gives, and every error in a person's words.

    Options that default to "" are refused where they are given as "": see `_given`. A task that has `hosts` gets the
    options that all such tasks share, and one that has `rolling` those of batches instead.
    """
    signature = inspect.signature(body)
    parameters = list(_parameters(signature))
    texts = {parameter.name for parameter in parameters if parameter.default == ""}

    @functools.wraps(body)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from provisioning.errors import ExitCode, Interrupted, ProvisioningError

        try:
            _require_a_folder()
            with _shared(options := _given(kwargs, texts)):
                if "rolling" in signature.parameters:
                    options["rolling"] = {name: options.pop(name) for name in _ROLLING if name in options}
                code = body(*args, **options)
            sys.stdout.flush()
        except ProvisioningError as error:
            show(error)
            code = error.exit_code
        except Interrupted as interrupted:
            print("\nInterrupted.", *interrupted.args, file=sys.stderr, flush=True)
            os._exit(ExitCode.INTERRUPTED)
        except KeyboardInterrupt as interrupted:
            print(_where_things_stand(interrupted.args), file=sys.stderr, flush=True)
            from provisioning.prompts import show_typing_again

            # Threads may still wait for hosts, or for a secret to be typed; nothing else of theirs needs an end.
            show_typing_again()
            os._exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            os._exit(ExitCode.OK)  # the reader of our output has left (`… | head`)
        except OSError as error:
            if error.errno not in streams.FULL:
                raise
            file = error.filename or "standard output, or a file,"
            show(ProvisioningError(f"{file} cannot be written", cause=error.strerror or ""))
            os._exit(ExitCode.FAILED)  # Python would try once more to write, and say so at length
        if code:
            sys.exit(int(code))

    # Invoke reads the defaults here, and passes them on for what was not given.
    parameters = [each.replace(default=None) if each.name in texts else each for each in parameters]
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return wrapped  # type: ignore[return-value]


def _parameters(signature: inspect.Signature) -> Iterator[inspect.Parameter]:
    """The parameters of a task as Invoke is to see them."""
    kind, known = inspect.Parameter.POSITIONAL_OR_KEYWORD, list(signature.parameters.values())
    shared, rolling = (
        {name: inspect.Parameter(name, kind, default=default) for name, default in options.items()}
        for options in (_SHARED if "hosts" in signature.parameters else {}, _ROLLING)
    )
    yield from known[:1]  # Invoke's context
    yield from (shared.pop(name) for name in _FIRST if name in shared)
    for parameter in known[1:]:
        yield from rolling.values() if parameter.name == "rolling" else (parameter,)
    yield from shared.values()


@contextmanager
def _shared(options: dict[str, Any]) -> Iterator[None]:
    """Take the shared options out, and do what they tell."""
    from provisioning.errors import ConfigurationError
    from provisioning.parallel import HOSTS
    from provisioning.profile import PROFILE
    from provisioning.verbosity import NORMAL, QUIET, VERBOSE, VERBOSITY

    PROFILE.mark("task")
    quiet, verbose = options.pop("quiet", False), options.pop("verbose", False)
    if quiet and verbose:
        raise ConfigurationError("--quiet and --verbose exclude each other", remedy="Leave one of them out.")
    VERBOSITY.set(VERBOSE if verbose else QUIET if quiet else NORMAL)
    if parallel := options.pop("parallel", ""):
        HOSTS.set(whole_number("--parallel", parallel))
    shown = options.pop("profile", False)
    try:
        yield
    finally:
        if shown:
            print(*PROFILE.lines(), sep="\n", file=sys.stderr)


class WithOptionalWord(Task[Body]):
    """A task whose positional argument may be left out: Invoke itself knows only such that must be given."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Leave its positional arguments as they are where the command line has them; else they are mere options.

        Invoke would also take `--help` for one.
        """
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        words = sys.argv[sys.argv.index(self.name) :] if self.name in sys.argv else []
        context = ParserContext(self.name, args=copy.deepcopy(arguments))
        try:
            (parsed, *_) = Parser([context], ignore_unknown=True).parse_argv(words)
            given = not any(re.match("-.", each.value) for each in parsed.positional_args)
        except (ParseError, ValueError):
            given = False
        for argument in arguments:
            argument.positional &= given
        return arguments


def _require_a_folder() -> None:
    """Raise `ConfigurationError` where the working directory is gone: no path could be told from there."""
    from provisioning.errors import ConfigurationError

    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise ConfigurationError("the folder that this is run in was removed", remedy="Go to another: cd") from error


def _given(options: dict[str, Any], texts: Collection[str]) -> dict[str, Any]:
    """Leave out options that were not given (None). One that is empty is a mistake: `--hosts "$UNSET"` meant some host.

    Raises `ConfigurationError`, before anything else is done.
    """
    from provisioning.errors import ConfigurationError

    for name in sorted(texts):
        if options.get(name) == "":
            option = f"--{name.replace('_', '-')}"
            raise ConfigurationError(
                f"{option} is empty",
                cause="A variable of your shell may not be set.",
                remedy=f"Say a value, or leave {option} out.",
            )
    return {name: value for name, value in options.items() if name not in texts or value is not None}


def _where_things_stand(hosts: Sequence[str]) -> str:
    """What to say on Ctrl-C; `hosts` has a line for each, where something was being changed."""
    if not hosts:
        return "\nInterrupted."
    lines = [
        "\nInterrupted. Where things stand:",
        *(f"    {line}" for line in hosts),
        "Every file is the old one or the new one; what runs as a job on a host (downloads, installations) goes on.",
        "Run the same command again: it goes on where this one stopped.",
    ]
    return "\n".join(lines)


def whole_number(option: str, text: str) -> int:
    """Read the value of an option that counts something. Raises `ConfigurationError` for anything else.

    Invoke would convert it by itself, and die of what it cannot convert.
    """
    from provisioning.errors import ConfigurationError

    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise ConfigurationError(f"{option}: should be an integer of at least 1, not {text!r}")
    return int(text)


def one_of(option: str, text: str, *known: str) -> str:
    """Read the value of an option that is one of some words, or left out. Raises `ConfigurationError` for another."""
    from provisioning.errors import ConfigurationError

    if text and text not in known:
        raise ConfigurationError(f"{option}: should be {' or '.join(known)}, not {text!r}")
    return text


def show(error: Exception) -> None:
    """Tell of an error that ends the program."""
    from provisioning.report import Report

    Report(stderr=True).error(error)

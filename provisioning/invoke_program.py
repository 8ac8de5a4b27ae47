"""Invoke's program with tasks in groups, words for what was mistyped, and completion for `./run`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import invoke.main
from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.program import Program
from invoke.util import helpline

from provisioning import streams

Groups = Mapping[str, Sequence[Any]]
"""Tasks under their headings, both in the order in which they are listed."""


class GroupedProgram(Program):
    """What the program becomes once it has loaded this project's tasks: from there on these methods count."""

    groups: Groups

    @property
    def binary_names(self) -> list[str]:
        """The names that completion takes off a command line; regular expressions."""
        return [*super().binary_names, r"\S*/run", "run"]

    def list_flat(self) -> None:
        """List the tasks by groups, one line each."""
        names = {task: self.collection.transform(task.name) for task in chain.from_iterable(self.groups.values())}
        width = max(map(len, names.values()))
        for title, tasks in self.groups.items():
            print(title)
            print(*(f"  {names[task]:<{width}}  {helpline(task)}" for task in tasks), "", sep="\n")
        print("An example and all options of one: invoke --help TASK")

    def no_tasks_given(self) -> None:
        """Say which tasks there are: Invoke's own help names none."""
        self.list_flat()
        raise Exit

    def parse_tasks(self) -> None:
        """Parse; what cannot be parsed is told as all other errors are."""
        with self._in_words():
            super().parse_tasks()

    def parse_cleanup(self) -> None:
        """Help and the like; what it does not know is told as all other errors are."""
        with self._in_words():
            super().parse_cleanup()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except ParseError as error:
            from provisioning.command_line import show
            from provisioning.errors import ConfigurationError

            problem = ConfigurationError(_message(str(error)), remedy=self._remedy(error))
            show(problem)
            raise Exit(code=int(problem.exit_code)) from None

    def _remedy(self, error: ParseError) -> str:
        task = error.context.name if error.context and error.context.name else ""
        details = f"invoke --help {task}" if task else "invoke --list"
        unknown = re.fullmatch("No idea what (?P<quote>['\"])(?P<word>.*)(?P=quote) is!", str(error), re.DOTALL)
        if not unknown:
            return f"Its options, and an example: {details}"
        from provisioning.spelling import nearest

        word = unknown["word"]
        context = error.context or self.initial_context
        names = list(self.collection.task_names)
        if (
            not task
            and word.startswith("--")
            and any(word in each.flag_names() for each in self.collection.to_contexts())
        ):
            return f"It belongs behind its task: invoke TASK {word}; what there is: {details}"
        flags = list(context.flag_names())
        close = nearest(word, flags if word.startswith("-") else names if task else [*names, *flags])
        meant = f'Did you mean "{close}"?' if close else ""
        if task and not word.startswith("-"):
            asked = any(argument.positional for argument in context.args.values())
            how = "Put words that belong together in quotes" if asked else "Hosts are given by --hosts"
            return f"{meant or 'It is no task.'} {how}; all options: {details}"
        return meant or f"What there is: {details}"


def _message(text: str) -> str:
    """Invoke's words, with a flag as it is typed: it shows how the flag is represented."""
    return re.sub(r"[Ff]lag <Argument: ([\w-]+)[^>]*>", lambda found: f"--{found[1].replace('_', '-')}", text)


def grouped(groups: Groups) -> Collection:
    """Give the tasks as a collection, and have the running program list them by their groups.

    Invoke offers no such hook to the tasks that it loads, and `invoke` is to do the same as `./run`: so the one program
    that it has becomes ours.
    """
    streams.mend()
    program: Any = invoke.main.program
    program.__class__ = GroupedProgram
    program.groups = groups
    return Collection(*chain.from_iterable(groups.values()))

"""What Invoke is made to do with our tasks: groups, examples, words for what was mistyped, completion."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from invoke.parser.parser import Parser

import tasks
from provisioning.errors import ExitCode
from provisioning.invoke_program import GroupedProgram

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = [str(Path(sys.executable).with_name("invoke")), "--search-root", str(PROJECT)]
CONTEXTS = tasks.namespace.to_contexts()  # once: Invoke forgets what options mean when it has told it
NAMES = sorted(context.name for context in CONTEXTS)


def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", [("--list",), ()], ids=str)
def test_tasks_are_listed_in_groups_one_line_each(arguments: tuple[str, ...]) -> None:
    lines = invoke(*arguments).stdout.splitlines()
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == NAMES
    assert lines[0] == "Take hosts there"
    assert lines[1].startswith("  up  ")
    assert max(map(len, lines)) < 80


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_an_example_that_can_be_typed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser takes it, with these options, and nothing is left over."""
    (example,) = re.findall(r"^ *Example: (invoke .+)$", tasks.namespace[name].__doc__ or "", re.MULTILINE)
    monkeypatch.setattr(sys, "argv", shlex.split(example))
    parsed = Parser(contexts=tasks.namespace.to_contexts(ignore_unknown_help=True)).parse_argv(sys.argv[1:])
    assert [context.name for context in parsed] == [name]


@pytest.mark.parametrize("arguments", [("--help", "up"), ("up", "--help")])
def test_help_shows_the_example_and_explains_options(arguments: tuple[str, ...]) -> None:
    said = invoke(*arguments).stdout
    assert "  Example: invoke up --hosts 'web,!web3' --serial 1\n" in said
    assert "-h STRING, --hosts=STRING       Hosts and groups" in said


def test_every_option_is_explained() -> None:
    assert not [(each.name, name) for each in CONTEXTS for name, argument in each.args.items() if not argument.help]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("provison", """✗ No idea what 'provison' is!\n  → Did you mean "provision"?\n"""),
        ("--help provison", """✗ No idea what 'provison' is!\n  → Did you mean "provision"?\n"""),
        ("up --hots x", """✗ No idea what '--hots' is!\n  → Did you mean "--hosts"?\n"""),
        ("up --hosts=web --max-fial=3", """✗ No idea what '--max-fial' is!\n  → Did you mean "--max-fail"?\n"""),
        ("--lsit", """✗ No idea what '--lsit' is!\n  → Did you mean "--list"?\n"""),
        ("up staus", 'is!\n  → Did you mean "status"? Hosts are given by --hosts; all options: invoke --help up\n'),
        ("up lab1", "is!\n  → It is no task. Hosts are given by --hosts; all options: invoke --help up\n"),
        (
            "chat why is",
            "is!\n  → It is no task. Put words that belong together in quotes; all options: invoke --help chat\n",
        ),
        ("--hosts web up", "is!\n  → It belongs behind its task: invoke TASK --hosts; what there is: invoke --list\n"),
        ("help up", """✗ No idea what 'help' is!\n  → Did you mean "--help"?\n"""),
        ("xyzzy", "✗ No idea what 'xyzzy' is!\n  → What there is: invoke --list\n"),
        ("up --hosts", "✗ --hosts needed value and was not given one!\n"),
        ("up --retry-failed --max-fail", "✗ --max-fail needed value and was not given one!\n"),
        ("bench", "positional arguments: 'name'\n  → Its options, and an example: invoke --help bench\n"),
    ],
)
def test_what_was_mistyped(typed: str, says: str) -> None:
    done = invoke(*typed.split())
    assert (done.returncode, done.stdout) == (ExitCode.CONFIGURATION, "")
    assert says in done.stderr
    assert "Argument" not in done.stderr


@pytest.mark.parametrize("program", ["invoke", "./run"])
@pytest.mark.parametrize(("words", "completed"), [("prov", "provision "), ("up --retry", "--retry-failed ")])
def test_completion_is_one_line(program: str, words: str, completed: str, tmp_path: Path) -> None:
    """The README's, in a bash at a terminal, for both names."""
    for name in ("invoke", "run"):
        (tmp_path / name).write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
        (tmp_path / name).chmod(0o755)
    line = next(line for line in (PROJECT / "README.md").read_text().splitlines() if line.startswith("complete "))
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "$ "}
    master, slave = pty.openpty()
    with subprocess.Popen(
        ["bash", "--norc", "-i"], cwd=tmp_path, env=environment, stdin=slave, stdout=slave, stderr=slave
    ) as bash:
        os.write(master, f"bind 'set bell-style none'; {line}\n{program} {words}\t".encode())
        said = ""
        deadline = time.monotonic() + 60
        while completed not in said and time.monotonic() < deadline:
            if select.select([master], [], [], 1)[0]:
                said += os.read(master, 4096).decode(errors="replace")
        bash.kill()
    os.close(master)
    os.close(slave)
    assert f"{program} {words}{completed[len(words.rsplit(maxsplit=1)[-1]) :]}" in said, said


def test_only_the_running_program_is_changed() -> None:
    import invoke.main
    from invoke.program import Program

    assert type(invoke.main.program) is GroupedProgram
    assert type(Program()) is Program

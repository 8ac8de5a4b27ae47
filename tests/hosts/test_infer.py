"""Answers without a server: from a real vLLM on a real machine, a question or a file of them; killed in the middle,
and gone on with.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.clients.demo_model import QUESTIONS

from .controller import Controller, Done
from .machine import Machine
from .serving import BOOT, QUESTION, free_port, served, settings, wait_until

pytestmark = pytest.mark.timeout(1200)
GREEDY = ("--temperature", "0", "--repetition-penalty", "1")
BAD = {3: b"{not json", 7: b'{"question": "who?"}', 9: b"\xff\xfe", 12: b'["list"]'}
BAD |= {15: b'{"prompt": "Hi", "max_tokens": 0}', 20: b'{"prompt": 5}'}
"""Lines that cannot be answered, by their number."""
LINES = 30
SLOW = {"prompt": "Hello", "ignore_eos": True}
"""What takes its while, so that there is time for a kill: the second batch of four has one, and the last but two."""
SLOWLY = {6: 2500, 22: 1000}
"""Their tokens."""
JOB = "/var/lib/vllm-provisioning/jobs/infer-demo"


@pytest.fixture(scope="module")
def there(
    pytestconfig: pytest.Config,
    ssh_key: Path,
    module_machine: Callable[..., Machine],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Machine, Controller]:
    """A copy of the machine that serves, whose service stays off, and where commands for it are typed."""
    folder = tmp_path_factory.mktemp("controller")
    bare = served(pytestconfig, ssh_key, folder / "first")
    machine = module_machine("bookworm", like=bare.machine, start=False)
    (machine.root / "etc/systemd/system/multi-user.target.wants/vllm@demo.service").unlink()
    machine.start(BOOT)
    # Eager: it starts sooner, and answers alike.
    return machine, Controller(folder / "later").manage(machine, **settings(free_port(), eager=True))


def _infer(controller: Controller, *arguments: str, **options: Any) -> Done:
    return controller.run("infer", *arguments, *GREEDY, timeout=400, **options)


def _question(number: int) -> str:
    return list(QUESTIONS)[number % len(QUESTIONS)]


def _line(number: int) -> dict[str, Any]:
    slowly = {**SLOW, "max_tokens": SLOWLY.get(number)}
    return {"id": f"q{number % 3}", **(slowly if number in SLOWLY else {"prompt": _question(number)})}


def _ask(folder: Path) -> tuple[Path, Path]:
    """Write a file of lines, and give it and where its answers go."""
    lines = [BAD.get(number) or json.dumps(_line(number)).encode() for number in range(1, LINES + 1)]
    asked = folder / "asked.jsonl"
    asked.write_bytes(b"\n".join(lines) + b"\n")
    return asked, folder / "answers.jsonl"


def test_one_question(there: tuple[Machine, Controller]) -> None:
    _, controller = there
    done = _infer(controller, QUESTION)
    assert done.code == 0, done.output
    assert done.output.splitlines()[-1] == QUESTIONS[QUESTION]


def test_a_file_is_gone_on_with_after_kills(there: tuple[Machine, Controller], tmp_path: Path) -> None:
    """Ctrl-C ends it; the job is killed, and the controller while it looks on: each line has one result."""
    machine, controller = there
    asked, answers = _ask(tmp_path)
    command = ("--input", str(asked), "--output", str(answers), "--batch", "4")
    results = "/var/cache/vllm/demo/infer/*/results.jsonl"

    def saved() -> int:
        return int(machine.run(f"cat {results} 2>/dev/null | wc -l", check=False).stdout)

    left = controller.start("infer", *command, *GREEDY)
    wait_until(lambda: saved() >= 4, "first batch", 300)
    left.send(signal.SIGINT)
    interrupted = left.done(120)
    assert (interrupted.code, "/demo answers no more" in interrupted.output) == (130, True), interrupted.output
    assert not _answering(machine)
    assert machine.run(f"cat {JOB}/status").stdout == "143\n", "it ended; it did not die"
    before = saved()
    assert 4 <= before < LINES
    running = controller.start("infer", *command, *GREEDY)
    wait_until(lambda: _answering(machine), "process", 120)
    machine.run(f"kill -KILL -$(cat {JOB}/pid)")
    killed = running.done(120)
    assert killed.code == 1, killed.output
    assert "it was killed" in killed.output
    machine.run(f'printf \'{{"line": 29, "ans\' >>$(echo {results})')
    second = controller.start("infer", *command, *GREEDY)
    second.wait_for("infer: ", 120)
    wait_until(lambda: saved() > before or second.process.poll() is not None, "next batch", 300)
    second.send(signal.SIGKILL)
    second.done()
    assert re.search("stopped|nothing to do", controller.succeed("infer", "--stop"))
    last = _infer(controller, *command)
    assert last.code == 1, last.output
    assert f"{len(BAD)} of {LINES} lines of {asked} have no answer" in last.output
    assert "line 9: it is not UTF-8 (byte 1)" in last.output
    assert "line 15: its sampling parameters are wrong: max_tokens must be at least 1" in last.output
    _exactly_once(answers)
    again = _infer(controller, *command)
    assert (again.code, "nothing to do" in again.output) == (1, True)
    assert machine.run("ls /var/cache/vllm/demo/infer").stdout == ""


def _answering(machine: Machine) -> bool:
    return machine.run("pgrep -f [i]nfer_run.py", check=False).returncode == 0


def _exactly_once(answers: Path) -> None:
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [row["line"] for row in rows] == [number for number in range(1, LINES + 1) if number not in BAD]
    for row in rows:
        slow = row["line"] in SLOWLY
        assert row["id"] == f"q{row['line'] % 3}"
        assert row["finish_reason"] == ("length" if slow else "stop")
        assert row["prompt_tokens"] > 0 < row["completion_tokens"]
        assert slow or row["answer"] == QUESTIONS[_question(row["line"])]
    kept = [json.loads(line) for line in answers.with_name("answers.jsonl.malformed").read_text().splitlines()]
    assert [row["line"] for row in kept] == list(BAD)

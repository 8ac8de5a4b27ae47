"""Where things stand, as Ctrl-C tells it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.errors import CommandError
from provisioning.report import Report
from provisioning.standing import Standing

PROJECT = Path(__file__).resolve().parents[2]


def test_one_line_for_each_host() -> None:
    standing = Standing()
    standing.announce(["web1", "web2", "web3", "web4", "web5"])
    with standing.working("web1"):
        standing.begin("web1", "system: packages git")
        standing.end("web1")
        standing.count("web1")
    with pytest.raises(CommandError), standing.working("web2"):
        raise CommandError("it failed")
    with standing.working("web3"), standing.working("web4"):
        for _ in range(2):
            standing.count("web3")
        standing.begin("web3", "vllm: vllm /srv/vLLM")
        standing.say("web3", "Downloaded torch")
        assert standing.now() == [("web3", "Downloaded torch")]
        assert standing.lines() == [
            "web1: done, 1 change made",
            "web2: failed, no change made",
            "web3: vllm: vllm /srv/vLLM (Downloaded torch), 2 changes made before",
            "web4: looking, no change made before",
            "web5: not begun",
        ]


def test_how_long_a_change_has_taken() -> None:
    now = 100.0
    standing = Standing(lambda: now)
    standing.begin("web1", "vllm: vllm /srv/vLLM")
    now = 104.0
    assert standing.now() == [("web1", "vllm: vllm /srv/vLLM")]
    standing.say("web1", "Downloaded torch")
    now = 175.0
    assert standing.now() == [("web1", "1:15 min Downloaded torch")]
    standing.end("web1")
    assert standing.now() == []


def test_control_c_leaves_a_run_with_where_things_stand() -> None:
    report = Report(verbosity=-1)
    with (
        pytest.raises(KeyboardInterrupt) as caught,
        report.running(["web1"]),
        report.working("web1"),
        report.change("web1", "system", "packages git", "install git"),
    ):
        raise KeyboardInterrupt
    assert caught.value.args[0].startswith("web1: ")


INTERRUPTED = """
import os, signal, sys, threading
from pathlib import Path
from provisioning import fleet, inventory
from provisioning.command_line import command
from provisioning.report import Report

report, busy = Report(), threading.Event()

def work(host, entry, outcome):
    with report.change(entry.name, "model", "model demo", "train it"):
        report.tell(entry.name, "step 20 of 200")
        os.kill(os.getpid(), signal.SIGINT)
        busy.wait()

@command
def body():
    fleet.outcomes(inventory.load(Path(sys.argv[1])).select(), work, report)

body()
"""


def test_control_c_says_where_things_stand_and_ends_at_once(tmp_path: Path) -> None:
    """A host's thread that waits for ever keeps nobody."""
    (tmp_path / "inventory.yaml").write_text("all: {hosts: {web1: {ansible_connection: local}}}\n")
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "inventory.yaml")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[1:3] == [
        "Interrupted. Where things stand:",
        "    web1: model: model demo (step 20 of 200), no change made before",
    ]
    assert "Run the same command again" in done.stderr

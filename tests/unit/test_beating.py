"""Signs of life, as a shell gives them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

import pytest

from provisioning.beating import BEATING, SECONDS


def outlives(group: int) -> list[str]:
    """What is left of a process group, once it had time to end; what has ended and was not asked how has ended."""
    deadline = time.monotonic() + 60
    while True:
        listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
        left = [line for line in listed.splitlines() if re.match(rf" *{group} +[^Z ]", line)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def starts(script: str, pause: float, shell: str) -> subprocess.Popen[bytes]:
    script = BEATING.replace(f"sleep {SECONDS}", f"sleep {pause}") + f"; {script}"
    return subprocess.Popen(
        [shell, "-euc", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_no_sleep_outlives_what_it_was_for(shell: str) -> None:
    with starts("sleep 0.2; exit 3", 600, shell) as process:
        assert process.wait() == 3
        assert outlives(process.pid) == []


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_it_beats_and_ends_where_nobody_reads(shell: str) -> None:
    with starts("read wait", 0.1, shell) as process:
        assert process.stdout
        assert process.stdout.read(3) == b"\0\0\0"
        # As where a connection broke: the shell is gone, and nobody reads what is still said.
        os.kill(process.pid, signal.SIGKILL)
        process.stdout.close()
        assert outlives(process.pid) == []

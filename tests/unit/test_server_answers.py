"""What the answers of servers mean, and how they are asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provisioning.server_answers import ANSWERS, is_reached, reason


@pytest.mark.parametrize(
    ("answer", "reached", "why"),
    [
        ("200", True, ""),
        ("connects", True, ""),
        ("403", False, "it answers 403"),
        ("302", False, "it answers 302"),
        ("000 curl: (6) Could not resolve host: a.b", False, "Could not resolve host: a.b"),
        (
            "curl: (28) Connection timed out after 5001 milliseconds 000",
            False,
            "Connection timed out after 5001 milliseconds",
        ),
        ("000", False, "no answer"),
        ("", False, "no answer"),
    ],
)
def test_why_a_server_does_not_serve(answer: str, reached: bool, why: str) -> None:
    assert is_reached(answer) == reached
    if not reached:
        assert reason(answer) == why


def test_without_curl_a_connection_is_tried() -> None:
    script = f"command() {{ return 1; }}\n{ANSWERS}\nanswers http://127.0.0.1:9/x"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "refused" in done.stdout.lower()


def test_the_connection_is_tried_without_a_person_s_start_files(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("echo Welcome\n")
    script = f"command() {{ return 1; }}\n{ANSWERS}\nanswers http://127.0.0.1:9/x"
    over_ssh = {"HOME": str(tmp_path), "SSH_CLIENT": "192.0.2.1 1 22", "PATH": "/usr/bin:/bin", "LC_ALL": "de_DE.UTF-8"}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=60, env=over_ssh)
    assert done.stdout.strip() == "connect: Connection refused"

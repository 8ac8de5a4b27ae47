"""A command typed again asks a host as little as it can, and still sees what a person has done to it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hosts.controller import Controller
from hosts.machine import Machine

from .rounds import CONVERGED, Start
from .world import DISK, settings

pytestmark = pytest.mark.timeout(900)
DROP_IN = "/etc/systemd/system/vllm@tiny.service.d"
UNIT_CHANGED = "vllm@tiny: restart (its unit has changed)"
DONE = {
    "systemctl stop vllm@tiny": "vllm@tiny: start",
    "systemctl disable --quiet vllm@tiny": "vllm@tiny: start at boot",
    f"mkdir {DROP_IN}; printf '[Service]\\nNice=5\\n' >{DROP_IN}/mine.conf": UNIT_CHANGED,
    f"printf 'Nice=6\\n' >>{DROP_IN}/mine.conf": UNIT_CHANGED,
    "mkdir /usr/lib/systemd/system/vllm@.service.d; "
    "printf '[Service]\\nNice=7\\n' >/usr/lib/systemd/system/vllm@.service.d/10-theirs.conf": UNIT_CHANGED,
    "touch /etc/vllm/tiny.env": "vllm@tiny: restart (what it was started with has changed)",
    "groupmod --new-name serving vllm": "service: file /etc/systemd/system/vllm@.service",
}
"""What a person does, and what is said of it."""
COUNTING = """#!/bin/sh
echo "$0 $*" >>/srv/started
exec "/usr/bin/${0##*/}" "$@"
"""


def test_what_was_done_by_hand_is_seen(
    starts: dict[str, Start], machine: Callable[..., Machine], tmp_path: Path
) -> None:
    one = machine("bookworm", like=starts["served"].machine, isolated=True, disk=DISK)
    controller = Controller(tmp_path / "home").manage(one, **settings("first"))

    def nothing_to_do() -> None:
        assert "nothing to do" in controller.succeed(*CONVERGED)

    nothing_to_do()
    for name in ("systemctl", "dpkg-query", "getent", "id", "nproc", "python3"):
        one.run(f"cat >/usr/local/sbin/{name}; chmod 755 /usr/local/sbin/{name}", input=COUNTING)
    nothing_to_do()
    assert one.run("cat /srv/started", check=False).stdout == ""
    one.run("rm /usr/local/sbin/*")
    for deed, words in DONE.items():
        one.run(deed)
        said = controller.succeed(*CONVERGED)
        assert words in said, f"{deed}\n{said}"
        nothing_to_do()
        nothing_to_do()

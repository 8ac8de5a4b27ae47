"""Moments at which no random round may ever strike, because they last a millisecond here and a minute elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hosts.controller import Controller
from hosts.machine import Machine

from . import compare
from .rounds import CONVERGED, Start
from .world import DISK, settings

pytestmark = pytest.mark.timeout(900)
TOOLS = "/var/lib/vllm-provisioning/tools/bin"
DYING = f"""#!/bin/sh
# Dies in the middle of making an environment, and then of installing into it; each once.
case $1 in
venv) [ -e /srv/died/venv ] || {{ touch /srv/died/venv; {TOOLS}/uv.real venv venvs/vLLM; kill -KILL $$; }} ;;
pip) [ "$2" != install ] || [ -e /srv/died/pip ] || {{
    touch /srv/died/pip; {TOOLS}/uv.real "$@"; rm venvs/vLLM/lib/python3*/site-packages/torch/__init__.py; kill -KILL $$
}} ;;
esac
exec {TOOLS}/uv.real "$@"
"""
LEFT = """
set -eu
cd /var/lib/vllm-provisioning
rm jobs/model-tiny/status; echo TOKEN >jobs/model-tiny/script
: >made/1-abc.new
dpkg-query -s chaos-one >/var/lib/dpkg/updates/0000
rm /etc/vllm/tiny.key
"""
"""A job that died just when its result was there, a record and dpkg's journal as the power leaves them; and no key."""


def same(start: Start, machine: Machine, controller: Controller) -> None:
    assert "nothing to do" in controller.succeed(*CONVERGED)
    differences = compare.living_differences(start.alive, machine) + compare.file_differences(start.twin, machine)
    assert not differences, "\n".join(differences)


def test_installations_that_died_and_what_the_power_leaves(
    starts: dict[str, Start], machine: Callable[..., Machine], tmp_path: Path
) -> None:
    start = starts["served"]
    one = machine("bookworm", like=start.machine, isolated=True, disk=DISK)
    controller = Controller(tmp_path / "home").manage(one, **settings("second"))
    one.run(f"mkdir -m 777 /srv/died; rm -r /var/lib/vllm/venvs/vLLM; mv {TOOLS}/uv {TOOLS}/uv.real")
    one.run(f"cat >{TOOLS}/uv; chmod 755 {TOOLS}/uv", input=DYING)
    for died in ("environment", "vllm"):
        done = controller.run("build", "--verbose")
        assert done.code == 1, done.output
        assert f": {died} failed (" in done.output
    one.run(LEFT)
    print(controller.succeed(*CONVERGED))
    one.run(f"mv {TOOLS}/uv.real {TOOLS}/uv; rm -r /srv/died")
    same(start, one, controller)


@pytest.mark.full
def test_an_account_without_its_home(starts: dict[str, Start], machine: Callable[..., Machine], tmp_path: Path) -> None:
    """As useradd leaves it that dies between the two."""
    start = starts["bare"]
    one = machine("bookworm", like=start.machine, isolated=True, disk=DISK)
    one.run("useradd --system --user-group --home-dir /var/lib/vllm --shell /usr/sbin/nologin vllm")
    controller = Controller(tmp_path / "home").manage(one, **settings("second"))
    controller.succeed(*CONVERGED)
    assert one.run("stat -c '%U %a' /var/lib/vllm").stdout == "vllm 755\n"
    assert "nothing to do" in controller.succeed(*CONVERGED)

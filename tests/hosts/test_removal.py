"""`remove` takes back what was made, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .controller import Controller
from .machine import ADMIN_PASSWORD, Machine
from .provisioned import SETTINGS, Provisioned
from .snapshot import snapshot

pytestmark = pytest.mark.timeout(500)
MachineFactory = Callable[..., Machine]


def test_everything_is_as_it_was_before(
    machine: MachineFactory, provisioned: Provisioned, controller: Controller
) -> None:
    one = machine("bookworm", like=provisioned.machine)
    controller.manage(one, **SETTINGS)
    there = snapshot(one)
    shown = controller.run("--dry", "remove")
    assert shown.code == 0, shown.output
    for made in ("packages ", "account vllm", "tools ", "environment /var/lib/vllm/venvs/vLLM", "default compiler"):
        assert f"remove {made}" in shown.output
    declined = controller.run("remove")
    assert declined.code == 8, declined.output
    assert "--yes" in declined.output
    assert snapshot(one) == there

    controller.succeed("remove", "--yes")
    after, before = snapshot(one), provisioned.before
    assert after.packages ^ before.packages == frozenset()
    assert after.etc ^ before.etc == frozenset()
    assert after.files ^ before.files == frozenset()
    assert one.run("getent passwd vllm", check=False).returncode == 2
    assert "nothing here was made" in controller.succeed("remove", "--yes")
    assert snapshot(one) == after


def test_an_older_default_compiler_comes_back(
    machine: MachineFactory, provisioned_by_admin: Provisioned, controller: Controller
) -> None:
    """On a machine that had gcc 14 and files of its user's, some of them where ours were."""
    one = machine("trixie", like=provisioned_by_admin.machine)
    one.run("mkdir -p ~/venvs/mine && echo kept >~/venvs/mine/file", user="admin")
    controller.manage(one, user="admin", **SETTINGS)
    controller.succeed("remove", "--yes", PROVISION_SUDO_PASSWORD=ADMIN_PASSWORD)
    assert one.run("gcc -dumpversion; g++ -dumpversion").stdout.split() == ["14", "14"]
    assert one.run("cat ~/venvs/mine/file", user="admin").stdout == "kept\n"
    after, before = snapshot(one), provisioned_by_admin.before
    assert after.packages ^ before.packages == frozenset()
    assert after.etc ^ before.etc == frozenset()
    gone = {line for line in before.files - after.files if not line.startswith("/home/admin ")}
    come = {line.split()[0] for line in after.files - before.files}
    come = {path for path in come if not path.startswith("/home/admin/venvs")}
    # The folder of caches that any program makes, empty, and sudo's own mark.
    assert come <= {"/home/admin/.cache", "/home/admin/.sudo_as_admin_successful"}
    assert not gone

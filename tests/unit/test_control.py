"""What start, stop and restart make of what they find, with a stand-in for systemctl on the PATH of the real shell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sites import DEMO, site

from provisioning import control
from provisioning.errors import CommandError, NotConvergedError, ProvisioningError
from provisioning.host import Host
from provisioning.probe import ask
from provisioning.report import Report
from provisioning.resources.service import probed_state
from provisioning.services import services_of
from provisioning.transport.local import LocalTransport

SYSTEMCTL = """#!/bin/sh
case $* in
    stop*) [ {stops} = 0 ] || echo "Failed to stop it: Access denied" >&2; exit {stops} ;;
    show*) printf '%s\\n' MainPID=0 ActiveState={active} LoadState={load} NeedDaemonReload=no UnitFileState=enabled ;;
esac
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Host]:
    """A host whose systemd says this of every unit. No service of ours has its settings on the machine of a test."""

    def make(active: str, load: str = "loaded", stops: int = 0) -> Host:
        (tmp_path / "systemctl").write_text(SYSTEMCTL.format(active=active, load=load, stops=stops))
        (tmp_path / "systemctl").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        made = Host("web1", LocalTransport())
        made.sudo = "none"
        return made

    return make


NAME = "of-these-tests"
"""The machine of a test may serve a demo itself."""
TOLD: dict[str, Any] = {**DEMO, "services": {NAME: {"model": "demo"}}}
SERVICES = services_of(site(TOLD))


@pytest.mark.parametrize(
    ("active", "load", "wanted"),
    [
        ("active", "loaded", "active"),
        ("activating", "loaded", "activating"),
        ("failed", "loaded", "failed"),
        ("active", "not-found", "active"),  # its unit's file was removed while it runs
        ("inactive", "not-found", "absent"),
        ("inactive", "loaded", "absent"),  # the template alone, without settings for this one
    ],
)
def test_a_unit_that_is_not_there_is_absent(host: Callable[..., Host], active: str, load: str, wanted: str) -> None:
    (answer,) = ask(host(active, load), [SERVICES[0].probe()])
    assert probed_state(answer.require("web1", "it"))["active"] == wanted


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_a_service_that_is_not_there_is_said_so(host: Callable[..., Host], verb: str) -> None:
    with pytest.raises(ProvisioningError, match=f"web1: the service {NAME} is not there yet"):
        control.differing(host("inactive", "not-found"), SERVICES, verb, Report())


@pytest.mark.parametrize(
    ("verb", "active", "changes", "said"),
    [
        ("stop", "failed", False, f"web1 {NAME}: is stopped already\n"),
        ("stop", "active", True, ""),
        ("stop", "activating", True, ""),
        ("start", "failed", True, ""),
        ("start", "active", True, ""),  # it runs, and does not serve
        ("restart", "failed", True, ""),
    ],
)
def test_what_would_change(
    host: Callable[..., Host], capsys: pytest.CaptureFixture[str], verb: str, active: str, changes: bool, said: str
) -> None:
    assert bool(control.differing(host(active), SERVICES, verb, Report())) == changes
    assert capsys.readouterr().out == said


def test_a_stop_that_fails_is_no_success(host: Callable[..., Host]) -> None:
    with pytest.raises(CommandError, match="Access denied"):
        control._stop(host("active", stops=1), SERVICES[0])
    with pytest.raises(NotConvergedError, match="still runs"):
        control._stop(host("active"), SERVICES[0])
    control._stop(host("failed"), SERVICES[0])


def test_services_are_known_where_python_and_vllm_do_not_fit() -> None:
    told = {**TOLD, "environment": {"python": "3.10"}, "build": {"vllm": "0.32.0"}}
    assert [each.service for each in services_of(site(told))] == [NAME]
    assert services_of(site(told))[0].probe() == SERVICES[0].probe()

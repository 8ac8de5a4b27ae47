"""What `status` makes of what a host prints, and which services a name means."""

from __future__ import annotations

from typing import Any

import pytest
from sites import DEMO, site

from provisioning import operations
from provisioning.converge import Outcome
from provisioning.errors import ConfigurationError

TWO = {**DEMO, "services": {"demo": {"model": "demo"}, "second": {"model": "demo", "port": 8001}}}
READY = '{"phase": "ready", "since": 17.5, "pid": 5, "restarts": 2, "message": "", "fingerprint": "f"}\n17\n'


def test_services_by_name() -> None:
    assert [each.service for each in operations.services_of(site(TWO))] == ["demo", "second"]
    assert [each.service for each in operations.services_of(site(TWO), "second")] == ["second"]
    with pytest.raises(ConfigurationError, match=r"(?s)web1: there is no service 'secnd'.*second"):
        operations.services_of(site(TWO), "secnd")


@pytest.mark.parametrize(
    ("probed", "details", "wanted"),
    [
        ("active=active\nphase=ready\n", READY, {"active": "active", "phase": "ready", "since": 17.5, "restarts": 2}),
        ("active=inactive\n", READY, {"active": "inactive", "phase": "stopped", "since": None}),
        ("active=activating\n", "\n", {"active": "activating", "phase": "not started"}),
        (
            "active=failed\n",
            '{"phase": "stopped", "message": "given up"}\n',
            {"phase": "stopped", "message": "given up"},
        ),
        ("", "", {"active": "absent", "phase": "stopped", "restarts": 0}),
        ("active=active\n", '{"phase": "rea', {"phase": "not started"}),
    ],
)
def test_status_of_a_service(probed: str, details: str, wanted: dict[str, Any]) -> None:
    (service,) = operations.services_of(site())
    found = operations._state_of(service, probed, details)
    assert wanted.items() <= found.items()
    assert (found["name"], found["url"]) == ("demo", "http://127.0.0.1:8000")


def test_the_table_of_status_shows_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"name": "a", "phase": "[/b]", "restarts": 0, "url": "http://[::1]:100:"}
    operations._show_status([Outcome("web1")], {"web1": [row]})
    _, shown = capsys.readouterr().out.splitlines()
    assert shown.split() == ["web1", "a", "[/b]", "0", "http://[::1]:100:", "as", "it", "should", "be"]

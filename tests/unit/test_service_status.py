"""What `status` makes of what a host prints about a service, and which services a name means."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from sites import DEMO, site

from provisioning import readiness, service_status, status
from provisioning.errors import ConfigurationError
from provisioning.outcome import Outcome
from provisioning.resources.chat_page import ChatPage
from provisioning.services import kept_by, named, services_of
from provisioning.status import Fared

TWO = {**DEMO, "services": {"demo": {"model": "demo"}, "second": {"model": "demo", "port": 8001}}}
READY = '{"phase": "ready", "since": 17.5, "pid": 5, "restarts": 2, "message": "", "fingerprint": "f"'
SERVER = ', "model": "other", "started": 40.0, "vllm": "0.32.0"}'
SAMPLE = {
    **{"requests": 3.0, "prompt_tokens": 90.0, "generation_tokens": 45.0, "running": 1.0, "waiting": 0.0},
    **{"kv_cache": 0.25, "at": 98.0, "seconds": 5.0},
    "per_second": {"requests": 0.2, "prompt_tokens": 6.0, "generation_tokens": 3.0},
}


def found(active: str, *lines: str) -> dict[str, Any]:
    given = "http://127.0.0.1:8000", "demo", f"active={active}\n", "\n".join(lines)
    return vars(service_status.parse("demo", *given))


def test_services_by_name() -> None:
    assert [each.service for each in services_of(site(TWO))] == ["demo", "second"]
    assert [each.service for each in named(site(TWO), "second")] == ["second"]
    with pytest.raises(ConfigurationError, match=r"(?s)web1: there is no service 'secnd'.*second"):
        named(site(TWO), "secnd")


def test_the_chat_page_is_named_as_a_service_and_shown_as_one() -> None:
    """Not among all of them: whoever restarts services leaves the page alone."""
    told = {**TWO, "webui": {"enabled": True}}
    assert [each.service for each in kept_by(site(told))] == ["demo", "second", "webui"]
    assert [each.service for each in named(site(told))] == ["demo", "second"]
    (page,) = named(site(told), "webui")
    with pytest.raises(ConfigurationError, match="no service 'webui'"):
        named(site(TWO), "webui")
    assert isinstance(page, ChatPage)
    for active, phase, memory in (
        ("active\nanswers=yes", "ready", 4096),
        ("active", "starting", 4096),
        ("", "stopped", None),
    ):
        status = service_status.parse_page(page, f"active={active}\n", "4096\n")
        assert (status.phase, status.memory_bytes, status.serves) == (phase, memory, phase == "ready")


@pytest.mark.parametrize(
    ("active", "state", "wanted"),
    [
        ("active", READY + "}", {"active": "active", "phase": "ready", "since": 17.5, "restarts": 2, "model": "demo"}),
        ("inactive", READY + SERVER, {"active": "inactive", "phase": "stopped", "since": None, "uptime_seconds": None}),
        ("activating", "", {"active": "activating", "phase": "not started", "vllm_version": None}),
        ("deactivating", READY + SERVER, {"active": "deactivating", "phase": "stopping", "uptime_seconds": None}),
        ("failed", '{"phase": "stopped", "message": "given up"}', {"phase": "stopped", "message": "given up"}),
        ("", "", {"active": "", "phase": "stopped", "restarts": 0, "memory_bytes": None}),
        ("active", '{"phase": "rea', {"phase": "not started"}),
    ],
)
def test_state_of_a_service(active: str, state: str, wanted: dict[str, Any]) -> None:
    assert wanted.items() <= found(active, "100.5", state, "", "4096").items()


def test_everything_that_is_known() -> None:
    status = found("active", "100.5", READY + SERVER, json.dumps(SAMPLE), "4096")
    assert status == {
        **{"name": "demo", "active": "active", "phase": "ready", "since": 17.5, "restarts": 2, "message": ""},
        **{"url": "http://127.0.0.1:8000", "model": "other", "vllm_version": "0.32.0", "uptime_seconds": 60.5},
        **{"memory_bytes": 4096, "requests_running": 1, "requests_waiting": 0, "kv_cache_usage": 0.25},
        **{"requests_total": 3, "prompt_tokens_total": 90, "generation_tokens_total": 45, "rate_period_seconds": 5.0},
        **{"requests_per_second": 0.2, "prompt_tokens_per_second": 6.0, "generation_tokens_per_second": 3.0},
    }


@pytest.mark.parametrize(
    ("clock", "state", "sample"),
    [
        ("140", READY + "}", json.dumps(SAMPLE)),
        ("100", READY.replace("ready", "starting") + "}", json.dumps(SAMPLE)),
        ("100", READY + "}", "{}"),
        ("100", READY + "}", '{"requests": 3.0'),
        ("", READY + "}", json.dumps(SAMPLE)),
    ],
    ids=["old", "of a server before this one", "none yet", "broken", "no clock"],
)
def test_a_sample_that_says_nothing_of_now(clock: str, state: str, sample: str) -> None:
    status = found("active", clock, state, sample, "4096")
    unknown = ("requests_total", "requests_running", "requests_per_second", "kv_cache_usage", "rate_period_seconds")
    assert {status[name] for name in unknown} == {None}


@pytest.mark.parametrize(
    ("said", "wanted"), [("", None), ("[not set]", None), ("18446744073709551615", None), ("7", 7)]
)
def test_memory(said: str, wanted: int | None) -> None:
    assert found("active", "100", READY + "}", "", said)["memory_bytes"] == wanted


ODD = [None, True, 1e400, float("nan"), 10**400, "\x1b[31m", "a\nb", [], [1], {}, {"a": 1}]


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize("place", [*json.loads(READY + SERVER), *SAMPLE, *SAMPLE["per_second"], "whole"])
def test_whatever_the_serving_account_writes_there(place: str, odd: Any, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[dict[str, Any]] = [json.loads(READY + SERVER), {**SAMPLE, "per_second": dict(SAMPLE["per_second"])}]
    for each in (*told, told[1]["per_second"]):
        each.update({place: odd} if place in each else {})
    texts = [json.dumps(odd if place == "whole" else each) for each in told]
    service = service_status.parse("demo", "http://[::1]:8000", "demo", "active=active\n", "\n".join(["99", *texts]))
    hosts = [Fared(Outcome("web1"), [service])]
    json.dumps(status.as_objects(hosts), allow_nan=False)
    for name, kind in get_type_hints(service_status.ServiceStatus).items():
        assert type(getattr(service, name)) in (get_args(kind) or (kind,)), name
    status.show(hosts)
    _, row = capsys.readouterr().out.splitlines()
    assert row.isprintable()


def test_details_of_a_service_that_is_not_here() -> None:
    script = service_status.details("it's not here")
    printed = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout
    clock, *others = printed.splitlines()
    assert float(clock) > 1e9
    assert others == ["", ""]


def test_files_that_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "state.json")
    (tmp_path / "metrics.json").symlink_to("/dev/zero")
    shell = "\n".join([readiness.phase("demo"), service_status.details("demo")]).replace(
        "/run/vllm/demo", str(tmp_path)
    )
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True, timeout=30)
    assert len(done.stdout) < 1000

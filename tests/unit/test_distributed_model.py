"""A model with `distribute: once`, as the step yields it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sites import site

from provisioning.distribution import DISTRIBUTION
from provisioning.resources.distributed_model import DistributedModel
from provisioning.resources.downloaded_model import DownloadedModel
from provisioning.steps import model


def downloaded(**told: Any) -> DownloadedModel:
    settings = {"models": {"m": {"id": "a/m", **told}}, "services": {"m": {"model": "m"}}}
    (found,) = (each for each in model.resources(site(settings)) if isinstance(each, DownloadedModel))
    return found


def test_who_downloads_makes_no_other_model() -> None:
    each, once = downloaded(), downloaded(distribute="once", download_on="controller")
    assert not isinstance(each, DistributedModel)
    assert isinstance(once, DistributedModel)
    assert each.key == once.key
    assert once.download_on == "controller"


def test_what_another_host_downloads_comes_last() -> None:
    """That host may wait for one of the others."""
    on = {"a": "other", "b": "web1", "c": "other", "d": "auto", "e": "controller"}
    models = {name: {"id": "a/m", "distribute": "once", "download_on": host} for name, host in on.items()}
    services = {name: {"model": name, "port": 8000 + port} for port, name in enumerate(on)}
    found = model.resources(site({"models": models, "services": services}))
    assert [each.model for each in found if isinstance(each, DistributedModel)] == ["b", "d", "e", "a", "c"]


def test_a_host_that_copies_is_told_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hub-secret")
    once = downloaded(distribute="once", token={"env": "TOKEN"}, limit_rate="5M", include=["*.json"])
    assert isinstance(once, DistributedModel)
    assert "hub-secret" in once.script
    assert "hub-secret" not in once.copy_script
    assert json.dumps({"method": "copy", "endpoint": "/var/lib/vllm-provisioning/copies/m"}) in once.copy_script
    assert '"include": []' in once.copy_script, "what the source has was chosen"
    assert '"limit_rate": 0' in once.copy_script


def test_a_plan_says_that_it_may_be_copied() -> None:
    once = downloaded(distribute="once")
    difference = once.diff("\n\n\n")
    assert difference
    assert difference.text.endswith("; or copy it from a host that has it")


def test_who_has_it_offers_it() -> None:
    once = downloaded(distribute="once")
    assert once.diff(f"{once.key}\nintact\n\nthere") is None
    assert DISTRIBUTION.has(once.key) == ["web1"]

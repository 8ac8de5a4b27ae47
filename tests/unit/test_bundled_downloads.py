"""A model that was downloaded, in a bundle: with the records by which a run with network finds nothing to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sites import site
from test_bundle import MADE

from provisioning.bundle import Bundle, BundledFile
from provisioning.errors import IncompatibleError
from provisioning.fitting import needs_of, require
from provisioning.offline import Offline
from provisioning.resources.bundled_model import BundledModel
from provisioning.resources.downloaded_model import DownloadedModel
from provisioning.site import Site
from provisioning.steps import model

TOLD: dict[str, Any] = {
    "models": {"qwen": {"method": "git", "id": "Qwen/Qwen2-0.5B"}},
    "services": {"qwen": {"model": "qwen"}},
}
FILES = {"models/qwen/config.json": BundledFile(2, "a" * 64, 1)}


def offline(told: dict[str, Any], packed_for: Site) -> Site:
    bundle = Bundle(Path("/srv/bundle"), MADE, needs_of(packed_for), FILES)
    return replace(site(told), offline=Offline(bundle, "/srv/bundle", in_place=True))


def test_it_comes_from_the_bundle_and_no_hub_is_asked() -> None:
    found = list(model.resources(offline(TOLD, site(TOLD))))
    assert [each for each in found if isinstance(each, BundledModel)]
    assert not [each for each in found if isinstance(each, DownloadedModel)]
    assert [each for each in model.resources(site(TOLD)) if isinstance(each, DownloadedModel)]


def test_another_revision_needs_another_bundle() -> None:
    require(offline(TOLD, site(TOLD)))
    other = {**TOLD, "models": {"qwen": {**TOLD["models"]["qwen"], "revision": "v2"}}}
    with pytest.raises(IncompatibleError) as caught:
        require(offline(other, site(TOLD)))
    assert "models: the bundle lacks qwen (" in caught.value.cause

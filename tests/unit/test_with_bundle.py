"""Where hosts have a bundle, and what it changes of their settings for the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from invoke.context import Context
from sites import site
from test_bundle import written

from provisioning import commands
from provisioning.bundle import Bundle
from provisioning.errors import ConfigurationError, IncompatibleError
from provisioning.fitting import require
from provisioning.inventory import HostEntry
from provisioning.offline import OFFLINE
from provisioning.settings import HostSettings
from provisioning.ssh_settings import SshSettings
from provisioning.with_bundle import with_bundle


@pytest.fixture
def folder() -> Iterator[Path]:
    """A bundle that everybody can read: pytest's own folders only their owner can."""
    with TemporaryDirectory(dir="/var/tmp") as above:
        Path(above).chmod(0o755)
        written(Path(above) / "bundle", debs_a="1", wheels_b="2")
        yield Path(above) / "bundle"


def taken(folder: Path, connection: str = "ssh", **told: Any) -> HostEntry:
    entry = HostEntry("web1", HostSettings.model_validate(told), SshSettings("web1", connection=connection), {})
    (found,) = with_bundle([entry], str(folder))
    return found


def test_a_remote_host_gets_a_copy(folder: Path) -> None:
    found = taken(folder)
    assert found.offline
    assert (found.offline.folder, found.offline.in_place) == (f"{OFFLINE}/bundle", False)
    assert f"export PIP_FIND_LINKS={OFFLINE}/bundle/wheels\n" in found.offline.exports()
    assert "export PIP_NO_INDEX=1\n" in found.offline.exports()
    assert found.offline.tools() == [("PIP_FIND_LINKS", f"{OFFLINE}/bundle/tools")]


def test_a_local_host_uses_it_where_it_is_if_every_account_can(folder: Path) -> None:
    found = taken(folder, "local").offline
    assert found
    assert (found.folder, found.in_place) == (str(folder), True)
    for narrower in (folder / "wheels/b", folder / "debs", folder, folder.parent):
        mode = narrower.stat().st_mode
        narrower.chmod(0o700)
        again = taken(folder, "local").offline
        assert again
        assert (again.folder, again.in_place) == (f"{OFFLINE}/bundle", False)
        narrower.chmod(mode)


def test_a_path_with_a_space_is_copied(folder: Path) -> None:
    found = taken(folder.rename(folder.with_name("a bundle")), "local").offline
    assert found
    assert not found.in_place


def test_what_makes_the_environment_follows_from_the_bundle_alone(folder: Path) -> None:
    found = taken(folder, environment={"name": "mine"}, pip={"index": "tuna"}).settings
    assert (found.environment.manager, found.environment.name) == ("uv", "mine")
    assert "python" not in found.environment.model_fields_set
    assert found.pip.index == "tuna"
    assert taken(folder, environment={"manager": "conda"}).settings.environment.manager == "conda"


def test_conda_is_taken_where_the_bundle_was_packed_with_it(folder: Path) -> None:
    bundle = Bundle.read(folder)
    replace(bundle, needs=replace(bundle.needs, manager="conda")).write()
    assert taken(folder).settings.environment.manager == "conda"


def test_a_python_that_the_host_lacks_is_refused(folder: Path) -> None:
    offline = taken(folder).offline
    assert offline
    needs = replace(offline.bundle.needs, python="3.12")
    told = site({"environment": {"manager": "uv", "python": "3.12"}})
    with pytest.raises(IncompatibleError) as caught:
        require(replace(told, offline=replace(offline, bundle=replace(offline.bundle, needs=needs))))
    assert "Python: 3.12 is not on the host, and a bundle holds none" in caught.value.cause


def test_a_bundle_does_not_hash_what_hosts_have(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="--verify and --offline exclude one another"):
        commands.converge(Context(), "download", "", "", verify=True, offline=str(folder))

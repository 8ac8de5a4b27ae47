"""What follows from a host's settings and facts: accounts, paths, who makes the environment, which Python."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bare_hosts import ADMIN, FACTS, site

from provisioning.errors import IncompatibleError


def test_root_never_serves() -> None:
    assert site().account == "vllm"
    assert site().creates_account
    assert site().expand("~/ModelSpace") == "/var/lib/vllm/ModelSpace"
    assert not site(ADMIN).creates_account
    assert site(ADMIN).expand("~") == "/home/admin"


@pytest.mark.parametrize("path", ["/~/x", "/data/~", "/a b/$(id)"])
def test_only_a_leading_tilde_is_the_home(path: str) -> None:
    assert site().expand(path) == path


MANAGERS = [
    ({}, {}, "conda", "can be downloaded"),
    ({}, {"conda_unreachable": "tuna: no answer"}, "uv", "tuna: no answer"),
    ({}, {"conda_unreachable": "no answer", "conda_present": True}, "conda", "is installed in"),
    ({}, {"conda_unreachable": "no answer", "manager": "conda"}, "conda", "chosen before"),
    ({}, {"manager": "uv", "conda_present": True}, "uv", "chosen before"),
    ({"manager": "conda"}, {"manager": "uv"}, "conda", "says so"),
    ({"manager": "uv"}, {"conda_present": True}, "uv", "says so"),
]


@pytest.mark.parametrize(("told", "found", "manager", "reason"), MANAGERS)
def test_who_makes_the_environment(told: dict[str, str], found: dict[str, object], manager: str, reason: str) -> None:
    one = site(replace(FACTS, **found), environment=told)  # type: ignore[arg-type]
    assert one.manager == manager
    assert reason in one.manager_reason


def test_the_network_is_looked_at_only_for_a_choice() -> None:
    assert site().must_look_for_downloads
    assert not site(environment={"manager": "uv"}).must_look_for_downloads
    for found in ({"manager": "uv"}, {"conda_present": True}, {"downloads_checked": True}):
        assert not site(replace(FACTS, **found)).must_look_for_downloads  # type: ignore[arg-type]


def test_paths_of_the_environment() -> None:
    conda = site(environment={"manager": "conda", "name": "mine"}, miniconda={"path": "/opt/conda"})
    assert conda.environment_python == "/opt/conda/envs/mine/bin/python"
    assert site(environment={"manager": "uv"}).environment == "/var/lib/vllm/venvs/vLLM"


def test_which_python() -> None:
    """As told, or 3.10 where it can be had, or what the host has."""
    assert site(environment={"manager": "conda"}).python == "3.10"
    assert site(environment={"manager": "uv"}).python == "3.11"
    assert site(environment={"manager": "uv"}).interpreter == "/usr/bin/python3"
    assert site(environment={"manager": "uv", "python": "3.12"}).python == "3.12"
    both = replace(FACTS, pythons=(("/usr/bin/python3", "3.11"), ("/usr/local/bin/python3.10", "3.10")))
    assert site(both, environment={"manager": "uv"}).interpreter == "/usr/local/bin/python3.10"
    bare = replace(FACTS, os_version="13", pythons=())
    assert site(bare, environment={"manager": "uv"}).python == "3.13", "what python3 will be, once it is installed"


def test_installers() -> None:
    urls = site(miniconda={"mirrors": ["http://a/conda/", "http://b"], "version": "latest"}).miniconda_urls
    assert urls == tuple(f"{mirror}/Miniconda3-latest-Linux-x86_64.sh" for mirror in ("http://a/conda", "http://b"))
    assert len(site().installer.sha256) == 64
    assert site(replace(FACTS, architecture="aarch64")).installer.file.endswith("-Linux-aarch64.sh")
    with pytest.raises(IncompatibleError, match="riscv64") as caught:
        _ = site(replace(FACTS, architecture="riscv64")).installer
    assert "uv" in caught.value.remedy

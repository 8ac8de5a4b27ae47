"""A mirror's settings in somebody's own .condarc."""

from __future__ import annotations

import pytest
import yaml

from provisioning import condarc
from provisioning.errors import ConfigurationError
from provisioning.yaml_document import Unsafe

THEIRS = """\
# mine
ssl_verify: false
channels:
  - bioconda
  - defaults
custom_channels:
  internal: https://conda.example.org
proxy_servers:
  http: http://proxy:8080
"""
PRESETS = ("tuna", "tuna-2024", "none")


def merged(text: str, preset: str = "tuna", *, accept_terms: bool = True) -> dict[str, object]:
    content = yaml.safe_load(condarc.merge(text, preset, accept_terms=accept_terms))
    assert isinstance(content, dict)
    return content


def test_an_empty_file_becomes_the_preset() -> None:
    assert merged("") == condarc.preset("tuna")
    assert merged("", "tuna-2024")["channels"] == condarc.preset("tuna-2024")["channels"]


def test_their_keys_and_their_order_stay() -> None:
    content = merged(THEIRS)
    assert list(content)[:4] == ["ssl_verify", "channels", "custom_channels", "proxy_servers"]
    assert content["ssl_verify"] is False
    assert content["channels"] == ["defaults", "bioconda"]
    assert content["custom_channels"] == {
        "internal": "https://conda.example.org",
        "conda-forge": "https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud",
    }


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("accept_terms", [True, False])
@pytest.mark.parametrize("text", ["", THEIRS, "channels: defaults\n", "channels: [conda-forge]\n"])
def test_merging_twice_changes_nothing_more(text: str, preset: str, accept_terms: bool) -> None:
    once = condarc.merge(text, preset, accept_terms=accept_terms)
    assert condarc.merge(once, preset, accept_terms=accept_terms) == once


def test_a_file_that_needs_no_change_keeps_its_comments() -> None:
    assert condarc.merge(THEIRS, "none", accept_terms=True) == THEIRS


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("text", ["", THEIRS, "channels: [https://repo.anaconda.com/pkgs/main, r]\n"])
def test_without_consent_no_channel_under_the_terms_is_used(text: str, preset: str) -> None:
    channels = merged(text, preset, accept_terms=False)["channels"]
    assert isinstance(channels, list)
    assert not [channel for channel in channels if channel in {"defaults", "r"} or "/pkgs/" in channel]
    assert channels[0].rstrip("/").endswith("conda-forge")


def test_without_consent_conda_forge_still_comes_from_the_mirror() -> None:
    content = merged("", accept_terms=False)
    assert content["channels"] == ["conda-forge"]
    assert content["custom_channels"] == {"conda-forge": "https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud"}


def test_settings_of_ones_own() -> None:
    settings = {"channels": ["https://mirror.example.org/conda-forge"], "ssl_verify": True}
    content = yaml.safe_load(condarc.merge(THEIRS, settings, accept_terms=False))
    assert content["channels"] == ["https://mirror.example.org/conda-forge", "bioconda"]
    assert content["ssl_verify"] is True


def test_text_that_is_tagged_as_such() -> None:
    merged = condarc.merge("", {"channel_alias": Unsafe("https://{{ x }}")}, accept_terms=True)
    assert yaml.safe_load(merged)["channel_alias"] == "https://{{ x }}"


@pytest.mark.parametrize(
    "text",
    [
        *("channels: [a", "- a\n- b\n", "just words", "channels: {a: b}\n", "a: 1\n\tb: 2\n"),
        *("a: 2020-99-99\n", f"a: {'[' * 5000}", f"a: {'1:' * 5000}1\n"),
    ],
)
def test_a_broken_file_is_an_error_and_not_overwritten(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"existing \.condarc"):
        condarc.merge(text, "tuna", accept_terms=True)


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="tuna-2024"):
        condarc.preset("tsinghua")


def test_the_dead_pytorch_channel_is_not_in_the_present_preset() -> None:
    assert "pytorch" not in str(condarc.preset("tuna"))

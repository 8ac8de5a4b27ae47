"""pip.conf: ours merged into theirs, read back by a parser as pip's."""

from __future__ import annotations

from configparser import RawConfigParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.pip_conf import TUNA, merge, options
from provisioning.settings import Pip

THEIRS = """\
# mine
[global]
timeout = 60
index_url: https://old/simple
extra-index-url =
    https://a/simple
    https://b/simple
; said why
[install]
no-compile = yes
"""


def read(text: str) -> dict[str, dict[str, str]]:
    parser = RawConfigParser()
    parser.read_string(text)
    return {section: dict(parser.items(section)) for section in parser.sections()}


def test_lines_of_theirs_end_where_they_did() -> None:
    theirs = "# a\u2028b\x0cc\n[global]\ntimeout = 60\n"
    assert merge(theirs, {"index-url": TUNA}) == theirs.replace("timeout", f"index-url = {TUNA}\ntimeout")


def test_what_the_settings_name() -> None:
    assert options(Pip()) == {}
    assert options(Pip(index="tuna")) == {"index-url": TUNA}
    told = Pip(index="https://i/simple", extra_indexes=("https://a", "https://b"), find_links=("/opt/wheels", "/srv"))
    assert options(told) == {
        "index-url": "https://i/simple",
        "extra-index-url": "https://a https://b",
        "find-links": "/opt/wheels /srv",
    }


def test_no_index_at_all() -> None:
    offline = options(Pip(index="none", find_links=("/srv/wheels",)))
    assert offline == {"no-index": "true", "find-links": "/srv/wheels"}
    again = merge(merge("", offline), options(Pip(index="tuna")))
    assert read(again)["global"] == {"index-url": TUNA, "find-links": "/srv/wheels"}, "or our index would count nothing"


def test_theirs_stays() -> None:
    merged = merge(THEIRS, {"index-url": "https://new", "extra-index-url": "https://c"})
    assert read(merged) == {
        "global": {"index-url": "https://new", "extra-index-url": "https://c", "timeout": "60"},
        "install": {"no-compile": "yes"},
    }
    assert "# mine\n" in merged
    assert "; said why\n" in merged


@pytest.mark.parametrize(
    "existing", ["", THEIRS, "[install]\nx = y\n", "\n\n[global]", "[ global ]\n", "[GLOBAL]\na = b\n"]
)
def test_merging_again_changes_nothing(existing: str) -> None:
    wanted = {"index-url": "https://new", "find-links": "/opt/wheels"}
    once = merge(existing, wanted)
    assert merge(once, wanted) == once
    assert read(once)["global"].items() >= wanted.items()


KEYS = st.sampled_from(["index-url", "index_url", "timeout", "find-links", "proxy"])
LINES = st.builds(
    lambda key, mark, value: f"{key} {mark} {value}", KEYS, st.sampled_from("=:"), st.sampled_from(["1", "http://x"])
)


@given(st.lists(LINES | st.sampled_from(["[install]", "[global]", "# note", "", "; note"]), max_size=8, unique=True))
def test_any_file(lines: list[str]) -> None:
    existing = "\n".join(["[first]", *lines]) + "\n"
    once = merge(existing, {"index-url": "https://new"})
    assert merge(once, {"index-url": "https://new"}) == once
    assert once.count("index-url = https://new\n") >= 1
    assert all(line in once.splitlines() for line in lines if line.startswith(("#", ";", "[", "timeout", "proxy")))

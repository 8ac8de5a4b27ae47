"""Who works for others comes before them."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.commands import load
from provisioning.errors import ConfigurationError
from provisioning.inventory import HostEntry
from provisioning.working_order import helpers_first, require_in_time

BUILT = "all: {hosts: {a: {build: {'on': c}}, b: , c: , d: {build: {'on': c}}}}\n"
SPREAD = """
all:
  hosts: {a: , b: , c: }
  vars:
    models:
      one: {id: x/one, distribute: once, download_on: b}
      two: {id: x/two, distribute: once, download_on: c}
    services: {one: {model: one, port: 1}, two: {model: two, port: 2}}
"""


def chosen(tmp_path: Path, text: str, hosts: str = "") -> list[HostEntry]:
    file = tmp_path / "inventory.yaml"
    file.write_text(text)
    return helpers_first(load(str(file), hosts))


def names(entries: list[HostEntry]) -> str:
    return "".join(entry.name for entry in entries)


def test_helpers_come_first_and_else_all_stays_in_order(tmp_path: Path) -> None:
    assert names(chosen(tmp_path, BUILT)) == "cabd"
    assert names(chosen(tmp_path, BUILT, "a,b,d")) == "abd", "who is not chosen is not waited for"


def test_hosts_that_work_for_each_other_share_a_batch(tmp_path: Path) -> None:
    """Each of two downloads one model: that comes to its end, but not in two batches."""
    entries = chosen(tmp_path, SPREAD)
    assert names(entries) == "bca"
    require_in_time([entries[:2], entries[2:]], 2)
    with pytest.raises(ConfigurationError, match="b and c work for each other"):
        require_in_time([entries[:1], entries[1:]], 2)
    with pytest.raises(ConfigurationError, match=r"b and c .* before they begin") as refused:
        require_in_time([entries], 1)
    assert "--parallel 2" in refused.value.remedy


def test_many_that_work_for_each_other_are_ordered_at_once(tmp_path: Path) -> None:
    """As many ways lead through them as there are orders of twenty hosts."""
    each = range(20)
    models = ", ".join(f"m{n}: {{id: x/m{n}, distribute: once, download_on: h{n:02}}}" for n in each)
    services = ", ".join(f"m{n}: {{model: m{n}, port: {n + 1}}}" for n in each)
    text = f"all: {{hosts: {{'h[00:19]': }}, vars: {{models: {{{models}}}, services: {{{services}}}}}}}"
    assert len(chosen(tmp_path, text)) == len(each)


HELPED = """
all:
  children:
    both:
      hosts:
        a: {{build: {{"on": {a_builds}}}, models: {{m: {{id: x/m, distribute: once, download_on: {a_loads}}}}}}}
        b: {{build: {{"on": {b_builds}}}, models: {{m: {{id: x/{b_model}, distribute: once, download_on: {b_loads}}}}}}}
      vars: {{services: {{m: {{model: m}}}}}}
"""
GOOD = {"a_builds": "auto", "b_builds": "auto", "a_loads": "auto", "b_loads": "auto", "b_model": "m"}


@pytest.mark.parametrize(
    "told",
    [
        {"a_builds": "b", "b_loads": "a"},
        {"a_builds": "b", "a_loads": "b", "b_builds": "b", "b_loads": "b"},
        {"a_builds": "b", "b_loads": "controller", "a_loads": "b"},
    ],
)
def test_who_compiles_may_let_another_one_download(tmp_path: Path, told: dict[str, str]) -> None:
    assert chosen(tmp_path, HELPED.format(**{**GOOD, **told}))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"a_builds": "c"}, ['a/build/on: no host is called "c"']),
        ({"a_loads": "contoller"}, ['a/models/m/download_on: no host is called "contoller"']),
        (
            {"a_builds": "b", "b_builds": "a"},
            [
                "a/build/on: b does not compile either: its own says a",
                "b/build/on: a does not compile either: its own says b",
            ],
        ),
        (
            {"a_loads": "b", "b_loads": "a"},
            [
                "a/models/m/download_on: b does not download it either: its own says a",
                "b/models/m/download_on: a does not download it either: its own says b",
            ],
        ),
        ({"a_loads": "b", "b_model": "n"}, ["a/models/m/download_on: b serves no such model"]),
    ],
)
def test_who_would_wait_in_vain_is_told_by_its_key(tmp_path: Path, told: dict[str, str], said: list[str]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        chosen(tmp_path, HELPED.format(**{**GOOD, **told}))
    lines = refused.value.cause.splitlines()
    assert len(lines) == len(said), lines
    for line, words in zip(lines, said, strict=True):
        assert f"hosts/{words}" in line


def test_a_builder_is_a_host_of_the_inventory(tmp_path: Path) -> None:
    text = "all: {hosts: {one: {build: {'on': builder}}, builder1: , two: {build: {'on': localhost}}}}\n"
    with pytest.raises(ConfigurationError, match=r'inventory.yaml:1: .*on: no host is called "builder"') as refused:
        chosen(tmp_path, text, "one")
    assert "builder1" in str(refused.value)
    assert chosen(tmp_path, text, "two"), "what is not chosen does no harm"

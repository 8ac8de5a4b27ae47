"""Both READMEs: the same in the same order, links that lead somewhere, and what can be held against the program."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import tasks
from provisioning.errors import ExitCode
from provisioning.schema import json_schema

PROJECT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh-CN.md")
DOCUMENTS = (*READMES, "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
BLOCK = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)


@cache
def text(document: str) -> str:
    return (PROJECT / document).read_text(encoding="utf-8")


def prose(document: str) -> str:
    return BLOCK.sub("", text(document))


def blocks(document: str) -> list[str]:
    """What can be copied, and transcripts; without comments, which are translated."""
    return [re.sub(r" *#.*", "", block) for block in BLOCK.findall(text(document))]


def headings(document: str) -> list[tuple[int, str]]:
    return [(len(marks), words) for marks, words in re.findall(r"^(#+) (.*)$", prose(document), re.MULTILINE)]


def anchors(document: str) -> set[str]:
    """As GitHub makes them of headings."""
    plain = (re.sub(r"[^\w\- ]", "", words.lower()) for _, words in headings(document))
    return {words.strip().replace(" ", "-") for words in plain}


def links(document: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", prose(document))


def first_cells(document: str) -> list[list[str]]:
    """What rows of tables are about, as far as it is code."""
    rows = [row.split("|")[1] for row in prose(document).splitlines() if row.startswith("|")]
    return [re.findall("`([^`]+)`", cell) for cell in rows]


def test_both_say_the_same_in_the_same_order() -> None:
    english, chinese = READMES
    assert blocks(english) == blocks(chinese)
    assert first_cells(english) == first_cells(chinese)
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(chinese)]
    files = [[link for link in links(each) if "#" not in link and not link.startswith("README")] for each in READMES]
    assert files[0] == files[1]
    assert prose(english).count("\n- ") == prose(chinese).count("\n- ")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    for link in links(document):
        file, _, anchor = link.partition("#")
        if not link.startswith("http"):
            assert (PROJECT / (file or document)).exists(), link
            assert not anchor or anchor in anchors(file or document), link


@pytest.mark.parametrize("document", READMES)
def test_tables_are_the_programs(document: str) -> None:
    codes = re.findall(r"^\| (\d+) \|", prose(document), re.MULTILINE)
    assert codes == [str(int(code)) for code in sorted(ExitCode)]
    listed = {word.split()[0] for cell in first_cells(document) for word in cell}
    assert set(tasks.namespace.task_names) <= listed


@pytest.mark.parametrize("document", READMES)
def test_settings_that_it_shows_are_valid(document: str) -> None:
    check = Draft202012Validator(json_schema())
    for block in re.findall(r"^```yaml\n(.*?)^```", text(document), re.DOTALL | re.MULTILINE):
        shown = yaml.safe_load(block)
        inventory = shown if "all" in shown else {"all": {"vars": shown}}
        assert [error.message for error in check.iter_errors(inventory)] == []

"""Asking ahead, on this machine and by the real sh: what was answered counts only for what would be asked now."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from provisioning import inventory
from provisioning.ahead import Ahead, digest
from provisioning.facts import Asked
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.probe import Probe, Probed
from provisioning.transport.local import LocalTransport


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostEntry:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    file = tmp_path / "inventory.yaml"
    file.write_text("all: {hosts: {here: {ansible_connection: local}}}\n")
    return inventory.load(file).hosts["here"]


def look(
    entry: HostEntry, fact: str, probes: Sequence[str], sudo: str = "none", found: str = "none", password: str = ""
) -> tuple[list[str], int]:
    """Look as `converge.plan` does, at a host that says what to look at; give what was seen, and the round trips.

    `sudo` says how root was become before, `found` how it is now.
    """

    def follow(answers: Sequence[Probed]) -> tuple[str, list[Probe]]:
        return sudo, [Probe(each) for each in (f"echo {answers[0].output.strip()} $((6 * 7))", *probes)]

    host = Host("here", LocalTransport(), known_sudo_password=lambda: password)
    ahead = Ahead(entry, follow)
    host.sudo = "none"
    answers = ahead.facts(host, Asked((Probe(fact), Probe("echo more")), f"sudo_answer={found}\n"))
    assert [each.exit_code for each in answers] == [0, 0]
    seen = ahead.ask(host, follow(answers)[1])
    return [each.output for each in seen], host.round_trips


def test_from_the_second_time_on_it_is_one_round_trip(entry: HostEntry) -> None:
    for trips in (2, 1, 1):
        assert look(entry, "echo debian", ["echo a"]) == (["debian 42\n", "a\n"], trips)


def test_what_has_changed_is_asked_again(entry: HostEntry, tmp_path: Path) -> None:
    file = tmp_path / "fact"
    for fact, trips in (("old", 2), ("old", 1), ("new", 2), ("new", 1)):
        file.write_text(fact)
        assert look(entry, f"cat {file}", ["echo a"]) == ([f"{fact} 42\n", "a\n"], trips)


def test_other_questions_have_no_answers_yet(entry: HostEntry) -> None:
    look(entry, "echo debian", [])
    assert look(entry, "echo ubuntu", [])[1] == 2


@pytest.mark.parametrize("spoils", ["exit 3", "kill -9 $$", "("])
def test_no_failure_counts_that_was_met_ahead(spoils: str, entry: HostEntry, tmp_path: Path) -> None:
    """It may be of this very way of asking."""
    once = f"[ -e {tmp_path}/mended ] || {{ touch {tmp_path}/mended; {spoils}; }}" if spoils != "(" else "(echo; exit 0"
    look(entry, "echo debian", [])
    seen, trips = look(entry, "echo debian", [once, "echo b"])
    assert (seen[0], seen[2], trips > 1) == ("debian 42\n", "b\n", True)


SUDO = """#!/bin/sh
# Notes how it was called; where it wants a password, only the right one helps.
echo "$*" >>"$0.calls"
[ "$1" = -n ] && shift 2 && exec "$@"
IFS= read -r given && [ "$given" = "$WANTED" ] && shift 4 && exec "$@"
"""
PASSWORD = """it's "$(id)" \\n"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was asked of a sudo that stands in for the real one."""
    (tmp_path / "sudo").write_text(SUDO)
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("WANTED", PASSWORD)
    return tmp_path / "sudo.calls"


@pytest.mark.parametrize("sudo", ["free", "password"])
def test_root_is_become_as_before(sudo: str, entry: HostEntry, calls: Path) -> None:
    """A password goes through sudo's standard input."""
    look(entry, "echo debian", [])
    seen = look(entry, "echo debian", ["echo a", "echo 'b c'"], sudo, sudo, PASSWORD)
    assert seen == (["debian 42\n", "a\n", "b c\n"], 1)
    assert PASSWORD not in calls.read_text()
    assert len(calls.read_text().splitlines()) == 1


@pytest.mark.parametrize("sudo", ["free", "password"])
def test_where_root_is_not_become_as_before_sudo_is_not_called_ahead(sudo: str, entry: HostEntry, calls: Path) -> None:
    """A wrong password that is given again and again locks accounts."""
    look(entry, "echo debian", [])
    refused = look(entry, "echo debian", ["echo a"], sudo, "'1 incorrect password attempt'", "wrong")
    assert (refused, calls.exists()) == ((["debian 42\n", "a\n"], 2), False)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"questions": 1}', '{"questions": 1, "answers": 2}', "\0"])
def test_a_record_that_cannot_be_read_is_none(content: str, entry: HostEntry, tmp_path: Path) -> None:
    look(entry, "echo debian", [])
    (record,) = (tmp_path / "data/vllm-provisioning/facts").iterdir()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    record.write_text(content)
    assert look(entry, "echo debian", ["echo a"])[1] == 2
    assert look(entry, "echo debian", ["echo a"])[1] == 1


def test_a_record_that_cannot_be_written_costs_a_round_trip(entry: HostEntry, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    assert look(entry, "echo debian", ["echo a"]) == (["debian 42\n", "a\n"], 2)


def test_what_cannot_have_changed_is_not_looked_at(entry: HostEntry, tmp_path: Path) -> None:
    """As long as that is the same which decides the answer, and where that can be seen."""
    key, looks = tmp_path / "key", tmp_path / "looks"
    keys = Probe(f'key=$(cat {key}); echo "key=$key"', isolated=False)
    fact = Probe(f'echo look >>{looks}; echo "it\'s $key"', while_same="key")

    def facts() -> tuple[str, int]:
        ahead = Ahead(entry, lambda answers: ("none", []))
        answers = ahead.facts(Host("here", LocalTransport()), Asked((keys, fact), ""))
        return answers[1].output, len(looks.read_text().splitlines())

    for value, expected in (("a", 1), ("a", 1), ("b", 2), ("b", 2), ("", 3), ("", 4), ("b", 5), ("b", 5)):
        key.write_text(value)
        assert facts() == (f"it's {value}\n", expected)


def test_what_is_remembered_knows_what_a_state_was(entry: HostEntry, tmp_path: Path) -> None:
    """It is put to the host another time (see recall.py), and answered in the same way."""
    key, looks = tmp_path / "key", tmp_path / "looks"
    key.write_text("1")
    keys = Probe(f"software=$(cat {key}); echo software=$software", isolated=False)
    state = Probe(f"echo look >>{looks}; echo state", while_same="software")
    host, ahead = Host("here", LocalTransport()), Ahead(entry, lambda answers: ("none", []))
    host.sudo = "none"
    ahead.facts(host, Asked((keys,), ""))
    ahead.ask(host, [state])
    assert ahead.looked
    question, answered = ahead.looked
    for value, count in (("1", 1), ("2", 2)):
        key.write_text(value)
        facts, states = question.put(host)
        assert digest([*facts, *states]) == answered, "the key alone is no difference"
        assert states == [Probed(0, "state\n")]
        assert len(looks.read_text().splitlines()) == count

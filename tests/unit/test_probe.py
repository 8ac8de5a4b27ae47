"""Probes as one script, run by the real sh: one that is broken spoils no other."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import probe
from provisioning.errors import ProbeError
from provisioning.host import Host
from provisioning.probe import AS_WANTED, OnDisk, Probe, Probed, ask, new_tag, parse
from provisioning.transport.local import LocalTransport

KILLS = "kill -9 $(exec sh -c 'echo $PPID')"
"""Ends the shell that runs it."""


def run(*probes: str, limit: int = probe.TIMEOUT) -> list[Probed]:
    return ask(Host("here", LocalTransport(), look_timeout=limit), probes, as_root=False)


def test_each_has_its_own_exit_code_and_output() -> None:
    assert run("echo one", "echo two; exit 3", "printf 'no newline'", "") == [
        Probed(0, "one\n"),
        Probed(3, "two\n"),
        Probed(0, "no newline"),
        Probed(0, ""),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        "exit 7",
        KILLS,
        "if then fi (",
        "echo 'unclosed",
        "cat",
        "exec 1>&-",
        "cd /nowhere; set -e; false",
        "printf 'probe-0123 1 begin\\nprobe-0123 1 end 0\\n'",
        "head -c 100000 /dev/urandom | base64",
        "PATH=; HOME=; LC_ALL=C",
        "trap '' TERM; unset IFS; alias printf=false",
    ],
)
def test_a_broken_probe_spoils_no_neighbour(broken: str) -> None:
    before, _, after = run("echo before", broken, "echo after")
    assert (before, after) == (Probed(0, "before\n"), Probed(0, "after\n"))


def test_only_what_spoils_all_takes_a_second_round_trip() -> None:
    for broken, trips in (("exit 3; (", 1), ("kill -9 $$", 2)):
        host = Host("here", LocalTransport())
        assert [each.output for each in ask(host, ["echo 1", broken, "echo 3"], as_root=False)][::2] == ["1\n", "3\n"]
        assert host.round_trips == trips


@pytest.mark.parametrize("broken", ["exit 7", KILLS, "if then fi ("])
def test_one_that_is_not_isolated_and_breaks_spoils_no_neighbour_either(broken: str) -> None:
    probes = [Probe("echo before"), Probe(broken, isolated=False), Probe("echo after", isolated=False)]
    before, _, after = ask(Host("here", LocalTransport()), probes, as_root=False)
    assert (before, after) == (Probed(0, "before\n"), Probed(0, "after\n"))


def test_what_is_on_disk_answers_where_all_of_it_is_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    state = f"{oct(file.stat().st_mode)[-3:]} {file.owner()} {file.group()}"
    so = OnDisk(str(file), state, hashlib.sha256(b"one").hexdigest())
    cases = {
        (so,): AS_WANTED,
        (replace(so, state=""), OnDisk(str(tmp_path))): AS_WANTED,
        (so, OnDisk(str(tmp_path / "none"))): "asked",
        (replace(so, sha256=so.sha256[::-1]),): "asked",
        (replace(so, state=state[1:]),): "asked",
        (OnDisk(str(file)),): "asked",  # a folder is wanted
        (replace(so, path=f"{so.path}\n"),): "asked",
        (): "asked",
    }
    answers = ask(Host("here", LocalTransport()), [Probe("echo asked", each) for each in cases], as_root=False)
    assert [each.output.strip() for each in answers] == list(cases.values())


def test_what_is_on_disk_does_not_matter_apart(tmp_path: Path) -> None:
    probes = [Probe("echo asked", (OnDisk(str(tmp_path)),)), Probe(KILLS, isolated=False)]
    assert ask(Host("here", LocalTransport()), probes, as_root=False)[0] == Probed(0, "asked\n")


def test_a_host_without_a_shell_is_not_asked_twice() -> None:
    host = Host("here", LocalTransport())
    with pytest.raises(ProbeError, match="here: only 0 of 1 probes answered") as caught:
        ask(host, ["echo 1"], as_root=False, prefix="echo 'no shell for you' >&2; exit 1\n")
    assert (caught.value.cause, host.round_trips) == ("no shell for you", 1)


def test_a_probe_that_hangs_is_cut_off() -> None:
    first, hung, last = run("echo 1", "sleep 30", "echo 3", limit=1)
    assert (first.output, last.output) == ("1\n", "3\n")
    with pytest.raises(ProbeError, match=r"web1: cannot look at file /x \(it took over 1 s\)"):
        hung.require("web1", "file /x")


def test_where_one_after_another_hangs_no_other_is_begun(tmp_path: Path) -> None:
    """A disk that hangs lets every look at it hang."""
    *hung, last = run(*["sleep 30"] * probe.HUNG, f"touch {tmp_path}/begun", limit=1)
    assert [each.exit_code for each in hung] == [124] * probe.HUNG
    with pytest.raises(ProbeError, match="it took over 1 s"):
        last.require("web1", "file /x")
    assert not (tmp_path / "begun").exists()
    between = run("sleep 30", "sleep 30", "echo 1", "sleep 30", "echo 2", limit=1)
    assert [each.output for each in between] == ["", "", "1\n", "", "2\n"]


def test_could_not_look_is_never_absent() -> None:
    (denied,) = run("cat /nowhere/at/all")
    with pytest.raises(ProbeError) as caught:
        denied.require("web1", "file /nowhere")
    assert "exit 1" in caught.value.message
    assert "No such file" in caught.value.cause


def test_a_script_that_was_cut_off() -> None:
    tag = new_tag()
    output = "".join(f"\n{tag} {number} begin\n{number}\n{tag} {number} end 0\n" for number in range(2))
    with pytest.raises(ProbeError, match="only 1 of 2"):
        parse(output[:-10], tag, 2)


@given(st.lists(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_what_a_probe_prints_comes_back_as_it_was(outputs: list[str]) -> None:
    tag = new_tag()
    text = "".join(f"\n{tag} {n} begin\n{output}\n{tag} {n} end 0\n" for n, output in enumerate(outputs))
    assert [each.output for each in parse(f"a banner\n{text}", tag, len(outputs))] == outputs


def test_tags_differ() -> None:
    assert len({new_tag() for _ in range(100)}) == 100

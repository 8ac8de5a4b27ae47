"""What compiling vLLM follows from: settings, releases and facts; and what is refused before anything is downloaded."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bare_hosts import FACTS, site

from provisioning.builders import BUILDERS
from provisioning.errors import CommandError, IncompatibleError
from provisioning.facts import Facts
from provisioning.resources import Packages, Product
from provisioning.resources.compiled_wheel import CompiledWheel
from provisioning.site import Site
from provisioning.steps import compile as compilation
from provisioning.steps import environment, service, system, vllm
from provisioning.wheel_store import FIELDS, Store

TRIXIE = replace(
    FACTS,
    os_version="13",
    glibc="2.41",
    pythons=(("/usr/local/bin/python3.11", "3.11"),),
    versioned_compilers={"gcc-12": "12.4.0", "g++-12": "12.4.0"},
)
SOURCE: dict[str, Any] = {"method": "source", "vllm": "0.31.0"}


def compiling(facts: Facts = TRIXIE, **build: Any) -> Site:
    return site(facts, environment={"manager": "uv"}, build={**SOURCE, **build})


def wheel(one: Site) -> CompiledWheel:
    (found,) = (each for each in vllm.resources(one) if isinstance(each, CompiledWheel))
    return found


ABSENT = "\n0\n\n"


def look(one: Site) -> None:
    """As `plan` does on a host that has no wheel."""
    wheel(one).diff(ABSENT)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return Store()


def keep(store: Store, one: Site, **changes: Any) -> None:
    """Put a wheel of what a host asks for into the store."""
    about: dict[str, Any] = {**dict.fromkeys(FIELDS, ""), "made": 1, "key": compilation.key(one)}
    about |= {"architecture": "x86_64", "glibc": "2.34", "cpu_flags": ["avx2"]}
    about |= {"wheel": "vllm-0.31.0-py3-none-any.whl", "sha256": hashlib.sha256(b"").hexdigest(), "commit": "c"}
    store.add(about | changes, lambda path: path.write_bytes(b""))


def test_a_compiled_wheel_is_made_and_then_installed() -> None:
    found = list(vllm.resources(compiling()))
    assert [type(each) for each in found[-2:]] == [CompiledWheel, Product]
    assert vllm.requirements(compiling())[:2] == ("vllm==0.31.0+cpu", "torch==2.13.0+cpu")
    assert "compiled" in vllm.state(compiling())
    assert 'stamp.check/check_tokens.py" cpu || exit 1' in found[-1].script


def test_what_it_takes_is_provisioned() -> None:
    (packages,) = (each for each in system.resources(compiling()) if isinstance(each, Packages))
    assert {"ccache", "libnuma-dev"} <= set(packages.names)
    assert "unearth" in environment.tools(compiling()).state
    assert "unearth" not in environment.tools(compiling(sources=["/srv/vllm"])).state
    assert "unearth" not in environment.tools(site()).state


def test_auto_compiles_only_what_has_no_wheel() -> None:
    assert not compiling(method="auto", vllm="auto").compiles
    assert not compiling(method="auto").compiles
    assert compiling(method="auto", vllm="0.33.0").compiles
    assert not compiling(method="auto", vllm="0.33.0", device="cuda").compiles
    assert not compiling(method="auto", wheel="/srv/vllm-0.31.0-cp311-cp311-linux_x86_64.whl").compiles


def test_auto_takes_the_newest_source() -> None:
    assert compiling(vllm="auto").release.version == "0.33.0"


@pytest.mark.parametrize(
    "change",
    [
        {"vllm": "0.32.0"},
        {"revision": "main"},
        {"cmake_args": "-DX=1"},
        {"cxx": "/opt/g++"},
        {"sources": ["/srv/vllm"]},
        {"sources": ["https://example.org/fork.git"]},
        {"allow_missing_isa": True},
        {"onednn": {"allow": True, "sources": ["/srv/onednn"]}},
    ],
)
def test_another_input_is_another_wheel(change: dict[str, Any]) -> None:
    assert compilation.key(compiling(**change)) != compilation.key(compiling())


@pytest.mark.parametrize(
    "change", [{"jobs": 1}, {"ccache": False}, {"onednn": {"sources": ["https://gitee.com/x.git"]}}]
)
def test_how_it_is_made_and_fetched_makes_no_other_wheel(change: dict[str, Any]) -> None:
    assert compilation.key(compiling(**change)) == compilation.key(compiling())


def test_hosts_of_one_kind_share_it() -> None:
    bigger = replace(TRIXIE, cores=64, memory=2**38, user="admin", account="admin", home="/home/admin")
    assert compilation.key(compiling(bigger)) == compilation.key(compiling())
    other = replace(TRIXIE, pythons=(("/usr/bin/python3", "3.12"),))
    assert compilation.key(compiling(other)) != compilation.key(compiling())


def test_the_host_is_told_everything() -> None:
    told = compilation.config(compiling(jobs=3, cmake_args="-DA=b -DC=$HOME;e", sources=["/srv/a 'b"]))
    assert (told["version"], told["torch"], told["jobs"]) == ("0.31.0", "2.13.0+cpu", 3)
    assert told["flags"] == "-DA=b -DC=$HOME;e"
    assert told["sources"] == ("/srv/a 'b",)
    assert told["build_requirements"] == "requirements/build/cpu.txt"
    assert (told["cc"], told["cxx"]) == ("/usr/bin/gcc-12", "/usr/bin/g++-12")
    assert told["onednn"]["setting"] == "onednn"


def test_torch_is_looked_for_nowhere_else_without_an_index() -> None:
    one = site(TRIXIE, environment={"manager": "uv"}, build=SOURCE, pip={"index": "none"})
    assert "download.pytorch.org" not in wheel(one).script
    assert "download.pytorch.org" in wheel(compiling()).script


def test_a_compiler_of_ones_own() -> None:
    told = compilation.config(compiling(cxx="~/gxx/bin/x86_64-conda-linux-gnu-g++"))
    assert told["cc"] == "/var/lib/vllm/gxx/bin/x86_64-conda-linux-gnu-gcc"


def test_memory_is_bounded_and_leaves_some_for_the_host() -> None:
    script = wheel(compiling(replace(TRIXIE, memory=4 * 2**30))).script
    assert f"MemoryMax={4 * 2**30 - 2**29}" in script


def test_the_shell_can_be_read() -> None:
    for each in (wheel(compiling()).script, wheel(compiling(sources=["/srv/a b"])).probe()):
        subprocess.run(["/bin/sh", "-n"], input=each, text=True, check=True)


BOOKWORM = replace(FACTS, versioned_compilers={"gcc-12": "12.2.0", "g++-12": "12.2.0"})


@pytest.mark.parametrize("facts", [FACTS, BOOKWORM])
def test_debian_12s_compiler_is_refused_also_before_it_is_installed(facts: Facts) -> None:
    with pytest.raises(IncompatibleError, match=r"12\.3.*12\.2") as refused:
        look(compiling(facts))
    assert "build.method: wheel" in refused.value.remedy
    assert "conda-forge gxx_linux-64=12.4 numactl-devel" in refused.value.remedy


def test_half_a_compiler_is_refused() -> None:
    half = replace(TRIXIE, versioned_compilers={"gcc-12": "12.4.0", "g++-12": "12.2.0"})
    with pytest.raises(IncompatibleError, match="of one version"):
        look(compiling(half))


@pytest.mark.parametrize("installed", [{}, {"gcc-12": "12.3.0"}])
def test_what_is_not_installed_has_no_other_version(installed: dict[str, str]) -> None:
    for os_id in ("linuxmint", "debian"):
        facts = replace(TRIXIE, os_id=os_id, versioned_compilers=installed)
        assert list(vllm.resources(compiling(facts)))


def test_a_major_version_may_be_enough_to_refuse() -> None:
    facts = replace(TRIXIE, os_id="ubuntu", os_version="22.04", versioned_compilers={})
    with pytest.raises(IncompatibleError, match=r"12\.3, and gcc-11 here is 11"):
        look(site(facts, compiler={"version": 11}, build=SOURCE, environment={"manager": "uv"}))


def test_arm_is_compiled_with_debian_12s_compiler() -> None:
    assert list(vllm.resources(compiling(replace(BOOKWORM, architecture="aarch64"))))


def test_kernels_are_lost_only_when_told() -> None:
    told = {"vllm": "0.9.0", "method": "source"}
    with pytest.raises(IncompatibleError, match=r"12\.3") as refused:
        look(compiling(FACTS, **told))
    assert "AVX512-BF16" in refused.value.cause
    assert "; or do without" in refused.value.remedy
    look(compiling(FACTS, **told, allow_missing_isa=True))
    look(compiling(replace(FACTS, cpu_flags=frozenset({"avx2"})), **told))


def test_a_release_without_a_wheel_names_those_with_one() -> None:
    with pytest.raises(IncompatibleError) as refused:
        look(compiling(BOOKWORM, vllm="0.33.0"))
    assert refused.value.remedy.startswith("take another release's prebuilt wheel (build.method: wheel, build.vllm")


def test_a_compiler_that_is_told_is_judged_on_the_host() -> None:
    assert list(vllm.resources(compiling(FACTS, cxx="/opt/gxx/bin/g++")))


def test_a_newer_packaged_compiler_is_named() -> None:
    old = site(
        replace(TRIXIE, versioned_compilers={}), compiler={"version": 11}, build=SOURCE, environment={"manager": "uv"}
    )
    old = replace(old, facts=replace(old.facts, versioned_compilers={"gcc-11": "11.5.0", "g++-11": "11.5.0"}))
    with pytest.raises(IncompatibleError) as refused:
        look(old)
    assert "compiler.version: 12" in refused.value.remedy


def test_a_recompiled_wheel_restarts_its_services() -> None:
    told = {"models": {"demo": {"method": "demo"}}, "services": {"demo": {"model": "demo"}}}
    one = site(TRIXIE, environment={"manager": "uv"}, build=SOURCE, **told)
    other = replace(one, facts=replace(one.facts, installed_wheel="abc"))
    prints = []
    for each in (one, other):
        resolved = each.settings.resolved_services()["demo"]
        prints.append(service._fingerprint(each, resolved, {}))
    assert prints[0] != prints[1]


@pytest.mark.parametrize(
    ("manifest", "size", "state", "difference"),
    [
        ({}, 0, "", "from source"),
        ({"key": "K", "size": 7}, 7, "", ""),
        ({"key": "K", "size": 7}, 6, "", "from source"),
        ({"key": "other", "size": 7}, 7, "", "from source"),
        ({"key": "K", "size": 7, "commit": "tree:1"}, 7, "tree:1", ""),
        ({"key": "K", "size": 7, "commit": "tree:1"}, 7, "tree:2", "has changed"),
        ({"key": "K", "size": 7, "commit": "v1", "onednn": {"commit": "tree:1"}}, 7, "tree:1\n", ""),
        ({"key": "K", "size": 7, "commit": "v1", "onednn": {"commit": "tree:1"}}, 7, "tree:2\n", "has changed"),
    ],
)
def test_what_is_found_on_the_host(manifest: dict[str, Any], size: int, state: str, difference: str) -> None:
    resource = replace(wheel(compiling()), key="K", watched=("/srv/vllm",) if state else ())
    found = resource.diff(f"{json.dumps(manifest) if manifest else ''}\n{size}\n\n{state}")
    assert bool(found) == bool(difference)
    assert not found or difference in found.text


def test_a_host_without_it_says_so_in_the_same_form() -> None:
    probe = ["sh", "-c", wheel(compiling()).probe()]
    done = subprocess.run(probe, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    assert re.fullmatch(r"\n0\n\d+ /\S* \n", done.stdout), done.stdout


def test_a_folder_that_is_not_there_has_no_state() -> None:
    probe = ["sh", "-c", wheel(compiling(sources=["/srv/nope"])).probe()]
    done = subprocess.run(probe, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    assert "cd" not in done.stdout
    resource = replace(wheel(compiling(sources=["/srv/nope"])), key="K")
    assert resource.diff('{"key": "K", "size": 7, "commit": "v0.31.0"}\n7\n\n') is None


def test_a_folder_of_onednn_is_watched_where_it_is_taken_whatever_it_is() -> None:
    folder = {"sources": ["~/onednn"]}
    assert wheel(compiling(onednn={**folder, "allow": True})).watched == ("/var/lib/vllm/onednn",)
    assert wheel(compiling(onednn=folder)).watched == ()
    assert wheel(compiling(arm_compute={**folder, "allow": True})).watched == ()


def test_too_little_disk_is_told_before_anything_is_changed() -> None:
    with pytest.raises(CommandError, match=r"1\.0 GB are free on /home"):
        wheel(compiling()).diff("\n0\n1000000000 /home \n")
    used = compilation.DISK // 1024
    assert wheel(compiling()).diff(f"\n0\n1000000000 /home {used}\n"), "an interrupted build has written it already"


def test_too_little_memory_is_told() -> None:
    with pytest.raises(IncompatibleError, match="too little memory"):
        look(compiling(replace(TRIXIE, memory=2**30)))


def test_without_avx2_nothing_is_compiled() -> None:
    with pytest.raises(IncompatibleError, match="AVX2"):
        wheel(compiling(replace(TRIXIE, cpu_flags=frozenset())))


def test_who_takes_a_wheel_needs_no_compiler(store: Store) -> None:
    look(compiling(BOOKWORM, on="builder1"))
    keep(store, compiling(BOOKWORM), glibc="2.99")
    with pytest.raises(IncompatibleError):
        look(compiling(BOOKWORM))
    keep(store, compiling(BOOKWORM))
    look(compiling(BOOKWORM))


def test_a_builder_hands_its_wheel_to_a_controller_that_lacks_it(store: Store) -> None:
    one = compiling(on="host")
    builder = replace(wheel(one), host="host")
    present = json.dumps({"key": builder.key, "size": 7}) + "\n7\n\n"
    found = builder.diff(present)
    assert found
    assert "for other hosts" in found.text
    keep(store, one)
    BUILDERS.expect(["host"])
    assert builder.diff(present) is None
    assert BUILDERS.finished["host"].is_set(), "who waits for the wheel does not wait for all else"


def test_an_interrupted_build_leaves_nothing_that_counts_as_proven() -> None:
    script = wheel(compiling()).script
    assert script.index("/.vllm-provisioning") < script.index("install_with_torch -r")


def test_a_scope_outlives_its_compiler_where_systemd_can() -> None:
    assert "OOMPolicy=continue" in wheel(compiling(replace(TRIXIE, systemd=257))).script
    assert "OOMPolicy" not in wheel(compiling(replace(TRIXIE, systemd=252))).script


def test_a_folder_has_a_state(tmp_path: Path) -> None:
    script = Path(compilation.__file__).parents[1] / "templates/tree_state.sh"

    def state() -> str:
        return subprocess.run(["sh", script, tmp_path], capture_output=True, text=True, check=True).stdout

    (tmp_path / "a 天").write_text("1")
    (tmp_path / ".git").mkdir()
    before = state()
    (tmp_path / ".git/index").write_text("changes with every look")
    assert state() == before
    (tmp_path / "a 天").write_text("12")
    assert state() != before

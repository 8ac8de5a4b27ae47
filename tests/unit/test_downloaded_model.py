"""What the model step yields for models to download, and what the probe of one means."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sites import site

from provisioning import steps
from provisioning.errors import ConfigurationError
from provisioning.resources import Directory, File, Program
from provisioning.resources.downloaded_model import DownloadedModel
from provisioning.settings import HostSettings
from provisioning.site import Site
from provisioning.steps import environment, model, service
from provisioning.templates.download_records import save


def told(**about: Any) -> dict[str, Any]:
    return {"models": {"m": {"id": "Qwen/Tiny", **about}}, "services": {"m": {"model": "m"}}}


def downloaded(**about: Any) -> DownloadedModel:
    *_, found = model.resources(site(told(**about)))
    assert isinstance(found, DownloadedModel)
    return found


def found_in(folder: Path, **about: Any) -> tuple[DownloadedModel, str]:
    resource = downloaded(path=str(folder), **about)
    done = subprocess.run(["sh", "-c", resource.probe()], capture_output=True, text=True, check=True)
    assert not done.stderr
    return resource, done.stdout


def recorded(folder: Path, **about: Any) -> None:
    """A folder with a downloaded model, as it is asked for by these settings."""
    (folder / "空 格").mkdir(parents=True)
    (folder / "空 格" / "config's.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    key = downloaded(path=str(folder), **about).key
    save(str(folder), {"key": key, "revision": "c0ffee"}, {"空 格/config's.json": "0", "model.safetensors": "1"})


def test_the_step_brings_the_program_the_folder_and_the_model() -> None:
    resources = list(model.resources(site(told())))
    assert Program("downloads", model.PROGRAM) in resources
    assert Directory("/var/lib/vllm/ModelSpace", "vllm", "vllm", lenient=True) in resources
    assert downloaded().path == "/var/lib/vllm/ModelSpace/m"


@pytest.mark.parametrize("other", [{"id": "Qwen/Other"}, {"method": "demo"}])
def test_two_models_want_two_folders(other: dict[str, Any]) -> None:
    services = {"m": {"model": "m"}, "n": {"model": "n", "port": 8001}}
    models = {"m": {"id": "Qwen/Tiny", "path": "/srv/x"}, "n": {**other, "path": "/srv/y/../x/"}}
    with pytest.raises(ConfigurationError, match="m and n would both be brought into"):
        list(model.resources(site({"models": models, "services": services})))
    assert list(model.resources(site({"models": models, "services": {"m": services["m"]}}))), "who is served counts"
    models["n"] = {"method": "path", "path": "/srv/x"}
    assert list(model.resources(site({"models": models, "services": services}))), "what is there may be served twice"


def test_every_module_of_the_program_is_sent() -> None:
    folder = Path(model.load("download_model.sh").filename or "").parent
    names = {each.name for pattern in ("download_*.py", "modelscope_*.py", "git_*.py") for each in folder.glob(pattern)}
    assert names == set(model.PROGRAM)


def test_to_download_takes_no_vllm_unless_a_model_is_trained() -> None:
    assert "vllm" not in steps.of(steps.DOWNLOAD, HostSettings.model_validate(told()))
    assert "vllm" in steps.of(steps.DOWNLOAD, HostSettings.model_validate(told(method="demo")))
    assert steps.of(steps.SERVE, HostSettings.model_validate(told())) == steps.SERVE


def test_the_tools_are_there_for_it() -> None:
    assert "requests==" in environment.tools(site(told())).state
    assert "requests==" not in environment.tools(site()).state


def test_nothing_is_there(tmp_path: Path) -> None:
    resource, actual = found_in(tmp_path / "none")
    difference = resource.diff(actual)
    assert difference
    assert difference.text == f"download {tmp_path}/none, from Qwen/Tiny at https://www.modelscope.cn"
    assert resource.undo(actual) == f"rm -rf -- {tmp_path}/none"


def test_it_is_there(tmp_path: Path) -> None:
    recorded(tmp_path / "m")
    resource, actual = found_in(tmp_path / "m")
    assert resource.diff(actual) is None
    assert resource.undo(actual) == ""


@pytest.mark.parametrize("change", ["gone", "longer", "touched"])
def test_a_file_is_not_as_it_was(tmp_path: Path, change: str) -> None:
    recorded(tmp_path / "m")
    file = tmp_path / "m/model.safetensors"
    if change == "gone":
        file.unlink()
    else:
        file.write_bytes(b"weights" if change == "touched" else b"more weights")
    resource, actual = found_in(tmp_path / "m")
    difference = resource.diff(actual)
    assert difference
    assert difference.text.startswith("files are missing or changed")


def test_a_file_of_somebody_else_is_no_difference(tmp_path: Path) -> None:
    recorded(tmp_path / "m")
    (tmp_path / "m/notes.txt").write_text("mine")
    resource, actual = found_in(tmp_path / "m")
    assert resource.diff(actual) is None


@pytest.mark.parametrize("other", [{"revision": "v2"}, {"exclude": ["*.md"]}, {"method": "sdk"}])
def test_something_else_is_asked_for(tmp_path: Path, other: dict[str, Any]) -> None:
    recorded(tmp_path / "m")
    resource, actual = found_in(tmp_path / "m", **other)
    difference = resource.diff(actual)
    assert difference
    assert difference.text.startswith("download what has changed")


def test_it_is_to_be_verified_once(tmp_path: Path) -> None:
    recorded(tmp_path / "m")
    asked = Site("web1", HostSettings.model_validate(told(path=str(tmp_path / "m"))), site().facts, "run1")
    *_, resource = model.resources(asked)
    actual = subprocess.run(["sh", "-c", resource.probe()], capture_output=True, text=True, check=True).stdout
    assert "hash all files" in str(resource.diff(actual))
    (tmp_path / "m/.vllm-provisioning/verified").write_text("run1\n")
    actual = subprocess.run(["sh", "-c", resource.probe()], capture_output=True, text=True, check=True).stdout
    assert resource.diff(actual) is None


def test_where_it_comes_from() -> None:
    where = downloaded(endpoint="https://me:secret@hub.lan", revision="v1").where
    assert where == "Qwen/Tiny (v1) at https://***@hub.lan"
    auto = model.config(site(told(method="auto")), "m", HostSettings.model_validate(told(method="auto")).models["m"])
    assert [(each["method"], each["endpoint"]) for each in auto["sources"]] == [
        ("git", "https://www.modelscope.cn"),
        ("sdk", "https://www.modelscope.cn"),
        ("huggingface", "https://huggingface.co"),
        ("huggingface", "https://hf-mirror.com"),
    ]


def test_a_token_is_told_and_no_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKEN", "s3cret")
    with_token = downloaded(token={"env": "HUB_TOKEN"})
    assert with_token.key == downloaded().key
    assert "s3cret" in with_token.script
    assert "s3cret" not in f"{with_token.probe()}{with_token.where}{with_token.name}"
    monkeypatch.setenv("HUB_TOKEN", "s3cret\n")  # as variables made of files often end
    assert downloaded(token={"env": "HUB_TOKEN"}).script == with_token.script


def test_a_service_knows_the_revision_that_it_serves() -> None:
    def fingerprint(revisions: dict[str, str]) -> str:
        files = [each for each in service.resources(site(told(), model_revisions=revisions)) if isinstance(each, File)]
        return next(each.content for each in files if each.path.endswith("m.env"))

    one, other = ({"/var/lib/vllm/ModelSpace/m": f"key {commit}"} for commit in ("c1", "c2"))
    assert fingerprint(one) == fingerprint(dict(one))
    assert fingerprint(one) != fingerprint(other)


def test_config_is_json(tmp_path: Path) -> None:
    asked = told(method="url", id=None, files=[{"url": "https://h/a%20b.bin?x=1", "sha256": "AB" * 32}])
    about = model.config(site(asked), "m", HostSettings.model_validate(asked).models["m"])
    assert json.loads(json.dumps(about))["files"] == [
        {"url": "https://h/a%20b.bin?x=1", "sha256": "ab" * 32, "path": "a b.bin"}
    ]

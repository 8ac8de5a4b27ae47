"""What goes wrong beside the line: logins, answers of another form, folders of other accounts, names in the way."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hubs.content import contents, make_model
from hubs.downloads import Download, same_files
from hubs.faulty_proxy import FaultyProxy
from hubs.hf_hub import HuggingFaceHub

from provisioning.templates import FOLDER
from provisioning.templates.download_records import in_the_way
from provisioning.templates.download_sources import safe

sys.path.insert(0, str(FOLDER))

import download_folder

ID = "Qwen/Tiny"


def test_a_login_of_the_account_does_not_take_the_place_of_the_token(
    download: Download, line: FaultyProxy, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other\n")
    download.environment = {"HOME": str(tmp_path)}
    download.succeed(token="s3cret")
    assert {request.headers["Authorization"] for request in line.requests} == {"Bearer s3cret"}


def test_one_file_that_cannot_be_had_stops_the_others(
    download: Download, hub: HuggingFaceHub, line: FaultyProxy, tmp_path: Path
) -> None:
    hub.add(ID, make_model(tmp_path / "model", weights=300_000))
    line.fail("*/model-0000*", method="GET", bytes_per_second=2_000)
    line.fail("*/config.json", method="GET", status=404)
    began = time.monotonic()
    code, said = download.run()
    assert code == 1
    assert "HTTP 404" in said
    assert time.monotonic() - began < 60, "the others take minutes"


@pytest.mark.parametrize("answer", ['{"sha": "x", "siblings": [{"rfilename": "a"}]}', '{"sha": 5, "siblings": 7}'])
def test_an_answer_of_another_form(download: Download, line: FaultyProxy, answer: str) -> None:
    line.fail("api/models/*", status=200, body=answer, headers={"Content-Type": "application/json"})
    code, said = download.run()
    assert code == 1
    assert "does the server speak this protocol?" in said
    assert "Traceback" not in said


def test_a_way_in_circles_is_told_at_once(download: Download, line: FaultyProxy) -> None:
    line.fail("*", status=302, headers={"Location": line.url("loop")})
    code, said = download.run()
    assert code == 1
    assert "redirects" in said
    assert "going on in" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="wants root, to become another account")
def test_a_folder_of_another_account(download: Download, tmp_path: Path) -> None:
    download.folder.mkdir()
    command = download.command()
    told = Path(command.pop()).read_bytes()
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run([*nobody, *command, "-"], input=told, capture_output=True, check=False)
    if b"can't open file" in done.stderr:
        pytest.skip("the program is in a folder that others cannot read")
    assert done.returncode == 1
    assert b"Permission denied. Give it to nobody, who serves the model" in done.stderr


def test_a_disk_that_is_read_only() -> None:
    said = download_folder.explained(OSError(errno.EROFS, "Read-only file system", "/mnt/m"), "/mnt/m")
    assert said.startswith("/mnt/m: Read-only file system. Give the model a path that can be written to")


def test_a_folder_where_a_file_belongs(download: Download) -> None:
    (download.folder / "config.json").mkdir(parents=True)
    code, said = download.run()
    assert code == 1
    assert f"{download.folder}/config.json: Is a directory. The model has a file of this name" in said


def test_a_file_becomes_a_folder_and_a_folder_a_file(download: Download, hub: HuggingFaceHub, model: Path) -> None:
    (model / "one").write_text("1")
    (model / "two").mkdir()
    (model / "two/other").write_text("2")
    hub.add(ID, model)
    download.succeed()
    (model / "one").unlink()
    (model / "one").mkdir()
    (model / "one/more").write_text("3")
    (model / "two/other").unlink()
    (model / "two").rmdir()
    (model / "two").write_text("4")
    hub.add(ID, model)
    download.succeed()
    assert same_files(download.folder, model)


@pytest.mark.parametrize("answer", [{"status": 405}, {"status": 200, "headers": {"Content-Length": "0"}}])
def test_a_server_that_tells_no_size(
    download: Download, line: FaultyProxy, model: Path, answer: dict[str, Any]
) -> None:
    name = "model-00001-of-00002.safetensors"
    url, sha256 = line.url(f"{ID}/resolve/main/{name}"), contents(model)[name].sha256
    line.fail(f"*/{name}", method="HEAD", **answer)
    download.sources[0] |= {"method": "url", "endpoint": ""}
    download.succeed(files=[{"url": url, "sha256": sha256, "path": name}])
    assert len(line.asked(f"*/{name}")) == 1


def test_what_is_in_the_way() -> None:
    assert in_the_way(["a", "b/c/d", "e", "f/g"], ["a/x", "b/c", "e", "f/h"]) == ["a", "b/c/d"]


@pytest.mark.parametrize("name", ["", "/a", "a/../b", "a//b", ".git/config", "a\0b", "\ud800", ".vllm-provisioning/x"])
def test_names_that_are_not_safe(name: str) -> None:
    assert not safe(name)


@pytest.mark.parametrize("name", ["a", "-a", "a\nb", "深/空", "..a", os.fsdecode(b"\xff")])
def test_names_that_are(name: str) -> None:
    assert safe(name)

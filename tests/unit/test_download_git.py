"""Downloading with git and git-lfs, from git's own HTTP server and a real LFS server (giftless) on loopback."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from hosts.system import require_system_packages
from hubs.content import make_model
from hubs.downloads import Download, same_files
from hubs.faulty_proxy import FaultyProxy
from hubs.git_hub import GitServer
from hubs.modelscope_hub import ModelScopeHub

ID = "Qwen/tiny"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[GitServer]:
    require_system_packages("git", "git-lfs")
    with GitServer(tmp_path_factory.mktemp("hub"), token="s3cret-token") as hub:
        hub.add(ID, model, tag="v1.0")
        hub.add("Qwen/private", model, private=True)
        yield hub


@pytest.fixture
def download(tmp_path: Path, line: FaultyProxy) -> Download:
    return Download(tmp_path / "tiny", [{"method": "git", "endpoint": line.url().rstrip("/")}], {"id": ID})


def test_it_brings_the_model_once(download: Download, model: Path, line: FaultyProxy) -> None:
    said = download.succeed()
    assert "proven by its SHA-256" in said
    assert same_files(download.folder, model)
    weights = download.folder / "model-00001-of-00002.safetensors"
    assert weights.stat().st_nlink == 2, "the object of LFS and the file are one"
    before = line.sent("*/objects/*")
    assert "proven" in download.succeed()
    assert line.sent("*/objects/*") == before
    status = subprocess.run(
        ["git", "status", "--porcelain", "-uno"], cwd=download.folder, capture_output=True, text=True, check=True
    )
    assert not status.stdout, "the clone is clean"


def in_git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_repository_of_something_else_is_left_alone(download: Download) -> None:
    download.folder.mkdir()
    in_git(download.folder, "init", "-q", "-b", "master")
    in_git(download.folder, "remote", "add", "origin", "https://me:pass@example.com/my/work.git")
    in_git(download.folder, "commit", "-q", "--allow-empty", "-m", "weeks of work")
    before = in_git(download.folder, "for-each-ref")
    code, said = download.run()
    assert code
    assert "is a clone of https://example.com/my/work.git: name another path for the model" in said
    assert "me:pass" not in said
    assert in_git(download.folder, "for-each-ref") == before
    assert in_git(download.folder, "remote", "get-url", "origin") == "https://me:pass@example.com/my/work.git"


def test_a_clone_that_a_person_made_is_taken(download: Download, model: Path, hub: GitServer) -> None:
    """As the tutorial has it: the same model, from another server, without its weights."""
    environment = {**os.environ, "GIT_LFS_SKIP_SMUDGE": "1"}
    subprocess.run(["git", "clone", "-q", f"{hub.url}/{ID}.git", download.folder], check=True, env=environment)
    in_git(download.folder, "remote", "set-url", "origin", "https://elsewhere.example/someone/Tiny")
    download.succeed()
    assert same_files(download.folder, model)


def test_a_person_can_pull(download: Download, hub: GitServer, model: Path, tmp_path: Path) -> None:
    changed = make_model(tmp_path / "changed", weights=1000)
    hub.add("Qwen/moving", model)
    download.succeed(id="Qwen/moving")
    hub.add("Qwen/moving", changed)
    subprocess.run(
        ["git", "pull", "-q"], cwd=download.folder, check=True, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    )
    assert same_files(download.folder, changed)


def test_a_newer_commit_is_taken_and_the_rest_stays(
    download: Download, hub: GitServer, model: Path, tmp_path: Path
) -> None:
    changed = make_model(tmp_path / "changed")
    (changed / "model-00002-of-00002.safetensors").unlink()
    (changed / "new.json").write_text("{}\n")
    hub.add("Qwen/growing", model)
    download.succeed(id="Qwen/growing")
    first = download.manifest["revision"]
    hub.add("Qwen/growing", changed)
    download.succeed()
    assert download.manifest["revision"] != first
    assert same_files(download.folder, changed)


def test_twenty_cuts_cost_next_to_nothing(
    download: Download, hub: GitServer, line: FaultyProxy, tmp_path: Path
) -> None:
    model = make_model(tmp_path / "large", weights=8_000_000)
    hub.add("Qwen/large", model)
    line.fail("*/objects/*", method="GET", cut_after=random.Random(4).randrange(400_000, 700_000), times=20)
    download.succeed(id="Qwen/large")
    assert line.faults["/*/objects/*"].times == 0
    assert same_files(download.folder, model)
    size = sum(path.stat().st_size for path in model.iterdir())
    assert line.sent("*/objects/*") <= 1.02 * size


def test_a_killed_run_goes_on(download: Download, line: FaultyProxy, model: Path) -> None:
    line.fail("*/objects/*", method="GET", bytes_per_second=200_000)
    process = download.start()
    while line.sent("*/objects/*") < 300_000:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    line.heal()
    download.succeed()
    assert same_files(download.folder, model)
    # What was on its way to who was killed comes again; what was on the disk does not.
    assert line.sent("*/objects/*") <= 1.2 * sum(path.stat().st_size for path in model.iterdir())


def test_what_is_spoilt_by_hand_is_fetched_again_alone(download: Download, line: FaultyProxy, model: Path) -> None:
    download.succeed()
    one, other = (download.folder / f"model-0000{part}-of-00002.safetensors" for part in (1, 2))
    untouched = other.stat().st_mtime_ns
    with one.open("r+b") as file:
        file.truncate(1000)
    before = line.sent("*/objects/*")
    said = download.succeed()
    assert one.name in said
    assert same_files(download.folder, model)
    assert other.stat().st_mtime_ns == untouched
    assert line.sent("*/objects/*") - before < 1.1 * one.stat().st_size


def test_wrong_bytes_on_the_disk_are_found_when_told_to_verify(download: Download, model: Path) -> None:
    download.succeed()
    weights = download.folder / "model-00001-of-00002.safetensors"
    times = weights.stat()
    with weights.open("r+b") as file:
        file.seek(5000)
        file.write(b"spoilt")
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    download.succeed()
    assert not same_files(download.folder, model), "sizes and times are as they were"
    assert weights.name in download.succeed(verify=True)
    assert same_files(download.folder, model)


def test_wrong_bytes_from_the_server_once(download: Download, line: FaultyProxy, model: Path) -> None:
    line.fail("*/objects/*", flip_at=100, method="GET", times=1)
    download.succeed()
    assert same_files(download.folder, model)


@pytest.mark.parametrize("status", [429, 503, 500])
def test_what_can_pass_is_tried_again(download: Download, line: FaultyProxy, model: Path, status: int) -> None:
    line.fail("*/objects/batch", status=status, headers={"Retry-After": "1"}, times=1)
    line.fail("*/info/refs", status=status, headers={"Retry-After": "1"}, times=1)
    download.succeed()
    assert same_files(download.folder, model)


@pytest.mark.parametrize("path", ["*/info/refs", "*/objects/batch"])
def test_it_waits_as_long_as_the_server_asks(download: Download, line: FaultyProxy, path: str) -> None:
    line.fail(path, status=429, headers={"Retry-After": "4"}, times=1)
    began = time.monotonic()
    download.succeed()
    assert time.monotonic() - began > 4


def test_it_waits_until_the_time_that_the_server_names(download: Download, line: FaultyProxy) -> None:
    line.fail("*/info/refs", status=429, headers={"Retry-After": formatdate(time.time() + 4, usegmt=True)}, times=1)
    began = time.time()
    download.succeed()
    assert time.time() - began > 3  # a date has no fractions of seconds


def test_a_way_in_circles_is_told_at_once(download: Download, line: FaultyProxy) -> None:
    line.fail("*", status=302, headers={"Location": line.url("loop")})
    code, said = download.run()
    assert code == 1
    assert "redirects followed" in said
    assert "going on in" not in said


def test_there_is_no_such_model(download: Download) -> None:
    code, said = download.run(id="Qwen/none")
    assert code == 1
    assert "there is no model Qwen/none" in said


def test_close_names_where_the_hub_lists_models(download: Download, hub: GitServer, model: Path) -> None:
    with ModelScopeHub(git=hub) as modelscope:
        modelscope.add(ID, model)
        download.sources[0]["endpoint"] = modelscope.url
        code, said = download.run(id="Qwen/tinny")
    assert code == 1
    assert f"did you mean {ID}?" in said


def test_there_is_no_such_revision(download: Download) -> None:
    code, said = download.run(revision="v1.1")
    assert code == 1
    assert "has no revision v1.1; did you mean v1.0?" in said


def test_a_private_model_wants_a_token(download: Download, model: Path) -> None:
    code, said = download.run(id="Qwen/private")
    assert code == 1
    assert "models/m/token" in said
    said = download.succeed(token="s3cret-token")
    assert same_files(download.folder, model)
    assert "s3cret" not in said
    assert (
        "s3cret"
        not in subprocess.run(
            ["grep", "-rl", "s3cret", "."], cwd=download.folder, capture_output=True, text=True, check=False
        ).stdout
    )


def test_patterns(download: Download) -> None:
    download.succeed(include=["*.json", "*00001*"], exclude=["*.md"])
    assert set(download.manifest["files"]) == {"config.json", "model-00001-of-00002.safetensors"}
    assert not (download.folder / "README.md").exists()

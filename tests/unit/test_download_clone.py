"""Git repositories as people have them: odd names, links, clones begun by hand, and settings of an account."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts.system import require_system_packages
from hubs.content import contents, make_model
from hubs.downloads import Download, same_files
from hubs.faulty_proxy import FaultyProxy
from hubs.git_hub import GitServer
from hubs.hf_hub import HuggingFaceHub

ID, WEIGHTS = "Qwen/tiny", "model-00001-of-00002.safetensors"
ODD = ("-rf.json", "a\nb.json", "q\"u'o.json", "back\\slash.json", " blank ", "[b]*?.json", "$HOME.json", "深/空.json")
SETTINGS = """
[core]
 autocrlf = true
[lfs]
 fetchexclude = *
 storage = {elsewhere}
 skipdownloaderrors = true
[fetch]
 recurseSubmodules = true
[user]
 useConfigOnly = true
[remote "origin"]
 prune = true
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[GitServer]:
    require_system_packages("git", "git-lfs")
    with GitServer(tmp_path_factory.mktemp("hub")) as hub:
        hub.add(ID, model)
        yield hub


@pytest.fixture
def download(tmp_path: Path, hub: GitServer) -> Download:
    return Download(tmp_path / "tiny", [{"method": "git", "endpoint": hub.url}], {"id": ID})


def git(folder: Path, *arguments: str) -> str:
    author = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "core.hooksPath=/dev/null")
    command = ["git", *author, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def push(hub: GitServer, folder: Path, id: str) -> None:
    """Commit a folder with git itself, whose tree may hold what no hub lets in."""
    bare = hub.folder / "git" / f"{id}.git"
    bare.mkdir(parents=True)
    git(bare, "init", "-q", "--bare", "-b", "master")
    git(folder, "init", "-q", "-b", "master")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    git(folder, "push", "-q", str(bare), "HEAD:master")


def test_odd_names_links_and_programs(download: Download, hub: GitServer, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name in ODD:
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(name)
    (work / "empty").touch()
    (work / "run.sh").touch(mode=0o755)
    for name, target in {"link": "-rf.json", "outside": "/etc/passwd", "folder": "深"}.items():
        (work / name).symlink_to(target)
    push(hub, work, "Qwen/odd")
    said = download.succeed(id="Qwen/odd")
    assert "outside is a link to /etc/passwd, which is no file of the repository: it is left out" in said
    assert {*ODD, "empty", "run.sh", "link"} == set(download.manifest["files"])
    assert all((download.folder / name).read_text() == name for name in ODD)
    assert (download.folder / "link").read_text() == "-rf.json"
    assert git(download.folder, "status", "--porcelain") == " D folder\n T link\n D outside\n"


def test_a_clone_made_by_hand_is_taken_and_costs_half(
    download: Download, hub: GitServer, model: Path, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", hub.clone_url(ID), str(download.folder))
    git(download.folder, "lfs", "pull")
    with FaultyProxy(hub.url) as line:
        download.sources[0]["endpoint"] = line.url().rstrip("/")
        download.succeed()
        assert not line.sent("*/objects/*")
    assert same_files(download.folder, model)
    objects = [path for path in (download.folder / ".git/lfs/objects").rglob("*") if path.is_file()]
    assert [path.stat().st_nlink for path in objects] == [2, 2]
    assert not git(download.folder, "status", "--porcelain")


def test_what_is_no_longer_used_costs_nothing(download: Download, hub: GitServer, tmp_path: Path) -> None:
    growing = make_model(tmp_path / "growing", weights=1000)
    hub.add("Qwen/moving", growing)
    download.succeed(id="Qwen/moving")
    hub.add("Qwen/moving", make_model(growing, weights=2000))
    download.succeed()
    download.succeed(exclude=["*-00002-of*"])
    objects = [path.name for path in (download.folder / ".git/lfs/objects").rglob("*") if path.is_file()]
    assert objects == [contents(growing)[WEIGHTS].sha256]
    with HuggingFaceHub() as other:
        other.add("Qwen/moving", make_model(growing, weights=3000))
        download.sources = [{"method": "huggingface", "endpoint": other.url}]
        download.succeed(exclude=[])
    assert not [path for path in (download.folder / ".git/lfs/objects").rglob("*") if path.is_file()]


def test_a_clone_that_was_cut_off_is_mended(download: Download, model: Path) -> None:
    (download.folder / ".git/objects").mkdir(parents=True)
    (download.folder / WEIGHTS).write_bytes(b"half a file")
    download.succeed()
    for lock in ("shallow.lock", "index.lock", "config.lock", "HEAD.lock"):
        (download.folder / ".git" / lock).touch()
    (download.folder / "config.json").unlink()
    download.succeed()
    assert same_files(download.folder, model)


def test_settings_of_the_account_do_no_harm(download: Download, model: Path, tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text(SETTINGS.format(elsewhere=tmp_path / "elsewhere"))
    download.environment = {**os.environ, "HOME": str(tmp_path)}
    download.succeed()
    assert same_files(download.folder, model)


@pytest.mark.parametrize(
    ("revision", "words"), [("master~1", "invalid refspec"), ("mastre", "did you mean master?"), ("f" * 40, "has no")]
)
def test_a_revision_that_cannot_be(download: Download, revision: str, words: str) -> None:
    code, said = download.run(revision=revision)
    assert code == 1
    assert words in said
    assert "going on in" not in said, "another attempt mends nothing"


def test_an_empty_repository(download: Download, hub: GitServer, tmp_path: Path) -> None:
    bare = hub.folder / "git/Qwen/empty.git"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    code, said = download.run(id="Qwen/empty")
    assert code == 1
    assert "has no default branch: it is empty" in said


def test_an_empty_object(download: Download, hub: GitServer, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "source")
    (folder / "empty.bin").write_bytes(b"")
    hub.add("Qwen/hollow", folder)
    download.succeed(id="Qwen/hollow")
    assert same_files(download.folder, folder)


def test_an_object_that_the_server_lost_is_named(download: Download, hub: GitServer, model: Path) -> None:
    hub.add("Qwen/lost", model)
    hub.object_path("Qwen/lost", contents(model)[WEIGHTS].sha256).unlink()
    code, said = download.run(id="Qwen/lost")
    assert code == 1
    assert WEIGHTS in said
    assert "does not exist" in said

"""The programs that are compared: how each downloads the model into a folder, with a home of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hubs.downloads import Download
from servers import ID

from provisioning.templates import modelscope_package

BIN = Path(sys.executable).parent
Commands = Callable[[str, Path, list[str]], list[list[str]]]
"""From a hub's URL, the target and the names of the model's files: the commands. The last one may be run again."""


@dataclass(frozen=True)
class Client:
    """One program. `protocol` names the hub that it asks."""

    name: str
    protocol: str
    commands: Commands

    @property
    def ours(self) -> bool:
        """Whether it is this project's."""
        return self.name.startswith("ours")

    def environment(self, url: str, home: Path) -> dict[str, str]:
        """Everything that it keeps elsewhere is below `home`."""
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        hubs = {"HF_ENDPOINT": url, "MODELSCOPE_ENDPOINT": url, "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
        return {**kept, **hubs, "HOME": str(home), "TMPDIR": str(home), "LC_ALL": "C.UTF-8"}


def ours(method: str) -> Commands:
    """Our program, as a host runs it."""

    def commands(url: str, target: Path, _: list[str]) -> list[list[str]]:
        lend_package(target.parent / "home")
        return [Download(target, [{"method": method, "endpoint": url}], {"id": ID}).command()]

    return commands


def lend_package(home: Path) -> None:
    """Let our program find ModelScope's package installed: it is the one that is compared."""
    cache = home / modelscope_package.CACHE.removeprefix("~/")
    cache.mkdir(parents=True, exist_ok=True)
    name = modelscope_package.PACKAGES[0].replace("==", "-")
    if not (cache / name).exists():
        (cache / name).symlink_to(sys.prefix)
        (cache / f"{name}.made-for").write_text(modelscope_package.made_for())


def lfs_pull(url: str, target: Path, _: list[str]) -> list[list[str]]:
    """`git clone` without weights, then `git lfs pull`."""
    install, clone = ["git", "lfs", "install"], ["git", "clone", "-q", f"{url}/{ID}.git", str(target)]
    return [install, ["env", "GIT_LFS_SKIP_SMUDGE=1", *clone], ["git", "-C", str(target), "lfs", "pull"]]


def git_clone(url: str, target: Path, _: list[str]) -> list[list[str]]:
    """`git clone` alone: weights come while git checks out."""
    return [["git", "lfs", "install"], ["git", "clone", "-q", f"{url}/{ID}.git", str(target)]]


def hf(_: str, target: Path, __: list[str]) -> list[list[str]]:
    """huggingface_hub's command line."""
    return [[str(BIN / "hf"), "download", ID, "--local-dir", str(target)]]


def modelscope(_: str, target: Path, __: list[str]) -> list[list[str]]:
    """ModelScope's command line."""
    return [[str(BIN / "modelscope"), "download", "--model", ID, "--local_dir", str(target)]]


def aria2(*options: str) -> Commands:
    """aria2c with a list of all files."""

    def commands(url: str, target: Path, names: list[str]) -> list[list[str]]:
        rows = [f"{url}/{ID}/resolve/main/{name}\n  out={name}\n" for name in names]
        listed = target.parent / "files.txt"
        listed.write_text("".join(rows))
        return [["aria2c", "-q", *options, "-d", str(target), "-i", str(listed)]]

    return commands


CLIENTS = (
    Client("ours, git", "git", ours("git")),
    Client("git lfs pull", "git", lfs_pull),
    Client("git clone", "git", git_clone),
    Client("ours, huggingface", "huggingface", ours("huggingface")),
    Client("hf download", "huggingface", hf),
    Client("aria2c", "huggingface", aria2()),
    Client("aria2c -x16 -s16", "huggingface", aria2("-x16", "-s16", "-k1M", "-c")),
    Client("ours, sdk", "modelscope", ours("sdk")),
    Client("ours, cli", "modelscope", ours("cli")),
    Client("modelscope download", "modelscope", modelscope),
)

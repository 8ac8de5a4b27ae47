"""A stand-in for vLLM's sources that compiles in seconds, with the build interface of the real ones.

It is read by the same setup.py variables (VLLM_TARGET_DEVICE, MAX_JOBS, FETCHCONTENT_SOURCE_DIR_ONEDNN,
SETUPTOOLS_SCM_PRETEND_VERSION, CMAKE_ARGS), compiled by the same cmake and ninja, and names its requirements in the
same files. What it proves: fetching, compiling, following, storing, installing, checking. What it does not prove: that
vLLM itself compiles and serves; that is test_compile_vllm.py, among the long tests. Torch and transformers are real.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..system import free_port

FILES = Path(__file__).parent / "files"
VERSION = "0.31.0"
HOLD, HEAVY = "/srv/hold", "/srv/heavy"
"""While the first exists on a machine, a compilation waits halfway; where the second does, one file takes long."""


def make(folder: Path) -> Path:
    """Lay the sources out as a repository with the tag of the version."""
    source = folder / "vllm"
    shutil.copytree(FILES, source)
    git = ["git", "-C", str(source), "-c", "user.name=tests", "-c", "user.email=tests@localhost"]
    subprocess.run(["git", "init", "-q", source], check=True)
    for command in (["add", "."], ["commit", "-qm", "miniature"], ["tag", f"v{VERSION}"]):
        subprocess.run([*git, *command], check=True)
    return source


def make_onednn(folder: Path, version: str = "3.13.0") -> Path:
    """Lay out a tarball `v3.13.tar.gz` of a library that calls itself oneDNN of this version."""
    tree = folder / f"oneDNN-{version}"
    tree.mkdir()
    (tree / "CMakeLists.txt").write_text(
        f'cmake_minimum_required(VERSION 3.18)\nset(PROJECT_VERSION "{version}")\nproject(oneDNN CXX)\n'
        "add_library(dnnl STATIC dnnl.cpp)\nset_target_properties(dnnl PROPERTIES POSITION_INDEPENDENT_CODE ON)\n"
    )
    (tree / "dnnl.cpp").write_text("int dnnl_version() { return 3; }\n" + "// padding\n" * 200_000)
    archive = folder / "v3.13.tar.gz"
    subprocess.run(["tar", "-C", folder, "-czf", archive, tree.name], check=True)
    shutil.rmtree(tree)
    return archive


@contextmanager
def git_daemon(folder: Path) -> Iterator[str]:
    """Serve the repositories of a folder over git's own protocol, on loopback; gives the URL."""
    port = free_port()
    command = ["git", "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}", f"--base-path={folder}"]
    environment = {**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory"}
    environment["GIT_CONFIG_VALUE_0"] = "*"
    with subprocess.Popen([*command, "--export-all", "--enable=upload-pack", folder], env=environment) as daemon:
        try:
            for _ in range(1000):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"git://127.0.0.1:{port}"
        finally:
            daemon.terminate()

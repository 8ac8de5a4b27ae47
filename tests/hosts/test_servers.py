"""The file server, the proxy and the stand-in installer fail as they are told, and only so."""

from __future__ import annotations

import hashlib
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from .machine import Machine
from .miniconda import FILE, make_installer
from .proxy import Proxy
from .servers import FileServer
from .serving import wait_until
from .system import require_system_packages

HALF = 2**20


@pytest.fixture
def served(file_server: FileServer) -> bytes:
    data = bytes(range(256)) * (2 * HALF // 256)
    (file_server.folder / "file").write_bytes(data)
    return data


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        return answer.status, answer.read()


def test_ranges(file_server: FileServer, served: bytes) -> None:
    url = file_server.url("file")
    assert fetch(url) == (200, served)
    assert fetch(url, Range="bytes=100-199") == (206, served[100:200])
    assert fetch(url, Range=f"bytes={HALF}-") == (206, served[HALF:])
    with pytest.raises(urllib.error.HTTPError, match="416"):
        fetch(url, Range=f"bytes={2 * HALF}-")
    file_server.fail("file", ignore_range=True)
    assert fetch(url, Range=f"bytes={HALF}-") == (200, served)
    assert [request.status for request in file_server.asked("file")] == [200, 206, 206, 416, 200]
    assert file_server.sent("file") == 5 * HALF + 100


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_statuses(file_server: FileServer, served: bytes, status: int) -> None:
    file_server.fail("file", status=status, body="go away", times=1)
    with pytest.raises(urllib.error.HTTPError, match=str(status)) as caught:
        fetch(file_server.url("file"))
    assert caught.value.read() == b"go away\n"
    assert fetch(file_server.url("file")) == (200, served)


def test_cuts_and_stalls_are_resumed_by_curl(file_server: FileServer, served: bytes, tmp_path: Path) -> None:
    require_system_packages("curl")
    curl = ["curl", "-sS", "-C-", "-o", str(tmp_path / "got"), file_server.url("file")]
    file_server.fail("file", cut_after=HALF)
    assert subprocess.run(curl, check=False).returncode == 18
    file_server.fail("file", stall_after=1000)
    assert subprocess.run([*curl, "--max-time", "3"], check=False).returncode == 28
    file_server.heal()
    subprocess.run(curl, check=True)
    assert (tmp_path / "got").read_bytes() == served
    assert file_server.sent("file") == len(served)


def test_proxy_counts_cuts_and_refuses(bookworm: Machine, proxy: Callable[[Machine], Proxy]) -> None:
    line = proxy(bookworm)
    options = ["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    ssh = [
        "ssh",
        *options,
        "-o",
        "LogLevel=ERROR",
        "-i",
        str(bookworm.key),
        "-p",
        str(line.port),
        f"root@{line.address}",
    ]
    assert subprocess.run([*ssh, "echo here"], capture_output=True, check=True).stdout == b"here\n"
    assert line.connections == 1
    long = subprocess.Popen([*ssh, "echo up; sleep 60"], stdout=subprocess.PIPE)
    assert long.stdout
    assert long.stdout.readline() == b"up\n"
    wait_until(lambda: line.alive == 1, "end of the connection before", 60)
    line.cut()
    assert long.wait(60) == 255
    line.refusing = True
    assert subprocess.run([*ssh, "true"], check=False).returncode == 255
    assert line.connections == 3
    line.refusing = False
    line.cut_after = 100_000
    assert subprocess.run([*ssh, "head -c 1M /dev/zero"], stdout=subprocess.DEVNULL, check=False).returncode == 255


def test_proxy_stalls(bookworm: Machine, proxy: Callable[[Machine], Proxy]) -> None:
    line = proxy(bookworm)
    options = ["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    ssh = ["ssh", *options, "-i", str(bookworm.key), "-p", str(line.port), f"root@{line.address}", "echo here"]
    line.stall()
    slow = subprocess.Popen(ssh, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with pytest.raises(subprocess.TimeoutExpired):
        slow.wait(1)
    line.resume()
    assert slow.communicate(timeout=60)[0] == b"here\n"


def test_installer_is_whole_or_refuses(tmp_path: Path) -> None:
    installer = tmp_path / FILE
    assert make_installer(installer, megabytes=3) == hashlib.sha256(installer.read_bytes()).hexdigest()
    assert installer.stat().st_size == 3 * 2**20
    whole = installer.read_bytes()
    installer.write_bytes(whole[:HALF])
    cut = subprocess.run(
        ["sh", str(installer), "-b", "-p", str(tmp_path / "conda")], capture_output=True, text=True, check=False
    )
    assert cut.returncode
    assert "should be 3145728 bytes" in cut.stderr
    assert not (tmp_path / "conda").exists()


def test_conda_of_the_stand_in(either: Machine) -> None:
    make_installer(either.root / "srv/installer.sh", megabytes=1)
    assert "-p PREFIX" in either.run("sh /srv/installer.sh -h").stdout
    run = partial(either.run, user="admin", check=False)
    install = "sh /srv/installer.sh -b -u -p ~/miniconda3"
    for _ in range(2):
        assert run(install).returncode == 0
    assert "already exists" in run(install.replace("-u ", "")).stderr
    assert run("~/miniconda3/bin/conda --version").stdout == "conda 25.7.0\n"
    assert run("~/miniconda3/bin/conda init bash zsh").stdout.count("modified") == 2
    assert "No action taken." in run("~/miniconda3/bin/conda init bash zsh").stdout
    assert run("grep -c '>>> conda initialize >>>' ~/.bashrc ~/.zshrc").stdout.split() == [
        "/home/admin/.bashrc:1",
        "/home/admin/.zshrc:1",
    ]
    assert json.loads(run("~/miniconda3/bin/conda info --json").stdout)["envs"] == ["/home/admin/miniconda3"]


def test_conda_environments(bookworm: Machine) -> None:
    make_installer(bookworm.root / "srv/installer.sh")
    run = partial(bookworm.run, user="operator", check=False)
    assert run("sh /srv/installer.sh -b -p ~/miniconda3").returncode == 0
    conda = "~/miniconda3/bin/conda"
    assert "CondaToSNonInteractiveError" in run(f"{conda} create --yes --name vLLM python=3.11").stderr
    missing = run(f"{conda} create --yes --name vLLM --override-channels -c conda-forge python=3.10")
    assert "PackagesNotFoundError" in missing.stderr
    assert run(f"{conda} tos accept").returncode == 0
    assert run(f"{conda} create --yes --name vLLM python=3.11").returncode == 0
    assert run(f"{conda} run -n vLLM python -c 'import sys; print(sys.prefix)'").stdout.endswith("/envs/vLLM\n")
    assert json.loads(run(f"{conda} env list --json").stdout)["envs"][1].endswith("miniconda3/envs/vLLM")
    interactive = "bash -ic 'conda activate vLLM && command -v python'"
    assert run(f"{conda} init bash && {interactive}").stdout.endswith("/miniconda3/envs/vLLM/bin/python\n")
    assert run(f"{conda} remove -y -n vLLM --all && ls ~/miniconda3/envs").stdout == ""

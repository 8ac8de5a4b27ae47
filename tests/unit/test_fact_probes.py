"""What decides whether a host is asked anew."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from provisioning import fact_probes


def keys(shell: str = "sh", **places: Path) -> dict[str, str]:
    """What a host says that decides other answers, where some places of it are elsewhere."""
    script = fact_probes.probes("auto", "/opt", [])["keys"].script
    names = {"switch": "/etc/nsswitch.conf", "services": "/run/vllm", "updates": "/var/lib/dpkg/updates"}
    for name, place in places.items():
        script = script.replace(names[name], str(place)).replace("| /run/*", f"| /run/* | {place}/*")
    command = [shell, "-c", f"uid=7 cpus=0-1\n{script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not done.stderr
    return dict(row.split("=", 1) for row in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("sources", "are_files"),
    [
        ("passwd: files systemd\ngroup: files\nhosts: files dns\n", True),
        ("passwd: files\ngroup: files sss\n", False),
        ("passwd: files\ngroup: files sss", False),
        ("passwd:\tldap files\ngroup: files\n", False),
        ("passwd:ldap files\ngroup: files\n", False),
        ("passwd: files [NOTFOUND=return]\ngroup: files\n", False),
        (None, False),
    ],
)
def test_accounts_are_the_same_while_their_files_are(sources: str | None, are_files: bool, tmp_path: Path) -> None:
    """Where no server has others."""
    switch = tmp_path / "nsswitch.conf"
    if sources is not None:
        switch.write_text(sources)
    accounts = keys(switch=switch)["accounts"].split()
    assert accounts[:1] == ["7"] * are_files
    assert any(word.startswith("/etc/passwd,") for word in accounts) == are_files


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_services_are_the_same_while_they_live(shell: str, tmp_path: Path) -> None:
    """A number that has become another process's is no life."""
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "state.json").write_text("{}")
    began = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    ended = subprocess.Popen(["true"])
    ended.wait()
    lives = {f"{os.getpid()} {began}": True, f"{os.getpid()} {began}\n": True, f"{os.getpid()} 1": False}
    lives |= {f"{ended.pid} {began}": False, f"{os.getpid()}": False, f"{ended.pid}": False}
    lives |= {"": False, f"../{os.getpid()} {began}": False, "-1 1": False}
    for written, is_alive in lives.items():
        (folder / "session").write_text(written)
        assert (str(folder) in keys(shell, services=tmp_path)["services"]) == is_alive, written
    (folder / "session").unlink()
    os.mkfifo(folder / "session")
    assert keys(shell, services=tmp_path)["services"] == ""


def test_packages_are_asked_for_while_dpkg_is_at_work(tmp_path: Path) -> None:
    if not Path("/var/lib/dpkg/status").exists():
        pytest.skip("no dpkg here")
    assert keys(updates=tmp_path)["software"]
    (tmp_path / "0001").touch()
    assert not keys(updates=tmp_path)["software"]

"""~/.ssh/config with Include lines, held against OpenSSH's own reading where there is an ssh."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from provisioning.transport import ssh_config

FILES = {
    "config": """\
include {0}/conf.d/*.conf
User everybody
Host box
    HostName 192.0.2.1
    Include "{0}/with space" {0}/conf.d/port {0}/nowhere/*
    Compression yes
Host *
    HostName 192.0.2.99
""",
    "conf.d/1.conf": "ServerAliveInterval 7\nHost inner\n  HostName 192.0.2.2\n  Include={0}/conf.d/port",
    "conf.d/2.conf": "Host other\n  HostName 192.0.2.3",
    "conf.d/port": "Port 2222",
    "with space": "IdentityFile /nowhere",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder such as ~/.ssh."""
    (tmp_path / "conf.d/4.conf").mkdir(parents=True)
    for name, content in FILES.items():
        (tmp_path / name).write_text(content.format(tmp_path))
    return tmp_path


def read(folder: Path, host: str) -> dict[str, str]:
    """What is found of a host."""
    import paramiko

    config = paramiko.SSHConfig()
    config.parse(ssh_config.lines(folder / "config", folder))
    found = dict(config.lookup(host))
    return {key: found.get(key, "") for key in ("hostname", "port", "user", "compression", "serveraliveinterval")}


def test_files_are_read_where_they_are_included(folder: Path) -> None:
    common = {"user": "everybody", "serveraliveinterval": "7"}
    assert read(folder, "box") == {**common, "hostname": "192.0.2.1", "port": "2222", "compression": "yes"}
    assert read(folder, "inner") == {**common, "hostname": "192.0.2.2", "port": "2222", "compression": ""}
    assert read(folder, "other") == {**common, "hostname": "192.0.2.3", "port": "", "compression": ""}


@pytest.mark.skipif(not shutil.which("ssh"), reason="no ssh is here")
@pytest.mark.parametrize("host", ["box", "inner", "other", "else"])
def test_as_openssh_reads_them(folder: Path, host: str) -> None:
    command = ["ssh", "-G", "-F", str(folder / "config"), host]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    for key, value in read(folder, host).items():
        assert not value or theirs[key] == value, key


def test_files_that_include_each_other_are_told(folder: Path) -> None:
    (folder / "conf.d/2.conf").write_text("Include config")  # without a folder it is one of ~/.ssh
    with pytest.raises(ValueError, match="deeper than 16"):
        read(folder, "box")


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert list(ssh_config.lines(tmp_path / "config", tmp_path)) == []

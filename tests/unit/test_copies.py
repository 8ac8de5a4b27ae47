"""Copies between hosts, without hosts: keys that are let in and taken back, ssh's settings, this machine's sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from provisioning.copies.copying import copy
from provisioning.copies.place import Place, SourceLostError
from provisioning.copies.share_script import AUTHORIZE, daemon_settings
from provisioning.copies.ways import ssh_config
from provisioning.host import Host
from provisioning.templates.download_records import OURS as RECORDS
from provisioning.transport.base import Reached, Stream
from provisioning.transport.local import LocalTransport

OURS = 'restrict,command="serve" ssh-ed25519 KEY vllm-provisioning-1'


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / ".ssh/authorized_keys"


def authorize(keys: Path, line: str) -> None:
    home = str(keys.parent.parent)
    subprocess.run(["sh", "-c", AUTHORIZE, "sh", home, "vllm-provisioning-1", line], check=True)


def test_a_key_is_let_in_and_taken_back(keys: Path) -> None:
    keys.parent.mkdir()
    keys.write_text("ssh-ed25519 MINE me")
    keys.chmod(0o640)
    for _ in range(2):
        authorize(keys, OURS)
    mine, ours = keys.read_text().splitlines()
    assert mine == "ssh-ed25519 MINE me", "a line without an end is not continued"
    assert ours.startswith('expiry-time="2')
    assert ours.endswith(f'",{OURS}')
    authorize(keys, "")
    assert keys.read_text() == "ssh-ed25519 MINE me\n"
    assert keys.stat().st_mode & 0o777 == 0o640
    assert os.listdir(keys.parent) == ["authorized_keys"]


def test_where_there_were_no_keys_there_are_none_again(keys: Path) -> None:
    authorize(keys, OURS)
    assert keys.stat().st_mode & 0o777 == 0o600
    assert keys.parent.stat().st_mode & 0o777 == 0o700
    authorize(keys, "")
    assert not keys.exists()


def test_a_link_stays_one(keys: Path, tmp_path: Path) -> None:
    keys.parent.mkdir()
    (tmp_path / "elsewhere").write_text("ssh-ed25519 MINE me\n")
    keys.symlink_to(tmp_path / "elsewhere")
    authorize(keys, OURS)
    assert keys.is_symlink()
    assert len((tmp_path / "elsewhere").read_text().splitlines()) == 2


def test_keys_survive_a_full_disk(keys: Path) -> None:
    """/dev/full cannot be written beside, so a limit on the size of files stands in for the disk."""
    keys.parent.mkdir()
    before = "ssh-ed25519 MINE me\n" * 200
    keys.write_text(before)
    limited = f"ulimit -f 4; {AUTHORIZE}"
    done = subprocess.run(["sh", "-c", limited, "sh", str(keys.parent.parent), "tag", OURS], check=False)
    assert done.returncode
    assert keys.read_text() == before


def test_ssh_trusts_the_one_host_key_and_offers_the_one_key() -> None:
    config = ssh_config(Reached("2001:db8::1", 2222, "root", "ssh-ed25519 AAAA"), "/private")
    for line in ("HostName 2001:db8::1", "Port 2222", "IdentityFile /private/key", "StrictHostKeyChecking yes"):
        assert f"    {line}\n" in config


def test_the_daemon_gives_one_folder_to_read() -> None:
    settings = daemon_settings("/share", "/srv/模型 a")
    assert "read only = yes\n" in settings
    assert settings.endswith("[model]\npath = /srv/模型 a\n")


def test_this_machine_listens_and_keeps_commands_running() -> None:
    """What is sent to the port comes back from a command, byte for byte."""
    transport, data = LocalTransport(), os.urandom(300_000)

    def carry(stream: Stream) -> None:
        with transport.hold("cat", b"") as held:
            threading.Thread(target=lambda: (held.write(data), held.finish()), daemon=True).start()
            while chunk := held.read():
                stream.sendall(chunk)
        stream.shutdown(socket.SHUT_WR)
        stream.close()

    with (
        transport.listen(lambda stream: threading.Thread(target=carry, args=(stream,)).start()) as port,
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        assert b"".join(iter(lambda: client.recv(65536), b"")) == data
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize("manifest", ["", "[]", '{\n "key": "k",\n "files": []}', '{"key": "k", "files": {"a": {}}}'])
def test_a_host_with_spoilt_records_is_no_source(tmp_path: Path, manifest: str) -> None:
    (tmp_path / RECORDS).mkdir()
    (tmp_path / RECORDS / "manifest.json").write_text(manifest)
    here = Host("here", LocalTransport(), may_become=False)
    place = Place(here, str(tmp_path), "", "")
    with pytest.raises(SourceLostError, match="spoilt records"):
        copy(place, place, key="k", model="m", script="", tell=lambda _: None)

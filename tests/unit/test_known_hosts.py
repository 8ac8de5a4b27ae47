"""Host keys that are written down, in files as OpenSSH writes them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from provisioning.transport import known_hosts


def public_key() -> str:
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


A, B = public_key(), public_key()


@pytest.fixture
def connection(tmp_path: Path) -> Any:
    return SimpleNamespace(
        host="web1", port=22, client=paramiko.SSHClient(), ssh_config={"userknownhostsfile": str(tmp_path / "known")}
    )


def keys(connection: Any) -> list[str]:
    known_hosts.tell(connection)
    found = connection.client.get_host_keys().lookup(known_hosts.name_of(connection)) or {}
    return [f"{kind} {key.get_base64()}" for kind, key in found.items()]


@pytest.mark.parametrize(
    ("port", "line"),
    [
        (22, f"web1 {A}"),
        (22, f"web0,web1,192.0.2.1 {A}"),
        (22, f"{paramiko.HostKeys.hash_host('web1')} {A}"),
        (2222, f"[web1]:2222 {A}"),
    ],
    ids=["plain", "several names", "hashed", "with its port"],
)
def test_a_key_that_is_written_down(connection: Any, tmp_path: Path, port: int, line: str) -> None:
    (tmp_path / "known").write_text(f"# a remark\nweb2 {B}\nnonsense\n{line}\nweb1 {B}\n[web1]:2222 {B}\n")
    connection.port = port
    assert keys(connection) == [A]


def test_others_are_none_of_its_business(connection: Any, tmp_path: Path) -> None:
    assert keys(connection) == []
    (tmp_path / "known").write_text(f"web2 {A}\n[web1]:2222 {A}\n")
    assert keys(connection) == []


def test_a_file_that_changes_is_read_again(connection: Any, tmp_path: Path) -> None:
    (tmp_path / "known").write_text(f"web2 {A}")
    assert keys(connection) == []
    known_hosts.append(connection, "web1", paramiko.Ed25519Key(data=paramiko.pkey.PublicBlob.from_string(A).key_blob))
    assert (tmp_path / "known").read_text() == f"web2 {A}\nweb1 {A}\n"
    connection.client = paramiko.SSHClient()
    assert keys(connection) == [A]

"""Which files of keys are encrypted, and what opens them: every kind that OpenSSH makes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from provisioning.transport import key_files

KEYS: dict[str, Any] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa": rsa.generate_private_key(65537, 2048),
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
}
OPENSSH, PEM = PrivateFormat.OpenSSH, PrivateFormat.TraditionalOpenSSL


def write(file: Path, kind: str, form: PrivateFormat, passphrase: str = "") -> str:
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    file.write_bytes(KEYS[kind].private_bytes(Encoding.PEM, form, encryption))
    return str(file)


@pytest.mark.parametrize(
    ("kind", "form"), [("ed25519", OPENSSH), ("rsa", OPENSSH), ("rsa", PEM), ("ecdsa", OPENSSH), ("ecdsa", PEM)]
)
def test_what_opens_a_key(kind: str, form: PrivateFormat, tmp_path: Path) -> None:
    encrypted = write(tmp_path / "encrypted", kind, form, "你好 $HOME")
    assert key_files.opens(encrypted, "你好 $HOME")
    assert not key_files.opens(encrypted, "not it")
    assert not key_files.opens(encrypted, None)
    plain = write(tmp_path / "plain", kind, form)
    assert key_files.opens(plain, None)
    assert key_files.opens(plain, "needless")


def test_which_key_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    usual = write(tmp_path / ".ssh/id_ed25519", "ed25519", OPENSSH, "secret")
    plain, other = write(tmp_path / "plain", "rsa", OPENSSH), write(tmp_path / "other", "ecdsa", OPENSSH, "of another")
    (tmp_path / "noise").write_text("no key")

    def locked(*names: str, passphrase: str | None = None) -> str:
        told = {"key_filename": list(names), "passphrase": passphrase}
        return key_files.locked(SimpleNamespace(connect_kwargs=told))

    assert locked() == usual
    assert not locked(passphrase="secret")
    assert not locked(plain, str(tmp_path / "noise"), str(tmp_path / "gone")), "the usual one is not tried"
    assert locked(plain, other, passphrase="secret") == other

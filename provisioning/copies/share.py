"""A model's folder, shared with one other host: by rsync, for reading, until the connection that shares it ends.

One script is kept running on the source. It writes what rsync's daemon needs, lets a key in that can do nothing but
start that daemon, and takes all of it back when its input ends or falls silent: a killed controller leaves nothing.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path

from provisioning.copies.place import Place, SourceLostError, asking_the_source
from provisioning.copies.share_script import SHARE, daemon_settings
from provisioning.host import quote
from provisioning.lock import beating
from provisioning.places import STATE
from provisioning.transport.base import Held


class Share:
    """A place, shared. `tag` says with whom, and for what; there is one share of a tag at a time."""

    def __init__(self, place: Place, tag: str) -> None:
        self.place = place
        self.secret = secrets.token_hex(16)
        """What rsync lets in with, whichever way one comes."""
        self.key_is_let_in = False
        """Whether the source lets `private_key` in."""
        self._tag = f"vllm-provisioning-{hashlib.sha256(tag.encode()).hexdigest()[:16]}"
        self._stack = ExitStack()
        self._connection = -1

    def __enter__(self) -> Share:
        """Share it. Raises `SourceLostError`."""
        self.renew()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it back."""
        self._stack.close()

    def renew(self) -> None:
        """Share it again where the connection that shared it was lost. Raises `SourceLostError`."""
        transport = self.place.host.transport
        with asking_the_source():
            transport.execute("true", (), timeout=30)
            if self._connection != transport.connections:
                self._stack.close()
                self._connection = transport.connections
                self._open()

    def _open(self) -> None:
        held = self._stack.enter_context(self.place.host.keep(self._script(), as_root=self.place.as_root))
        answer = next(iter(held.lines()), "")
        self.key_is_let_in = answer == "direct"
        if not self.key_is_let_in and not answer.startswith("shared"):
            raise SourceLostError(f"{self.place.host.name}: the model cannot be shared", cause=answer)
        self._stack.callback(_wait_for_end, held)
        self._stack.enter_context(beating(held.write))

    @property
    def _folder(self) -> str:
        root = STATE if self.place.as_root else str(Path.home() / ".cache/vllm-provisioning")
        return f"{root}/shares/{self._tag}"

    def _script(self) -> str:
        daemon = daemon_settings(self._folder, self.place.path)
        serve = self._serve(as_root=self._user == "root").replace('"', '\\"')
        return SHARE.format(
            folder=quote(self._folder),
            turn=secrets.token_hex(8),
            user=quote(self._user),
            tag=self._tag,
            daemon=base64.b64encode(daemon.encode(errors="surrogateescape")).decode(),
            secret=self.secret,
            account=quote(self.place.account),
            line=quote(f'restrict,command="{serve}" {self._pair[1]} {self._tag}'),
        )

    @property
    def _user(self) -> str:
        """Who is let in by the key; nobody where that user is not the account that serves, nor can become it."""
        reached = self.place.host.transport.reached()
        return reached.user if reached and reached.user in ("root", self.place.account) else ""

    def _serve(self, *, as_root: bool) -> str:
        """Shell that speaks rsync's protocol on its input and output, as the account that serves."""
        become = f"runuser -u {quote(self.place.account)} -- " if as_root else ""
        return f"exec {become}rsync --server --daemon --config={quote(self._folder)}/rsyncd.conf ."

    def conversation(self) -> AbstractContextManager[Held]:
        """Speak rsync's protocol with the source, over the controller's connection to it."""
        as_root = self.place.as_root
        return self.place.host.keep(self._serve(as_root=as_root), as_root=as_root, silence=None)

    @property
    def private_key(self) -> str:
        """The key for this share alone, as ssh reads it."""
        return self._pair[0]

    @cached_property
    def _pair(self) -> tuple[str, str]:
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
        public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
        return private.decode(), public.decode()


def _wait_for_end(held: Held) -> None:
    """End the script, and wait until it has taken all back. A connection that is lost ends it as well."""
    try:
        held.finish()
        while held.read():
            pass
    except (OSError, ValueError):
        return

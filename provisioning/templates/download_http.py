"""Files by HTTP, side by side, each going on where it was stopped.

A file is hashed as it comes, and lies under its name when it was proven.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from provisioning.templates.download_records import OURS, git_blob_of
    from provisioning.templates.download_retry import persevering
    from provisioning.templates.download_sources import Transient, Unavailable, Wanted, say
    from provisioning.templates.download_web import CONNECTIONS, Web, words
    from provisioning.templates.git_client import shown
else:
    from download_records import OURS, git_blob_of
    from download_retry import persevering
    from download_sources import Transient, Unavailable, Wanted, say
    from download_web import CONNECTIONS, Web, words
    from git_client import shown

BLOCK = 1 << 20
CORRUPT = 3
"""How often a file may come with wrong bytes."""


class Files:
    """Brings files into a folder. `advise` says what to do about a refusal (401, 403, 404) of a file."""

    def __init__(self, folder: str, web: Web, advise: Callable[[requests.Response], str] = lambda _: "") -> None:
        self._parts = os.path.join(folder, OURS, "parts")
        self._folder, self._web, self._advise = folder, web, advise
        self.here: dict[str, int] = {}
        """Bytes of each file that are here."""
        self.proven: dict[str, str] = {}
        self._stopped = Event()

    def fetch(self, files: "dict[str, Wanted]") -> None:
        """Bring these, each as often as it takes. Raises `Unavailable`, or OSError."""
        os.makedirs(self._parts, exist_ok=True)
        self._stopped.clear()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            working = [pool.submit(self._one, name, wanted) for name, wanted in files.items()]
            try:
                for each in wait(working, return_when=FIRST_EXCEPTION).done:
                    each.result()
            finally:
                # One has failed: the others are not waited for, but stop where they are.
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, name: str, wanted: "Wanted") -> None:
        identity = f"{name}\0{wanted.sha256 or wanted.git_blob or shown(wanted.url)}"
        part = os.path.join(self._parts, hashlib.sha256(os.fsencode(identity)).hexdigest()[:24])
        for _ in range(CORRUPT):
            download = _Download(part, wanted, self._web, lambda had: self._tell(name, had), self._advise)
            persevering(name, lambda: self.here.get(name, 0))(download.go_on)
            if not (wrong := download.wrong()):
                target = os.path.join(self._folder, name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.replace(part, target)
                self.proven[name] = download.sha256
                return
            say(f"{name}: {wrong}; fetching it again")
            os.unlink(part)
        raise Unavailable(f"{name}: {wrong}, {CORRUPT} times")

    def _tell(self, name: str, had: int) -> None:
        self.here[name] = had
        if self._stopped.is_set():
            raise Unavailable(f"{name}: stopped, for another file cannot be had")


class _Download:
    """One file, from wherever it was stopped to its end."""

    def __init__(
        self,
        part: str,
        wanted: "Wanted",
        web: Web,
        tell: Callable[[int], None],
        advise: Callable[[requests.Response], str],
    ) -> None:
        self._part, self._wanted, self._web, self._tell, self._advise = part, wanted, web, tell, advise
        self._digest = hashlib.sha256()
        self._had = 0
        with open(part, "ab+") as file:
            file.seek(0)
            while block := file.read(BLOCK):
                self._take(block)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def wrong(self) -> str:
        """What is wrong with what came, or ""."""
        if self._wanted.sha256 not in ("", self.sha256):
            return f"it came with SHA-256 {self.sha256}, and {self._wanted.sha256} is right"
        if self._wanted.git_blob and (came := git_blob_of(self._part)) != self._wanted.git_blob:
            return f"it came as git's blob {came}, and {self._wanted.git_blob} is right"
        return ""

    def go_on(self) -> None:
        """Ask for the rest. Raises `Transient`, `Unavailable`, OSError."""
        if self._wanted.size != -1 and self._had > self._wanted.size:
            self._start_over()
        if self._had == self._wanted.size or (self._had and self.sha256 == self._wanted.sha256):
            return
        # Sizes and hashes are those of the file itself, so it is not to come compressed.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={self._had}-"} if self._had else {})}
        with self._web.get(self._wanted.url, stream=True, headers=headers) as answer:
            self._judge(answer)
            with open(self._part, "ab") as file:
                # As it comes, not in whole blocks: what came before a cut is kept.
                while block := answer.raw.read1(BLOCK):
                    file.write(block)
                    self._take(block)
                    if -1 < self._wanted.size < self._had:
                        raise Transient(f"the server sends more than the {self._wanted.size} bytes of the file")
        if self._wanted.size not in (-1, self._had):
            raise Transient(f"the connection ended at {self._had} of {self._wanted.size} bytes")

    def _judge(self, answer: requests.Response) -> None:
        """Let pass the answer that has what is asked for."""
        if answer.status_code == 416:
            self._start_over()
            raise Transient("the server does not go on where the file was stopped (416)")
        if not answer.ok:
            raise Unavailable(f"{words(answer)}{self._advise(answer)}")
        if answer.status_code != 206 and self._had:
            say("the server does not go on where the file was stopped: from the start")
            self._start_over()
        elif self._had and not answer.headers.get("Content-Range", "").startswith(f"bytes {self._had}-"):
            raise Transient(f"the server sends another part than asked for: {answer.headers.get('Content-Range')}")
        length = answer.headers.get("Content-Length", "")
        if self._wanted.size != -1 and length.isdecimal() and int(length) != self._wanted.size - self._had:
            raise Transient(f"the server sends another file, of {length} bytes: {words(answer)}")

    def _take(self, block: bytes) -> None:
        self._digest.update(block)
        self._had += len(block)
        self._tell(self._had)

    def _start_over(self) -> None:
        open(self._part, "wb").close()
        self._digest, self._had = hashlib.sha256(), 0
